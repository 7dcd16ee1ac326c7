from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from broker.routing.forward import Forwarder
from tally.clock import ManualClock, SystemClock
from tally.coordination.embedded import EmbeddedCoordinator
from tally.ledger import Ledger
from tally.routing.follow import Follower
from tally.store.sqlite import SqliteStore
from tests.unit.broker.acts import following, listening, seen
from tests.unit.broker.forwarding import TOKEN, WAIT_S, ScriptedWorker, register


@pytest.fixture
def coordination_file(tmp_path: Path) -> Path:
    return tmp_path / "coordination" / "file.db"


@pytest.fixture
async def coordinator(coordination_file: Path) -> AsyncIterator[EmbeddedCoordinator]:
    opened = EmbeddedCoordinator(coordination_file)
    yield opened
    await opened.close()


@pytest.fixture
async def ledger(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Ledger]:
    store = SqliteStore(tmp_path / "store.db")
    yield Ledger(store, clock)
    await store.close()


@pytest.fixture
async def follower(coordinator: EmbeddedCoordinator) -> AsyncIterator[Follower]:
    made = Follower(coordinator, SystemClock(), grace_s=0.0)
    async with following(made):
        await seen(made, lambda: made.table.connected)
        yield made


@pytest.fixture
async def forwarder(follower: Follower, ledger: Ledger) -> AsyncIterator[Forwarder]:
    async with aiohttp.ClientSession() as session:
        yield Forwarder(
            follower, ledger, session, TOKEN, SystemClock(), wait_s=WAIT_S, cache_bytes=0
        )


@pytest.fixture
async def workers(
    coordinator: EmbeddedCoordinator, follower: Follower
) -> AsyncIterator[list[ScriptedWorker]]:
    """Give two workers that are registered with version 1."""
    async with AsyncExitStack() as stack:
        started = []
        for _ in range(2):
            worker = ScriptedWorker(0)
            worker.port = await listening(stack, web.Server(worker.answer))
            await register(coordinator, worker.port)
            started.append(worker)
        await seen(follower, lambda: len(follower.table.nodes) == 2)
        yield started
