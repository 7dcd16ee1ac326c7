"""The scenarios that a federation must pass, told with real statistics of Iris."""

from __future__ import annotations

import pytest

from tally.codec import project as codec
from tally.errors import InvalidInput
from tally.federation.envelope import Draft, parse, seal
from tally.federation.errors import NotAdmin
from tally.federation.events import Leave, NewSchedule
from tally.federation.keys import FederationKeys
from tally.federation.messages import LeavePayload, MessageType, RosterPayload, SyncInfo, encode
from tally.federation.state import PeerStatus
from tests.federation.iris import BASE, StatisticsNode, StatisticsWorld, counts, thirds
from tests.federation.worlds import errors, given, rounds, signed


def same_bits(world: StatisticsWorld) -> bool:
    """Tell whether all peers have the same federated project."""
    built = (node.site.federated for node in world.nodes)
    return len({b"" if one is None else codec.encode(one) for one in built}) == 1


def reasons(node: StatisticsNode) -> list[str]:
    """Return why a peer's snapshots were not shared, one for each round in which they were not."""
    lines = (entry.split(": ") for entry in node.state.syncs.entries)
    return [line[1] for line in lines if line[0] == "Snapshot not shared"]


async def test_11_every_snapshot_comes_three_times_shuffled_and_a_third_is_lost() -> None:
    world = await thirds(learned=0)
    faults = world.faults
    faults.repeat, faults.repeats, faults.delay_ms = 1.0, 2, 90_000
    faults.drop = 0.3
    for node in world.nodes:
        node.site.learn(50)
    seen = set()
    for _ in range(15):
        await rounds(world, 1)
        seen.update(counts(world))
    assert max(seen) == 150
    assert counts(world) == [150, 150, 150], "it gets there although nothing is mended"
    assert same_bits(world)


async def test_12_rows_that_were_learned_count_at_the_next_tick() -> None:
    world = await thirds(more=20)
    world.nodes[1].site.learn(20)
    await rounds(world, 1)
    assert counts(world) == [170, 170, 170]


async def test_12_a_restored_peer_with_a_lost_number_counts_once_in_a_new_epoch() -> None:
    world = await thirds(more=20)
    restored = world.nodes[1]
    record_of_the_backup = restored.journal.saved
    restored.site.learn(20)
    await rounds(world, 1)
    before = restored.state.epoch
    world.crash(restored, 1_000)
    restored.journal.saved = record_of_the_backup
    await rounds(world, 2)
    assert restored.state.epoch > before
    held = world.nodes[0].state.rows[restored.uuid].accepted
    assert held is not None
    assert held.epoch == restored.state.epoch
    assert counts(world) == [170, 170, 170]
    assert same_bits(world)


async def test_13_eight_rows_of_four_attributes_stay_and_nine_leave() -> None:
    world = await thirds(learned=8)
    assert counts(world) == [-1, -1, -1] or max(counts(world)) == 8
    assert [reasons(node) for node in world.nodes] == [["MIN_ROWS"]] * 3
    world.nodes[1].site.learn(1)
    await rounds(world, 1)
    held = world.nodes[0].state.rows[world.nodes[1].uuid].accepted
    assert held is not None
    assert held.info.rows == 9


async def test_13_changes_of_eight_rows_wait_for_a_ninth_and_three_forgotten_ones_stay() -> None:
    world = await thirds(more=20)
    changing = world.nodes[1]
    changing.site.learn(8)
    await rounds(world, 1)
    assert reasons(changing) == ["MIN_DELTA"]
    assert counts(world)[0] == 150
    changing.site.learn(1)
    await rounds(world, 1)
    assert reasons(changing) == ["MIN_DELTA"]
    assert counts(world) == [159, 159, 159]
    changing.site.forget(3)
    await rounds(world, 2)
    assert reasons(changing) == ["MIN_DELTA"] * 3
    assert counts(world)[0] == 159


@pytest.mark.parametrize("broker_restarts", [False, True])
async def test_14_a_joiner_after_five_ticks_begins_with_what_the_others_have(
    broker_restarts: bool,
) -> None:
    world = await thirds()
    await rounds(world, 5)
    assert all(node.state.counters.snd_count == 1 for node in world.nodes), "the rest was ALIVE"
    if broker_restarts:
        world.restart_broker()
        await rounds(world, 1)
    joiner = await world.join()
    await world.start(joiner)
    await world.run_for(5_000)
    assert counts(world) == [150] * 4, "before its first tick"
    assert same_bits(world)
    assert joiner.state.syncs.entries == ("#peers:3",)


