"""What brokers do when the first to serve a version, or all announcements, are lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from broker.routing.announce import Announcer
from broker.routing.forward import Forwarder, Question
from tally.announce import read_announcement
from tally.clock import ManualClock, SystemClock
from tally.coordination.base import Put, Snapshot
from tally.coordination.embedded import EmbeddedCoordinator
from tally.ids import ModelUuid
from tally.ledger import Ledger
from tally.routing.follow import Follower
from tally.store.sqlite import SqliteStore
from tally.wire.messages import Announcement
from tests.unit.broker.acts import UUID, announcement, following, lose_history, node, seen
from tests.unit.ledger.acts import publish

NOBODY = 1  # a port that refuses connections


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "coordination" / "file.db"


@pytest.fixture
async def coordinator(file: Path) -> AsyncIterator[EmbeddedCoordinator]:
    opened = EmbeddedCoordinator(file)
    yield opened
    await opened.close()


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    store = SqliteStore(tmp_path / "store.db")
    yield Ledger(store, ManualClock())
    await store.close()


def _worker() -> web.Application:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=b'{"data":[2.0]}', headers={"X-Model-Version": "2"})

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    return application


async def test_a_version_whose_only_known_server_died_is_asked_of_the_others(
    coordinator: EmbeddedCoordinator, ledger: Ledger
) -> None:
    follower = Follower(coordinator, SystemClock(), grace_s=0)
    async with (
        following(follower),
        aiohttp.ClientSession() as session,
        TestServer(_worker()) as server,
    ):
        port = server.port
        assert port is not None
        await coordinator.put(f"nodes/127.0.0.1_{NOBODY}", node(NOBODY, 2))
        await coordinator.put(f"nodes/127.0.0.1_{port}", node(port, 1))
        await seen(follower, lambda: len(follower.table.nodes) == 2)
        forwarder = Forwarder(
            follower, ledger, session, "token", SystemClock(), wait_s=1, cache_bytes=0
        )
        answer = await forwarder.ask(Question("m", 1), "r")
    assert answer.version == 2


async def test_heads_are_announced_again_into_a_history_that_is_empty(
    coordinator: EmbeddedCoordinator, ledger: Ledger, file: Path
) -> None:
    follower = Follower(coordinator, ManualClock(), grace_s=0)
    announcer = Announcer(ledger, coordinator, follower, every_s=3600)
    await publish(ledger, "m")
    async with following(follower):
        running = asyncio.create_task(announcer.run())
        await seen(follower, lambda: "m" in follower.table.heads)
        lose_history(file)
        async with asyncio.timeout(10):
            announced = await _announced(coordinator)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert announced.version == 1


async def test_a_deleted_model_is_not_found_though_its_worker_has_not_heard_of_it(
    coordinator: EmbeddedCoordinator,
) -> None:
    follower = Follower(coordinator, SystemClock(), grace_s=0)
    async with following(follower):
        await coordinator.put("models/m/version", announcement(1))
        await coordinator.put(f"nodes/127.0.0.1_{NOBODY}", node(NOBODY, 1))
        await seen(follower, lambda: follower.table.heads and follower.table.nodes)
        assert follower.table.model("m") == UUID

        follower.forget("m", UUID)
        assert follower.table.model("m") is None

        again = ModelUuid("0b" * 16)
        await coordinator.put("models/m/version", announcement(1, model=again))
        await seen(follower, lambda: follower.table.model("m") == again)


async def _announced(coordinator: EmbeddedCoordinator) -> Announcement:
    async for event in coordinator.watch("models/m/version"):
        items = event.items.values() if isinstance(event, Snapshot) else ()
        for item in (event.item,) if isinstance(event, Put) else items:
            if (found := read_announcement(item)) is not None:
                return found
    raise AssertionError("a watch never ends")
