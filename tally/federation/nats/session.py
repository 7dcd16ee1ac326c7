"""One connection to NATS: every wait in it ends, and a right that we lack is told of."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial

import nats.js.errors
import structlog
from nats.aio.client import Client
from nats.js import JetStreamContext

from tally.errors import QueueUnavailable
from tally.federation.nats import failures
from tally.federation.nats.names import Names, is_answer
from tally.federation.transport import TransportRefused, TransportUnavailable
from tally.fitqueue import nats_connection
from tally.fitqueue.nats_connection import NatsOptions

_log = structlog.get_logger()

_BYTES_PER_S = 256 * 1024
_ACTIONS = {"publish": "publish to", "subscription": "subscribe to"}

_Waiting = dict[asyncio.Timeout, str]
"""Who waits for an answer, and the right that we lack, once the server has told of one."""


class Session:
    """A connection that stands, until it is closed or lost; it never connects again.

    Attributes:
        client: connected.
        jetstream: of the client.
    """

    def __init__(self, client: Client, waiting: _Waiting) -> None:
        self.client = client
        self.jetstream: JetStreamContext = client.jetstream(timeout=failures.ANSWER_S)
        self._waiting = waiting

    @classmethod
    async def open(cls, options: NatsOptions, names: Names, uuid: str) -> Session:
        """Connect as a peer.

        Raises:
            TransportRefused: the credentials are wrong, or NATS has no JetStream.
            TransportUnavailable: NATS cannot be reached.
        """
        waiting: _Waiting = {}
        try:
            client = await nats_connection.connect(
                options, partial(_deny, waiting), names.inbox_of(uuid)
            )
        except nats_connection.NatsRefused as error:
            raise TransportRefused(str(error)) from error
        except QueueUnavailable as error:
            raise TransportUnavailable(str(error)) from error
        session = cls(client, waiting)
        async with contextlib.AsyncExitStack() as undo:
            undo.push_async_callback(session.close)
            async with session.call("asking for JetStream"):
                await session._find_jetstream()
            undo.pop_all()
        return session

    @property
    def is_open(self) -> bool:
        """Tell whether it still stands, as far as we know."""
        return not self.client.is_closed

    @contextlib.asynccontextmanager
    async def call(
        self, what: str, *, size_bytes: int = 0, seconds: float = 0.0
    ) -> AsyncIterator[None]:
        """Bound what is done, and translate what NATS and its client raise.

        Args:
            what: for the message of an error.
            size_bytes: so much travels.
            seconds: that it takes of itself.

        Raises:
            TransportUnavailable: NATS did not answer, or not as it should.
            TransportRefused: we lack a right; the message names the subject.
            TransportFull: NATS has no room.
        """
        bound_s = 3 * failures.ANSWER_S + seconds + size_bytes / _BYTES_PER_S
        scope = None
        try:
            async with failures.within(bound_s, what) as scope:
                self._waiting[scope] = ""
                yield
                if self._waiting[scope]:
                    # Told of it just as its answer came, it was not interrupted.
                    raise TransportUnavailable(what)
        except TransportUnavailable as error:
            if scope is not None and (denied := self._waiting[scope]):
                raise TransportRefused(f"NATS, {what}: {denied}") from error
            raise
        finally:
            if scope is not None:
                del self._waiting[scope]

    async def close(self) -> None:
        """Disconnect."""
        await nats_connection.close(self.client)

    async def _find_jetstream(self) -> None:
        try:
            await self.jetstream.account_info()
        except nats.js.errors.ServiceUnavailableError as error:
            reason = "NATS answers, but not its JetStream; is it on?"
            raise TransportRefused(reason) from error


def _deny(waiting: _Waiting, action: str, subject: str) -> None:
    """Let nobody wait for an answer to what the server did not let through.

    It does not say whose message that was, so all are told. The connection is given up after it.
    """
    _log.warning("NATS denies our user a right", action=action, subject=subject)
    if action == "publish" and is_answer(subject):
        return  # an answer that came too late; nobody here waits for anything
    told = f"our user lacks the right to {_ACTIONS[action]} [{subject}]"
    now = asyncio.get_running_loop().time()
    for scope in waiting:
        if not scope.expired():
            waiting[scope] = told
            scope.reschedule(now)
