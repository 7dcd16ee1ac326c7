"""A real HTTP server that checks signatures and answers as it is told."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
from aiohttp import web

from tally.clock import SystemClock
from tally.wire.credentials import Credentials
from tally.wire.secret_key import SecretKey
from tally.wire.signing import SignedRequest, verify

KEY = SecretKey(bytes(range(16)))
CID = "ann"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request whose signature held."""

    method: str
    path: str
    query: str
    body: bytes
    headers: Mapping[str, str]

    @property
    def batch_id(self) -> str:
        return self.headers.get("Idempotency-Key", "")


@dataclass(frozen=True, slots=True)
class Says:
    """An answer, or with status 0 a connection that breaks."""

    status: int = 200
    text: str = "OK"
    values: Mapping[str, object] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    bare: bytes | None = None


class SignedBroker:
    """Answers.

    Attributes:
        says: answers still to come; then `OK` with nothing in it.
        asked: what was asked.
        watch: is called with each request before it is answered.
        url: of the server.
    """

    def __init__(self) -> None:
        self.watch: Callable[[Asked], None] = lambda asked: None
        self.says: deque[Says] = deque()
        self.asked: list[Asked] = []
        self.url = ""

    async def answer(self, request: web.BaseRequest) -> web.Response:
        body = await request.read()
        path, _, query = request.raw_path.partition("?")
        signed = SignedRequest(
            request.method, CID, path.encode(), query.encode(), request.host, body
        )
        verify(signed, Credentials.read(request.headers, SystemClock()), KEY)
        self.asked.append(Asked(request.method, path, query, body, request.headers))
        self.watch(self.asked[-1])
        says = self.says.popleft() if self.says else Says()
        if says.status == 0:
            assert request.transport is not None
            request.transport.abort()
        envelope = {"statusCode": "", "statusString": says.text, "values": says.values}
        content = msgspec.json.encode(envelope) if says.bare is None else says.bare
        return web.Response(status=says.status or 200, body=content, headers=says.headers)


@asynccontextmanager
async def signed_broker() -> AsyncIterator[SignedBroker]:
    """Give a server that runs."""
    made = SignedBroker()
    runner = web.ServerRunner(web.Server(made.answer, auto_decompress=False))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield made
    finally:
        await runner.cleanup()


def project(names: Sequence[str] = (), letters: str = "", type_: str = "cpu") -> Says:
    """Return what a broker says of a project with these attributes."""
    info = {
        "pid": "p",
        "type": type_,
        "creationDate": 0,
        "lastModificationDate": 0,
        "loaded": True,
        "persisted": True,
        "histogramEnabled": True,
        "autoSave": True,
        "attributeNames": list(names),
        "attributeIndexes": list(range(len(names))),
        "attributeTypes": list(letters),
    }
    return Says(values={"smlInfo": info})


def learned(broker: SignedBroker) -> list[Asked]:
    """Return the learns among what was asked."""
    return [asked for asked in broker.asked if asked.path.endswith("/learn")]
