"""A store with troubles, and what a broker asks of a home, in few words."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

import pytest

from model_api.projects.changes import Feed
from model_api.projects.home import Home
from model_api.projects.homes import Homes
from model_api.projects.limits import HomeLimits
from tally.clock import ManualClock
from tally.codec.frame.limits import Limits
from tally.errors import OutcomeUnknown, StoreUnavailable
from tally.ids import NodeId
from tally.models import fitting
from tally.projects.projects import Projects
from tally.projects.records import Options
from tally.store.base import Check, Token, Write
from tally.store.sqlite import SqliteStore
from tally.wire.projects import ProjectUuid
from tests.unit.model_api.acts import eventually as eventually
from tests.unit.model_api.acts import until as until

T = TypeVar("T")
Tokens = Mapping[str, Token] | None

LAZY = {"sml_project_autosave": "false"}
WIDE = [f"wide{i:03}" for i in range(150)]  # a snapshot too large for a row


class Troubled(SqliteStore):
    """A store whose commits can be held up, lost, or done without anybody hearing of it.

    Attributes:
        commits: of projects, one entry for each that was asked for: the keys that it writes.
        troubles: what becomes of the next commits of projects, in order: `away` (nothing is
            done), `unheard` (done, and nobody says so), `unsaid` (not done, and nobody says so),
            `held` (closes the gate, and is done once it is open), `late` (done, and closes the
            gate: it is told once that is open).
        gate: while it is not set, commits of projects wait.
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.commits: list[list[str]] = []
        self.troubles: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def commit(
        self, partition: str, writes: Sequence[Write], checks: Sequence[Check] = ()
    ) -> Tokens:
        if not partition.startswith("project/"):
            return await super().commit(partition, writes, checks)
        self.commits.append([write.key for write in writes])
        await self.gate.wait()
        trouble = self.troubles.pop(0) if self.troubles else ""
        if trouble == "held":
            self.gate.clear()
            await self.gate.wait()
        if trouble == "away":
            raise StoreUnavailable("the store is away")
        if trouble == "unsaid":
            raise OutcomeUnknown("no answer")
        done = await super().commit(partition, writes, checks)
        if trouble == "late":
            self.gate.clear()
            await self.gate.wait()
        if trouble == "unheard":
            raise OutcomeUnknown("no answer")
        return done


class Nodes:
    """Which nodes have a lease."""

    def __init__(self) -> None:
        self.alive: set[NodeId] = set()

    async def __call__(self, node: NodeId) -> bool:
        return node in self.alive


@contextlib.asynccontextmanager
async def worker(
    store: SqliteStore,
    clock: ManualClock,
    nodes: Nodes,
    name: str = "a_1",
    limits: HomeLimits | None = None,
    moved: Callable[[ProjectUuid], None] = lambda _project: None,
) -> AsyncIterator[Homes]:
    """Run a worker's homes beside a test; its lease ends with it."""
    node = NodeId(name)
    homes = Homes(Projects(store, clock), lambda: node, nodes, clock, limits or HomeLimits(), moved)
    nodes.alive.add(node)
    task = asyncio.create_task(homes.run())
    await asyncio.sleep(0)
    try:
        yield homes
    finally:
        nodes.alive.discard(node)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def create(
    homes: Homes,
    pid: str = "p",
    params: Mapping[str, str] = {},
    *,
    persisted: bool = True,
    kind: str = "cpu",
) -> ProjectUuid:
    options = Options(kind=kind, params=dict(params))
    return await homes.projects.create("c1", pid, options, persisted=persisted)


def rows(*names: str, count: int = 1, op: str = "learn") -> Feed:
    """Return rows with a binary attribute of each name, all 1: its count tells what was counted."""
    frame = {
        "attributeNames": list(names),
        "attributeTypes": ["B"] * len(names),
        "data": [["1"] * len(names)] * count,
    }
    return feed(json.dumps(frame).encode(), op)


def feed(body: bytes, op: str = "learn") -> Feed:
    return Feed(op, body, "application/json", "", {}, "tests", Limits())


def bad() -> Feed:
    return feed(b'{"attributeNames":["x"],"attributeTypes":["B"],"data":[["7"]]}')


def counts(home: Home) -> dict[str, int]:
    """Return how often each attribute was counted, those that were not left out."""
    summary = home.project.summary
    found = zip(summary.schema.names, summary.counts().tolist(), strict=True)
    return {name: int(count) for name, count in found if count}


async def asked(homes: Homes, project: ProjectUuid) -> dict[str, int]:
    return counts(await homes.ask(project))


class Gate:
    """Holds up fits on their threads until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fits = 0
        self.open = threading.Event()
        fit = fitting.fit

        def held(*args: Any, **kwargs: Any) -> Any:
            self.fits += 1
            assert self.open.wait(20)
            kwargs["checkpoint"]()
            return fit(*args, **kwargs)

        monkeypatch.setattr(fitting, "fit", held)


async def being_written(store: Troubled, change: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Return the task of a change whose commit waits for the gate to be opened."""
    store.gate.clear()
    before = len(store.commits)
    task = asyncio.create_task(change)
    await until(lambda: len(store.commits) > before, "it is being written")
    return task


async def blobs(store: Troubled) -> list[str]:
    """Return the names of all blobs in a store."""
    return [blob async for blob in store.blobs()]


async def pids(homes: Homes) -> list[str]:
    """Return the names of the projects."""
    return [pid for pid, _ in await homes.projects.names.all("c1")]


async def until_no_more_than(store: Troubled, count: int) -> None:
    async def few() -> bool:
        return len(await blobs(store)) <= count

    await eventually(few, f"{count} blobs are left")
