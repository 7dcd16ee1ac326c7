"""The WebSockets that learn, forget and predict: the first message says who; each is answered."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from broker.edge.symetry.call import Call
from broker.edge.symetry.errors import DEFECT, refused
from broker.edge.symetry.gate import Gate, Signer
from broker.edge.symetry.handlers import Handlers
from broker.edge.symetry.room import Room
from broker.edge.symetry.routes import ROUTES
from broker.metrics import REQUESTS, SECONDS
from tally.errors import TallyError
from tally.http_server import Receive, Scope, Send
from tally.wire.envelope import raw_envelope, refusal
from tally.wire.projects import CLIENT
from tally.wire.socket_frames import parse_frame
from tally.wire.status import Refused, StatusCode

SOCKETS = {
    f"/symetry/ws/{verb}": next(route for route in ROUTES if route.verb == verb)
    for verb in ("learn", "forget", "predict")
}

_POLICY_VIOLATION = 1008
_FULL = Refused("Too many connections are open; try again", StatusCode.TOO_MANY_REQUESTS)
_HEADERS = {CLIENT: "default-ws-client"}
_log = structlog.get_logger()


@dataclass(slots=True)
class _Session:
    """One connection.

    Attributes:
        path: of the WebSocket, without a slash at its end.
        sent_path: the same as it was sent, which is what is signed.
        host: as the upgrade named it, its case kept.
        signer: who signed last; None before the first message.
        target: the project, and the model where there is one, that he signed for.
    """

    path: str
    sent_path: str
    host: str
    signer: Signer | None = None
    target: Mapping[str, str] = field(default_factory=dict)


class Socket:
    """Answers connections.

    Args:
        gate: checks signatures.
        handlers: answer.
        room: for what is being learned.
        connections: how many may be open at once; each may hold a message in memory.
        message_bytes: of one message.
        first_wait_s: until a connection has said who it is.
        home_wait_s: how long a home is asked for one message.
    """

    def __init__(
        self,
        gate: Gate,
        handlers: Handlers,
        room: Room,
        *,
        connections: int,
        message_bytes: int,
        first_wait_s: float,
        home_wait_s: float,
    ) -> None:
        self._gate = gate
        self._handlers = handlers
        self._room = room
        self._free = connections
        self._message_bytes = message_bytes
        self._first_wait_s = first_wait_s
        self._home_wait_s = home_wait_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection until either side ends it."""
        await receive()  # that it wants to connect
        path = scope["path"].removesuffix("/")
        if path not in SOCKETS:
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            return
        await send({"type": "websocket.accept"})
        if self._free <= 0:
            await _refuse(send, _FULL)
            return
        headers = dict(scope["headers"])
        session = _Session(path, scope["path"], headers.get(b"host", b"").decode("latin-1"))
        self._free -= 1
        try:
            await self._talk(session, receive, send)
        finally:
            self._free += 1

    async def _talk(self, session: _Session, receive: Receive, send: Send) -> None:
        while True:
            request_id = uuid.uuid4().hex
            started = time.perf_counter()
            told: Refused | None = None
            values = b"{}"
            try:
                message = await self._next(session, receive)
                if message["type"] == "websocket.disconnect":
                    return
                started = time.perf_counter()  # not since the last one: nobody waited for us
                values = await self._answered(session, message.get("text"), request_id)
            except TallyError as error:
                told = refused(error)
            except Exception:
                _log.exception("defect", request_id=request_id, path=session.path)
                told = DEFECT
            status = told.status if told else StatusCode.OK
            seconds = time.perf_counter() - started
            REQUESTS.labels(session.path, status.http).inc()
            SECONDS.labels(session.path).observe(seconds)
            _log.info(
                "message",
                request_id=request_id,
                path=session.path,
                customer=session.signer.cid if session.signer else "",
                status=status.http,
                ms=round(1000 * seconds, 1),
            )
            if told:
                await _refuse(send, told)
                return
            await send({"type": "websocket.send", "text": raw_envelope(values).decode()})

    async def _next(self, session: _Session, receive: Receive) -> Scope:
        if session.signer is not None:
            # Pings tell whether anybody is still there.
            return await receive()
        try:
            async with asyncio.timeout(self._first_wait_s):
                return await receive()
        except TimeoutError:
            raise Refused("Authentication header is null") from None

    async def _answered(self, session: _Session, text: str | None, request_id: str) -> bytes:
        """Return the values that answer one message.

        Raises:
            TallyError: why there is none.
        """
        if text is None:
            raise Refused("A message is text, not binary")
        with self._room.place(len(text)):
            frame = parse_frame(text, self._message_bytes)
            route = SOCKETS[session.path]
            if frame.header is not None:
                signer = await self._gate.check_frame(
                    session.sent_path, session.host, frame.header, frame
                )
                target = frame.header.target(route.verb)
                session.target = dict(zip(("pid", "modelid"), target, strict=False))
                session.signer = signer
            elif session.signer is None:
                raise Refused("Authentication header is null")
            else:
                await self._gate.check_still(session.signer)
            call = Call(
                route,
                session.signer.cid,
                session.target,
                body=frame.payload,
                batch_id=uuid.uuid4().hex,
                headers=_HEADERS,
                request_id=request_id,
            )
            return (await self._handlers.answer(call, self._home_wait_s)).values


async def _refuse(send: Send, error: Refused) -> None:
    await send({"type": "websocket.send", "text": refusal(error).decode()})
    await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
