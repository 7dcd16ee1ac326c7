"""Rounds in which nothing, or only the transport, goes wrong."""

from __future__ import annotations

import pytest

from tally.federation import ticking
from tally.federation.envelope import Header, Reference, Sealed, parse
from tally.federation.events import StopPulse
from tally.federation.messages import SyncInfo
from tally.federation.state import NodeState, PeerStatus
from tests.federation.worlds import (
    MINUTE_MS,
    broken_rows,
    doing,
    errors,
    late,
    pulsing,
    quiet,
    rounds,
    snapshot_marks,
    totals,
)


async def test_after_one_tick_everyone_counts_every_row() -> None:
    world = await pulsing(3)
    assert totals(world) == [150, 150, 150]
    assert len({node.site.federated for node in world.nodes}) == 1
    for node in world.nodes:
        assert node.state.syncs.entries == ("#peers:2",)
        assert errors(node) == ()
        assert node.state.counters.snd_count == 1
        assert node.state.counters.rcv_count == 2


async def test_every_peer_shares_in_the_same_rounds() -> None:
    world = await quiet(3)
    await world.run_for(7_000)
    await world.start_all()
    await rounds(world, 3)
    assert len({node.state.last_round for node in world.nodes}) == 1


async def test_learned_rows_are_everywhere_after_the_next_tick() -> None:
    world = await pulsing(3)
    world.nodes[1].site.learn(20)
    assert totals(world) == [150, 150, 150], "the federated project changes with a tick only"
    await rounds(world, 1)
    assert totals(world) == [170, 170, 170]


async def test_messages_that_come_three_times_late_and_shuffled_are_counted_once() -> None:
    world = await quiet(3)
    world.faults.repeat, world.faults.delay_ms = 1.0, 90_000
    world.faults.miss, world.faults.drop = 0.3, 0.3
    await world.start_all()
    for _ in range(12):
        await rounds(world, 1)
        assert all(total <= 150 for total in totals(world))
    world.faults.heal()
    await rounds(world, 3)
    assert totals(world) == [150, 150, 150]
    assert broken_rows(world) == set()


@pytest.mark.parametrize(
    ("learned", "forgotten", "shared"), [(8, 0, 50), (9, 0, 59), (0, 3, 50), (9, 9, 50)]
)
async def test_changes_wait_until_they_are_large_enough(
    learned: int, forgotten: int, shared: int
) -> None:
    world = await pulsing(2)
    other, changing = world.nodes
    changing.site.learn(learned)
    changing.site.forget(forgotten)
    await rounds(world, 1)
    held = other.state.rows[changing.uuid].accepted
    assert held is not None
    assert held.info.rows == shared
    waits = (learned, forgotten) in ((8, 0), (0, 3))
    assert any("MIN_DELTA" in entry for entry in changing.state.syncs.entries) is waits
    if waits:
        changing.site.learn(9)
        changing.site.forget(9)
        await rounds(world, 1)
        assert totals(world) == [100 + learned - forgotten] * 2


@pytest.mark.parametrize(("rows", "shared"), [(8, False), (9, True)])
async def test_the_first_snapshot_has_five_rows_more_than_attributes(
    rows: int, shared: bool
) -> None:
    world = await pulsing(2, rows)
    held = world.admin.state.rows[world.nodes[1].uuid].accepted
    assert (held is not None) is shared
    blocked = any("MIN_ROWS" in entry for entry in world.admin.state.syncs.entries)
    assert blocked is not shared


@pytest.mark.parametrize("broker_restarts", [False, True])
async def test_a_joiner_has_all_that_the_others_have_although_they_say_nothing_new(
    broker_restarts: bool,
) -> None:
    world = await pulsing(3)
    await rounds(world, 5)
    if broker_restarts:
        world.restart_broker()
        await rounds(world, 1)
    joiner = await late(world)
    await rounds(world, 1)
    assert totals(world) == [200] * 4
    assert len({node.site.federated for node in world.nodes}) == 1
    assert all(node.state.counters.snd_count == 1 for node in world.nodes), "the rest was ALIVE"
    assert errors(joiner) == ()


async def test_who_asks_gets_the_last_approved_snapshot_and_nothing_newer() -> None:
    world = await pulsing(2)
    asking, asked = world.nodes
    before = snapshot_marks(asking.state, asked.uuid)
    asked.site.learn(30)
    approved = asked.state.approved
    await asking.up.request_sync()
    sent: list[Header] = []
    original = asked.transport.publish_snapshot

    async def watched(message: Sealed) -> None:
        sent.append(parse(message.data).header)
        await original(message)

    asked.transport.publish_snapshot = watched  # type: ignore[method-assign]
    await world.run_for(5_000)
    assert [(header.epoch, header.seq) for header in sent] == [before]
    assert isinstance(sent[0].sync, SyncInfo)
    assert sent[0].sync.rows == 50
    assert asked.state.approved == approved
    assert totals(world)[0] == 100


