from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from tally.clock import ManualClock
from tally.coordination.embedded import EmbeddedCoordinator
from tally.ids import ModelUuid, NodeId
from tally.routing.follow import Follower
from tally.wire.messages import Fitter
from tests.unit.broker.acts import UUID, announcement, following, lose_history, node, seen

GRACE_S = 10.0
A, B = NodeId("127.0.0.1_1"), NodeId("127.0.0.1_2")


@pytest.fixture
async def follower(coordinator: EmbeddedCoordinator, clock: ManualClock) -> AsyncIterator[Follower]:
    made = Follower(coordinator, clock, GRACE_S)
    async with following(made):
        yield made


async def test_workers_come_and_go_with_their_keys(
    follower: Follower, coordinator: EmbeddedCoordinator
) -> None:
    await coordinator.put(f"nodes/{A}", node(1))
    await seen(follower, lambda: A in follower.table.nodes)
    await coordinator.delete(f"nodes/{A}")
    await seen(follower, lambda: A not in follower.table.nodes)


async def test_within_the_grace_after_the_history_was_lost_nobody_is_taken_for_dead(
    follower: Follower,
    coordinator: EmbeddedCoordinator,
    coordination_file: Path,
    clock: ManualClock,
) -> None:
    await seen(follower, lambda: follower.table.connected)
    lose_history(coordination_file)
    await coordinator.put(f"nodes/{A}", node(1))
    await seen(follower, lambda: A in follower.table.nodes)
    await clock.advance(GRACE_S / 2)
    await coordinator.delete(f"nodes/{A}")
    await coordinator.put(f"nodes/{B}", node(2))
    await seen(follower, lambda: B in follower.table.nodes)
    await clock.advance(GRACE_S - 0.1)
    assert A in follower.table.nodes
    await clock.advance(0.2)
    assert set(follower.table.nodes) == {B}


async def test_fit_workers_are_another_list(
    follower: Follower, coordinator: EmbeddedCoordinator
) -> None:
    await coordinator.put("fitters/f", msgspec.json.encode(Fitter("h", 1, ("auto",))))
    await seen(follower, lambda: follower.table.fitters)
    assert not follower.table.nodes
    await coordinator.delete("fitters/f")
    await seen(follower, lambda: not follower.table.fitters)


async def test_a_worker_missing_after_the_history_was_lost_stays_for_the_grace(
    follower: Follower,
    coordinator: EmbeddedCoordinator,
    coordination_file: Path,
    clock: ManualClock,
) -> None:
    await coordinator.put(f"nodes/{A}", node(1))
    await seen(follower, lambda: A in follower.table.nodes)
    lose_history(coordination_file)
    await coordinator.put(f"nodes/{B}", node(2))
    await seen(follower, lambda: B in follower.table.nodes)
    await clock.advance(GRACE_S - 0.1)
    assert set(follower.table.nodes) == {A, B}
    await clock.advance(0.2)
    assert set(follower.table.nodes) == {B}


async def test_a_worker_that_registers_again_within_the_grace_stays(
    follower: Follower,
    coordinator: EmbeddedCoordinator,
    coordination_file: Path,
    clock: ManualClock,
) -> None:
    await coordinator.put(f"nodes/{A}", node(1, version=1))
    await seen(follower, lambda: A in follower.table.nodes)
    lose_history(coordination_file)
    await coordinator.put(f"nodes/{B}", node(2))
    await seen(follower, lambda: B in follower.table.nodes)
    before = follower.table.nodes[A]
    await coordinator.put(f"nodes/{A}", node(1, version=1))
    await seen(follower, lambda: follower.table.nodes[A] is not before)
    await clock.advance(2 * GRACE_S)
    assert set(follower.table.nodes) == {A, B}


@pytest.mark.parametrize("value", [b"", b"\xff", b"{}", b"[1]", b'{"host": 1, "port": "x"}'])
async def test_a_key_that_cannot_be_read_is_ignored(
    follower: Follower, coordinator: EmbeddedCoordinator, value: bytes
) -> None:
    await coordinator.put("nodes/theirs", value)
    await coordinator.put("modelVersion", value)
    await coordinator.put("models/m/version", value)
    await coordinator.put(f"nodes/{A}", node(1))
    await seen(follower, lambda: follower.table.nodes)
    assert set(follower.table.nodes) == {A}
    assert not follower.table.heads


