"""Workers of one installation in one process, who ask one another without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from model_api.projects.homes import Homes
from model_api.shards.asking import Asking
from model_api.shards.desk import Desk
from model_api.shards.telling import STATISTICS
from tally.clock import ManualClock
from tally.errors import NotFound
from tally.projects.records import Options
from tally.projects.shards import shard_for, shards
from tally.routing.home_call import Answer, HomeCall
from tally.routing.homes import HomeUnavailable
from tally.store.sqlite import SqliteStore
from tally.wire.projects import ProjectUuid
from tally.wire.status import Refused, StatusCode
from tests.unit.model_api.projects.acts import Nodes, worker
from tests.unit.model_api.projects.wire import Broker, Reply, frame


class Site:
    """A sharded project and the workers that have it.

    Attributes:
        project, cells: which, and its number of shards.
        asked: the verbs that shards were asked, with the number of the shard.
        gone: shards that do not answer.
        gate: while it is not set, shards wait before they tell their statistics.
        late: the next forgets reach their shards once these are set, whether or not anybody still
            waits for the answer.
        sent: what was sent to shards.
    """

    def __init__(self) -> None:
        self.workers: list[Broker] = []
        self.homes: list[Homes] = []
        self.project = ProjectUuid("")
        self.cells = 0
        self.asked: list[tuple[str, int]] = []
        self.gone: set[int] = set()
        self.gate = asyncio.Event()
        self.gate.set()
        self.late: list[asyncio.Event] = []
        self.sent: list[asyncio.Task[Reply]] = []

    @property
    def shards(self) -> list[ProjectUuid]:
        return list(shards(self.project, self.cells))

    async def answer(self, call: HomeCall, wait_s: float) -> Answer:
        """Return what the home of a shard says, as routing does."""
        number = self.shards.index(call.project)
        self.asked.append((call.verb, number))
        if number in self.gone:
            raise HomeUnavailable("no worker has announced itself")
        if call.verb == STATISTICS:
            await self.gate.wait()
        due = self.late.pop(0) if call.verb == "forget" and self.late else None
        self.sent.append(asyncio.create_task(self._sent(call, number, due)))
        reply = await asyncio.shield(self.sent[-1])
        if reply.status == 404:
            raise NotFound(reply.text)
        if reply.status != 200:
            raise Refused(reply.text, StatusCode.of(reply.status))
        return Answer(reply.status, reply.body)

    async def _sent(self, call: HomeCall, number: int, due: asyncio.Event | None) -> Reply:
        if due is not None:
            await due.wait()
        home = self.workers[(number + 1) % len(self.workers)]
        query: dict[str, Any] = {**call.query}
        given = {"batch": call.batch_id, "headers": call.headers, **query}
        return await home(call.project, call.verb, call.body, **given)

    async def create(self, cells: int = 3, **params: str) -> None:
        options = Options(kind="cpu", params=params, cells=cells)
        self.project = await self.homes[0].projects.create("c1", "p", options)
        self.cells = cells

    async def ask(self, verb: str, body: object = b"", batch: str = "", **query: str) -> Reply:
        """Ask the project itself, as a broker does."""
        given: dict[str, Any] = {"batch": batch, **query}
        return await self.workers[0](self.project, verb, body, **given)

    async def learn(self, batch: str, names: str, types: str, *rows: str) -> Reply:
        """Send rows to the shard of their batch, as a broker does."""
        shard = shard_for(self.project, self.cells, batch)
        home = self.workers[(self.shards.index(shard) + 1) % len(self.workers)]
        return await home(shard, "learn", frame(names, types, *rows), batch=batch)

    async def forget(self, batch: str, names: str, types: str, *rows: str) -> Reply:
        return await self.ask("forget", frame(names, types, *rows), batch=batch)

    async def rows(self, worker: int = 0) -> int:
        """Return how many rows a question sees."""
        reply = await self.workers[worker](self.project, "snapshot")
        assert reply.status == 200, reply.body
        return (await self.homes[worker].ask(self.project)).project.row_count


@asynccontextmanager
async def site(
    store: SqliteStore, clock: ManualClock, nodes: Nodes, workers: int = 2
) -> AsyncIterator[Site]:
    made = Site()
    async with AsyncExitStack() as opened:
        for number in range(workers):
            given = worker(store, clock, nodes, f"w_{number}")
            homes = await opened.enter_async_context(given)
            made.homes.append(homes)
            made.workers.append(Broker(homes, Desk(homes, Asking(made, 5.0))))
        yield made
