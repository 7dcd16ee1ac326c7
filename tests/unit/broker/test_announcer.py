from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from broker.routing.announce import Announcer
from tally.announce import read_announcement
from tally.clock import ManualClock
from tally.coordination.embedded import EmbeddedCoordinator
from tally.errors import StoreUnavailable
from tally.ids import ModelUuid
from tally.ledger import Ledger
from tally.ledger.records import Head
from tally.routing.follow import Follower
from tally.store.base import Write
from tests.unit.broker.acts import announcement, following, node, seen
from tests.unit.ledger.acts import publish

KEY = "models/m/version"


@pytest.fixture
async def follower(coordinator: EmbeddedCoordinator, clock: ManualClock) -> AsyncIterator[Follower]:
    made = Follower(coordinator, clock, grace_s=10)
    async with following(made):
        await seen(made, lambda: made.table.connected)
        yield made


@pytest.fixture
def announcer(ledger: Ledger, coordinator: EmbeddedCoordinator, follower: Follower) -> Announcer:
    return Announcer(ledger, coordinator, follower, every_s=60)


async def announced(ledger: Ledger, announcer: Announcer, follower: Follower) -> None:
    """Have version 1 of model `m` published, announced, and known to the follower."""
    await publish(ledger, "m")
    await announcer.compare()
    await seen(follower, lambda: "m" in follower.table.heads)


async def version_at(coordinator: EmbeddedCoordinator, key: str = KEY) -> int | None:
    known = read_announcement(await coordinator.get(key))
    return known.version if known else None


async def test_every_head_that_is_not_announced_is_announced(
    ledger: Ledger, coordinator: EmbeddedCoordinator, announcer: Announcer
) -> None:
    await publish(ledger, "m")
    await publish(ledger, "default")
    await ledger.names.claim("nothing-yet", "ann")
    await announcer.compare()
    assert await version_at(coordinator) == 1
    assert await version_at(coordinator, "modelVersion") == 1
    assert await coordinator.get("models/nothing-yet/version") is None


async def test_an_announcement_behind_the_store_is_brought_up(
    ledger: Ledger,
    coordinator: EmbeddedCoordinator,
    announcer: Announcer,
    follower: Follower,
) -> None:
    await announced(ledger, announcer, follower)
    await publish(ledger, "m")
    await announcer.compare()
    assert await version_at(coordinator) == 2


async def test_the_announcement_of_a_deleted_model_is_withdrawn(
    ledger: Ledger,
    coordinator: EmbeddedCoordinator,
    announcer: Announcer,
    follower: Follower,
) -> None:
    await announced(ledger, announcer, follower)
    await ledger.versions.delete("m", "ann")
    await announcer.compare()
    assert await coordinator.get(KEY) is None
    assert "m" not in follower.table.heads


async def test_a_head_that_only_we_remember_is_forgotten_once_its_model_is_deleted(
    coordinator: EmbeddedCoordinator, announcer: Announcer, follower: Follower
) -> None:
    await coordinator.put(KEY, announcement(1, model=ModelUuid("0c" * 16)))
    await seen(follower, lambda: "m" in follower.table.heads)
    await announcer.compare()
    assert "m" not in follower.table.heads


async def test_heads_are_announced_again_after_the_history_was_lost(
    ledger: Ledger,
    coordinator: EmbeddedCoordinator,
    announcer: Announcer,
    follower: Follower,
) -> None:
    await announced(ledger, announcer, follower)
    await coordinator.delete(KEY)
    await seen(follower, lambda: "m" not in follower.table.heads)
    await announcer.compare()
    assert await version_at(coordinator) == 1


async def test_one_head_that_cannot_be_read_keeps_no_other_from_being_announced(
    ledger: Ledger, coordinator: EmbeddedCoordinator, announcer: Announcer
) -> None:
    spoilt = await publish(ledger, "a-first-one")
    await publish(ledger, "m")
    row = await ledger.store.get(f"model/{spoilt.model}", "head")
    assert row is not None
    write = Write("head", row.token, b"not ours")
    assert await ledger.store.commit(f"model/{spoilt.model}", [write]) is not None
    await announcer.compare()
    assert await version_at(coordinator) == 1


async def test_a_restored_store_outlives_what_was_announced(
    ledger: Ledger, coordinator: EmbeddedCoordinator, announcer: Announcer, follower: Follower
) -> None:
    model = (await publish(ledger, "m")).model
    await coordinator.put(KEY, announcement(9, model=model))
    await seen(follower, lambda: "m" in follower.table.heads)
    await announcer.compare()
    assert await version_at(coordinator) == 1
    await seen(follower, lambda: follower.table.heads["m"].generation == 10)
    assert follower.table.heads["m"].restored == 1
    assert (await publish(ledger, "m")).version == 10


async def test_a_restored_store_outlives_what_only_the_workers_remember(
    ledger: Ledger, coordinator: EmbeddedCoordinator, announcer: Announcer, follower: Follower
) -> None:
    model = (await publish(ledger, "m")).model
    await coordinator.put("nodes/127.0.0.1_1", node(1, 4, 7, model=model))
    await seen(follower, lambda: follower.table.nodes)
    await announcer.compare()
    told = read_announcement(await coordinator.get(KEY))
    assert told is not None
    assert (told.version, told.generation, told.restored) == (1, 8, 1)


async def test_workers_that_lag_behind_the_store_prove_nothing(
    ledger: Ledger, coordinator: EmbeddedCoordinator, announcer: Announcer, follower: Follower
) -> None:
    model = (await publish(ledger, "m")).model
    await publish(ledger, "m")
    await coordinator.put("nodes/127.0.0.1_1", node(1, 1, 1, model=model))
    await coordinator.put("nodes/127.0.0.1_2", node(2, 2, 2, model=model))
    await seen(follower, lambda: len(follower.table.nodes) == 2)
    for _ in range(2):
        await announcer.compare()
    head = await ledger.versions.head(model)
    assert head is not None
    assert (head.generation, head.restored) == (2, 0)


async def test_a_model_that_the_restored_store_does_not_know_is_withdrawn(
    coordinator: EmbeddedCoordinator, announcer: Announcer, follower: Follower
) -> None:
    await coordinator.put(KEY, announcement(3))
    await seen(follower, lambda: "m" in follower.table.heads)
    await announcer.compare()
    assert await coordinator.get(KEY) is None


async def test_many_models_are_compared_some_at_a_time(
    ledger: Ledger,
    coordinator: EmbeddedCoordinator,
    announcer: Announcer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(40):
        await ledger.names.claim(f"m{number}", "ann")
    ask, under_way, most = ledger.versions.head, 0, 0

    async def counted(model: ModelUuid) -> Head | None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            return await ask(model)
        finally:
            under_way -= 1

    monkeypatch.setattr(ledger.versions, "head", counted)
    await announcer.compare()
    assert 1 < most <= 16


async def test_an_outage_ends_the_comparison_without_asking_for_every_model(
    ledger: Ledger, announcer: Announcer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        await ledger.names.claim(f"m{number}", "ann")
    asked = 0

    async def away(model: ModelUuid) -> Head | None:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        raise StoreUnavailable("away")

    monkeypatch.setattr(ledger.versions, "head", away)
    with pytest.raises(StoreUnavailable, match="away"):
        await announcer.compare()
    assert asked <= 16