async def test_a_worker_whose_key_turns_unreadable_is_kept_as_it_was_known(
    follower: Follower, coordinator: EmbeddedCoordinator
) -> None:
    await coordinator.put(f"nodes/{A}", node(1))
    await seen(follower, lambda: A in follower.table.nodes)
    await coordinator.put(f"nodes/{A}", b"nonsense")
    await coordinator.put(f"nodes/{B}", node(2))
    await seen(follower, lambda: B in follower.table.nodes)
    assert A in follower.table.nodes


async def test_heads_are_ordered_by_generation_and_not_by_version(
    follower: Follower, coordinator: EmbeddedCoordinator
) -> None:
    async def put(version: int, generation: int) -> None:
        await coordinator.put("models/m/version", announcement(version, generation))

    await put(2, 2)
    await seen(follower, lambda: "m" in follower.table.heads)
    await put(9, 1)  # by a writer that was late
    await put(1, 3)  # a rollback
    await seen(follower, lambda: follower.table.heads["m"].generation == 3)
    assert follower.table.heads["m"].version == 1


async def test_a_model_created_again_begins_at_its_own_first_generation(
    follower: Follower, coordinator: EmbeddedCoordinator
) -> None:
    await coordinator.put("models/m/version", announcement(7))
    await seen(follower, lambda: "m" in follower.table.heads)
    other = ModelUuid("0b" * 16)
    await coordinator.put("models/m/version", announcement(1, model=other))
    await seen(follower, lambda: follower.table.heads["m"].model == other)


async def test_a_deleted_head_is_forgotten(
    follower: Follower, coordinator: EmbeddedCoordinator
) -> None:
    await coordinator.put("models/m/version", announcement(1))
    await coordinator.put("modelVersion", announcement(1, name="default"))
    await seen(follower, lambda: len(follower.table.heads) == 2)
    await coordinator.delete("models/m/version")
    await seen(follower, lambda: set(follower.table.heads) == {"default"})
    await coordinator.delete("modelVersion")
    await seen(follower, lambda: not follower.table.heads)


async def test_heads_outlive_the_coordinators_history_and_are_to_be_announced_again(
    follower: Follower, coordinator: EmbeddedCoordinator, coordination_file: Path
) -> None:
    await coordinator.put("models/m/version", announcement(1))
    await seen(follower, lambda: "m" in follower.table.heads)
    follower.announced.clear()
    lose_history(coordination_file)
    async with asyncio.timeout(10):
        await follower.announced.wait()
    assert "m" in follower.table.heads


async def test_the_last_table_is_kept_while_the_coordinator_is_away(
    follower: Follower, coordinator: EmbeddedCoordinator, coordination_file: Path
) -> None:
    await coordinator.put(f"nodes/{A}", node(1))
    await seen(follower, lambda: A in follower.table.nodes and follower.table.connected)
    lose_history(coordination_file)
    coordination_file.parent.write_text("in the way")
    await seen(follower, lambda: not follower.table.connected)
    assert A in follower.table.nodes
    coordination_file.parent.unlink()
    await seen(follower, lambda: follower.table.connected)
    assert A in follower.table.nodes


async def test_a_head_whose_model_is_deleted_can_be_forgotten_but_not_its_successor(
    follower: Follower, coordinator: EmbeddedCoordinator
) -> None:
    await coordinator.put("models/m/version", announcement(1))
    await seen(follower, lambda: "m" in follower.table.heads)
    follower.forget("m", ModelUuid("0b" * 16))
    assert "m" in follower.table.heads
    follower.forget("m", UUID)
    assert not follower.table.heads


async def test_a_follower_that_ends_wakes_whoever_waits(
    coordinator: EmbeddedCoordinator, clock: ManualClock
) -> None:
    follower = Follower(coordinator, clock, GRACE_S)
    async with following(follower):
        await seen(follower, lambda: follower.table.connected)
        waiting = asyncio.create_task(follower.wait_changed(60))
        await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await waiting
    assert follower.ended


async def test_whoever_waits_for_a_change_sees_the_change_that_ends_the_wait(
    follower: Follower, coordinator: EmbeddedCoordinator
) -> None:
    await seen(follower, lambda: follower.table.connected)
    before = follower.table
    waiting = [asyncio.create_task(follower.wait_changed(10)) for _ in range(3)]
    await asyncio.sleep(0)
    await coordinator.put(f"nodes/{A}", node(1))
    await asyncio.gather(*waiting)
    assert follower.table is not before