async def test_14_who_is_asked_for_its_snapshot_answers_with_the_shared_one() -> None:
    world = await thirds(more=20)
    asking, asked = world.nodes[:2]
    shared = asking.state.rows[asked.uuid].accepted
    assert shared is not None
    asked.site.learn(20)
    await asking.up.request_sync()
    await world.run_for(3_000)
    stored = next(iter(world.broker.streams["sync"].of(asked.uuid)))
    header = parse(stored.data).header
    assert stored.broker_ms == world.timeline.now_ms - 3_000, "it was published again"
    assert (header.epoch, header.seq) == (shared.epoch, shared.seq)
    assert isinstance(header.sync, SyncInfo)
    assert header.sync.rows == 50


async def test_15_who_leaves_takes_its_rows_along_and_who_is_killed_does_not() -> None:
    world = await thirds()
    killed = world.nodes[2]
    killed.driver = None
    await rounds(world, 4)
    assert counts(world)[:2] == [150, 150]
    assert world.admin.state.status_of(killed.uuid) is PeerStatus.STALE
    gone = world.nodes[1]
    await gone.up.tell(Leave(world.timeline.now_ms))
    await rounds(world, 1)
    assert counts(world)[0] == 100
    assert world.admin.state.status_of(gone.uuid) is PeerStatus.LEFT


async def test_16_a_clock_that_jumps_ten_minutes_ahead_is_told_and_changes_no_total() -> None:
    world = await thirds(more=20)
    wrong = world.nodes[1]
    wrong.clock.skew_ms = 600_000
    await rounds(world, 2)
    for node in (world.nodes[0], world.nodes[2]):
        assert f"Clock skew from peer [{wrong.uuid}]: 600s" in errors(node)
        assert node.state.counters.rcv_error > 0
    assert counts(world) == [150, 150, 150]
    wrong.site.learn(20)
    await rounds(world, 1)
    assert [counts(world)[k] for k in (0, 2)] == [150, 150]
    wrong.clock.skew_ms = 0
    await rounds(world, 2)
    assert counts(world) == [170, 170, 170]


async def test_17_only_the_admin_gives_a_schedule_and_only_one_that_is_one() -> None:
    world = await thirds()
    now_ms = world.timeline.now_ms
    with pytest.raises(NotAdmin) as refused:
        await world.nodes[1].up.tell(NewSchedule(now_ms, "m5"))
    assert refused.value.code == "unauthorized"
    for text in ("M5", "m0", "x3", "h"):
        with pytest.raises(InvalidInput) as none:
            await world.admin.up.tell(NewSchedule(now_ms, text))
        assert str(none.value) == f"Invalid sync schedule [{text}]"
    await world.admin.up.tell(NewSchedule(now_ms, "m2"))
    pending = world.admin.state.pending
    assert pending is not None
    await world.run_for(pending.effective_at - now_ms - 1)
    assert {node.state.sync_sched for node in world.nodes} == {"m1"}
    await world.run_for(1)
    assert {node.state.sync_sched for node in world.nodes} == {"m2"}


@pytest.mark.parametrize("encrypt", [False, True])
async def test_18_encrypted_bytes_tell_no_attribute(encrypt: bool) -> None:
    world = await thirds(encrypt=encrypt)
    captured = b"".join(
        stored.data
        for stream in world.broker.streams.values()
        for node in world.nodes
        for stored in stream.of(node.uuid)
    )
    assert all((name.encode() in captured) is not encrypt for name in BASE)


async def test_18_a_flipped_bit_a_foreign_key_and_a_forged_word_of_the_admin_are_counted() -> None:
    world = await thirds(encrypt=True)
    receiver, other = world.nodes[1:]
    now_ms = world.timeline.now_ms
    flipped = bytearray(next(iter(world.broker.streams["sync"].of(other.uuid))).data)
    flipped[-1] ^= 1
    await given(world, receiver, bytes(flipped))
    assert receiver.state.counters.rcv_error == 1
    leave = Draft(MessageType.LEAVE, "*", 2**60, 1, now_ms, encode(LeavePayload(withdraw=True)))
    foreign = FederationKeys("simulated", bytes(16))
    await given(world, receiver, seal(leave, foreign, other.identity, bytes, encrypt=True).data)
    assert receiver.state.counters.rcv_error == 2
    empty = Draft(MessageType.ROSTER, "*", 2**60, 1, now_ms, encode(RosterPayload(2**40, ())))
    await given(world, receiver, seal(empty, world.keys, other.identity, bytes, encrypt=True).data)
    assert receiver.state.counters.rcv_error == 3
    assert "not the admin" in errors(receiver)[-1]
    assert len(receiver.state.roster.peers) == 3
    await signed(world, receiver, other.identity, leave)
    assert "is not encrypted" in errors(receiver)[-1]
    assert counts(world) == [150, 150, 150]
