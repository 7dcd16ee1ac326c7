"""The signed edge of a broker over a real socket, with a worker that answers as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

from broker.edge.symetry.wiring import Symetry
from broker.settings import BrokerSettings
from tally.clock import ManualClock, SystemClock
from tally.coordination.embedded import EmbeddedCoordinator
from tally.http_server import HttpServer, Receive, Scope, Send
from tally.master_key import MasterKey
from tally.projects.projects import Projects
from tally.projects.records import Options
from tally.routing.follow import Follower
from tally.store.sqlite import SqliteStore
from tally.users import Users
from tally.wire.secret_key import SecretKey
from tally.wire.signing import format_date, sign
from tests.unit.broker.acts import following, listening, node, seen

KEY = SecretKey.parse("AAECAwQFBgcICQoLDA0ODw==")
CID = "c1"
MOMENT = datetime(2025, 1, 15, 10, 30, tzinfo=UTC)
"""When the requests of the protocol's test vectors were signed."""


class VectorClock(ManualClock):
    """A clock that stands where the test vectors were signed; only deadlines go on.

    Attributes:
        skipped_s: by how much deadlines were brought nearer.
    """

    skipped_s = 0.0

    def now(self) -> datetime:
        return MOMENT

    def monotonic(self) -> float:
        return SystemClock().monotonic() + self.skipped_s


class SignedEdge:
    """What a test asks and sees.

    Attributes:
        url: of the broker.
        asked, headers: path and body, and the headers, of each call that came to the worker.
        answers, answer: status and body that the worker gives, in order, and then for ever.
        stopping: the same to `stop`; None: as to all else.
        client: for asking.
        users, projects, clock: of the broker.
    """

    def __init__(
        self,
        client: aiohttp.ClientSession,
        users: Users,
        projects: Projects,
        clock: VectorClock,
    ) -> None:
        self.client = client
        self.users = users
        self.projects = projects
        self.clock = clock
        self.url = ""
        self.asked: list[tuple[str, bytes]] = []
        self.headers: list[Mapping[str, str]] = []
        self.answers: list[tuple[int, bytes]] = []
        self.answer = (200, b"{}")
        self.stopping: tuple[int, bytes] | None = None

    async def work(self, request: web.BaseRequest) -> web.Response:
        self.headers.append(request.headers)
        self.asked.append((request.raw_path, await request.content.read()))
        status, body = self.answers.pop(0) if self.answers else self.answer
        if self.stopping is not None and request.path.endswith("/stop"):
            status, body = self.stopping
        return web.Response(status=status, body=body, content_type="application/json")


@asynccontextmanager
async def signed_edge(folder: Path, **settings: object) -> AsyncIterator[SignedEdge]:
    """Run the edge with the customer `c1` of the vectors, who has the project `irisTest`."""
    clock, master = VectorClock(), MasterKey(bytes(32))
    async with AsyncExitStack() as opened:
        store = SqliteStore(folder / "store.db")
        opened.push_async_callback(store.close)
        coordinator = EmbeddedCoordinator(folder / "coordination.db")
        opened.push_async_callback(coordinator.close)
        client = await opened.enter_async_context(aiohttp.ClientSession(auto_decompress=False))
        users, projects = Users(store, master, clock), Projects(store, clock)
        edge = SignedEdge(client, users, projects, clock)
        port = await listening(opened, web.Server(edge.work, auto_decompress=False))
        await coordinator.put(f"nodes/127.0.0.1_{port}", node(port))
        follower = Follower(coordinator, SystemClock(), grace_s=0.0)
        await opened.enter_async_context(following(follower))
        await seen(follower, lambda: follower.table.nodes)
        await users.add(CID, KEY)
        await projects.create(CID, "irisTest", Options())

        given = BrokerSettings.model_validate({"data_dir": folder, **settings})
        signed = Symetry(given, store, master, follower, client, "token", clock)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await signed.answer(scope, receive, send, "r-1")

        server = HttpServer(app, "127.0.0.1", 0, socket_message_bytes=given.socket_message_bytes)
        edge.url = f"http://127.0.0.1:{server.port}"
        tasks = [asyncio.create_task(server.run()), asyncio.create_task(signed.run())]
        try:
            yield edge
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def ask(
    edge: SignedEdge,
    method: str,
    path: str,
    *,
    query: str = "",
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> tuple[int, Mapping[str, str], dict[str, Any]]:
    """Return status, headers and envelope of a request that `c1` signs."""
    whole, date = f"/symetry/rest/{CID}/{path}", format_date(MOMENT)
    signature = sign(KEY, CID, method, whole, date, query=query, body=body)
    url = URL(f"{edge.url}{whole}?{query}" if query else f"{edge.url}{whole}", encoded=True)
    given = {"Authorization": signature, "sym-date": date, **(headers or {})}
    async with edge.client.request(method, url, data=body or None, headers=given) as response:
        return response.status, response.headers, await response.json()