async def test_one_who_asks_all_the_time_is_answered_every_ten_seconds() -> None:
    world = await pulsing(2)
    asking, asked = world.nodes
    answered = set()
    for _ in range(25):
        await asking.up.request_sync()
        await world.run_for(1_000)
        answered.add(asked.state.answered_ms)
    assert len(answered) == 3


async def test_a_stopped_peer_keeps_everything_and_goes_on_when_it_is_started() -> None:
    world = await pulsing(3)
    stopped = world.nodes[2]
    await stopped.up.tell(StopPulse())
    assert doing(stopped) is NodeState.IDLE
    stopped.site.learn(20)
    await rounds(world, 2)
    assert totals(world) == [150, 150, 150]
    await world.start(stopped)
    await rounds(world, 1)
    assert totals(world) == [170, 170, 170]


async def test_a_peer_that_does_not_pulse_merges_only_when_its_user_asks() -> None:
    world = await pulsing(3)
    idle = await world.join()
    idle.site.learn(50)
    world.admin.site.learn(20)
    await rounds(world, 2)
    assert totals(world) == [170, 170, 170, -1]
    await idle.up.request_sync()
    await world.run_for(5_000)
    assert totals(world) == [170, 170, 170, 220]
    await world.run_for(MINUTE_MS)
    world.admin.site.learn(20)
    await rounds(world, 2)
    assert totals(world) == [190, 190, 190, 220]


async def test_a_peer_that_begins_to_pulse_sees_all_before_its_first_tick() -> None:
    world = await pulsing(3, sync_sched="d1")
    await world.run_for(24 * 60 * MINUTE_MS)
    await late(world)
    await world.run_for(5_000)
    assert totals(world) == [150, 150, 150, 200], "the others do not have its rows yet"


async def test_a_silent_peer_is_stale_after_three_periods_and_still_counts() -> None:
    world = await pulsing(3)
    world.nodes[2].driver = None
    await rounds(world, 3)
    assert world.admin.state.status_of(world.nodes[2].uuid) is PeerStatus.ACTIVE
    await rounds(world, 1)
    assert world.admin.state.status_of(world.nodes[2].uuid) is PeerStatus.STALE
    world.nodes[0].site.learn(20)
    await rounds(world, 1)
    assert totals(world)[:2] == [170, 170]


async def test_a_peer_that_is_silent_for_too_long_is_dropped_until_it_speaks_again() -> None:
    world = await pulsing(3, expire_periods=5)
    silent = world.nodes[2]
    world.faults.cut_off.add(silent.uuid)
    await rounds(world, 7)
    assert totals(world)[:2] == [100, 100]
    world.faults.cut_off.clear()
    await rounds(world, 2)
    assert totals(world) == [150, 150, 150]


async def test_an_object_that_a_peer_has_is_not_fetched_again() -> None:
    world = await pulsing(3, inline_bytes=64, encrypt=True)
    asking, other = world.nodes[:2]
    fetched: list[str] = []
    original = other.transport.fetch

    async def watched(reference: Reference, size_bytes: int) -> bytes | None:
        fetched.append(reference.key)
        return await original(reference, size_bytes)

    other.transport.fetch = watched  # type: ignore[method-assign]
    before = other.state.counters
    await asking.up.request_sync()
    await world.run_for(5_000)
    assert fetched == [], "all have published again what it has"
    assert other.state.counters == before
    asking.site.learn(20)
    await rounds(world, 1)
    assert len(fetched) == 1
    assert totals(world) == [170] * 3


async def test_large_snapshots_travel_as_objects() -> None:
    world = await pulsing(3, inline_bytes=64)
    assert totals(world) == [150, 150, 150]
    assert len(world.broker.objects) == 3, "each peer's last one, and no older"
    world.admin.site.learn(20)
    await rounds(world, 1)
    assert len(world.broker.objects) == 3
    world.broker.objects.clear()
    await late(world)
    await rounds(world, 2)
    assert totals(world) == [220] * 4, "whoever misses an object asks, and it is published again"


async def test_large_snapshots_in_short_periods_are_warned_of_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ticking, "LARGE_ATTRIBUTES", 3)
    world = await pulsing(2)
    world.nodes[0].site.learn(20)
    await rounds(world, 2)
    (entry,) = errors(world.nodes[0])
    assert entry.startswith("Warning: a snapshot of 4 attributes has ")
    assert entry.endswith(" a schedule of an hour or more is advised, not m1")
    monkeypatch.setattr(ticking, "LARGE_PERIOD_MS", MINUTE_MS)
    assert errors((await pulsing(2)).nodes[0]) == ()
