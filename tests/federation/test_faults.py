"""Crashes, wrong clocks, forged and repeated messages."""

from __future__ import annotations

import msgspec
import pytest

from tally.federation.envelope import Draft, Reference, object_key, parse, seal
from tally.federation.errors import EnvelopeRefused
from tally.federation.events import NewContract, NewSchedule, Reconnected, Restarted, StopPulse
from tally.federation.keys import FederationKeys, Identity
from tally.federation.messages import LeavePayload, MessageType, RosterPayload, encode
from tally.federation.state import NodeState
from tests.federation.worlds import (
    LedgerNode,
    LedgerWorld,
    broken_rows,
    doing,
    errors,
    given,
    late,
    pulsing,
    quiet,
    rounds,
    signed,
    snapshot_marks,
    totals,
)

LAST_SNAPSHOT = "sync"


def stored(world: LedgerWorld, node: LedgerNode) -> bytes:
    """Return the snapshot of a peer as the broker keeps it."""
    return next(iter(world.broker.streams[LAST_SNAPSHOT].of(node.uuid))).data


async def test_a_killed_peer_goes_on_pulsing_from_its_record() -> None:
    world = await pulsing(3)
    killed = world.nodes[2]
    world.crash(killed, 10_000)
    killed.site.learn(20)
    await rounds(world, 2)
    assert doing(killed) is NodeState.PULSING
    assert totals(world) == [170, 170, 170]


async def test_the_broker_restarts_without_its_memory() -> None:
    world = await pulsing(3)
    world.restart_broker()
    world.nodes[1].site.learn(20)
    await rounds(world, 2)
    assert totals(world) == [170, 170, 170]
    assert all(stored(world, node) for node in world.nodes)


async def test_a_peer_that_is_restored_from_an_old_record_is_heard_again() -> None:
    world = await pulsing(3)
    restored = world.nodes[1]
    old = restored.journal.saved
    for _ in range(3):
        restored.site.learn(20)
        await rounds(world, 1)
    before = snapshot_marks(world.admin.state, restored.uuid)
    world.crash(restored, 1_000)
    restored.journal.saved = old
    restored.site.learn(20)
    await rounds(world, 3)
    after = snapshot_marks(world.admin.state, restored.uuid)
    assert after[0] > before[0], "a higher epoch"
    assert totals(world) == [230, 230, 230]
    assert broken_rows(world) == set()


async def test_an_admin_that_is_restored_from_an_old_record_recalls_its_own_words() -> None:
    world = await pulsing(2)
    admin = world.admin
    old = admin.journal.saved
    await late(world)
    await admin.up.tell(NewContract(world.timeline.now_ms, ("rows >= 3",)))
    await admin.up.tell(NewSchedule(world.timeline.now_ms, "m2"))
    await rounds(world, 1)
    said = admin.state
    world.crash(admin, 1_000)
    admin.journal.saved = old
    await world.run_for(5_000)
    assert admin.state.roster == said.roster
    assert admin.state.contract == said.contract
    assert admin.state.pending == said.pending
    assert admin.state.admin_seq == said.admin_seq
    await late(world)
    await admin.up.tell(NewContract(world.timeline.now_ms, ("rows >= 4",)))
    await rounds(world, 6)
    for node in world.nodes:
        assert len(node.state.roster.peers) == 4
        assert node.state.contract.rules == ("rows >= 4",)
        assert node.state.sync_sched == "m2"
    assert totals(world) == [200] * 4


async def test_a_takeover_begins_an_epoch_above_all_that_were_seen() -> None:
    world = await pulsing(2)
    node = world.nodes[1]
    seen = world.timeline.now_ms + 5_000_000
    await node.up.tell(Restarted(world.timeline.now_ms, takeover=True, seen=(seen, 3)))
    assert node.state.epoch == seen + 1


async def test_who_finds_its_future_only_once_the_broker_is_back_begins_an_epoch_as_well() -> None:
    world = await pulsing(2)
    node = world.nodes[1]
    seen = (node.state.epoch, node.state.seq + 7)
    await node.up.tell(Reconnected(world.timeline.now_ms, seen))
    assert node.state.epoch > seen[0]
    before = node.state.epoch
    await node.up.tell(Reconnected(world.timeline.now_ms, seen))
    assert node.state.epoch == before, "what is older is no news"


async def test_two_snapshots_of_one_number_are_an_error_and_the_first_stays() -> None:
    world = await pulsing(2)
    receiver, sender = world.nodes
    epoch, seq = snapshot_marks(receiver.state, sender.uuid)
    header = parse(stored(world, sender)).header
    draft = Draft(
        MessageType.SYNC, "*", epoch, seq, world.timeline.now_ms, b'["other"]', header.sync
    )
    twin = seal(draft, world.keys, sender.identity, bytes, encrypt=False)
    before = receiver.state.rows
    await given(world, receiver, twin.data)
    assert "two different SYNC" in errors(receiver)[-1]
    assert receiver.state.counters.rcv_error == 1
    assert receiver.state.rows == before


@pytest.mark.parametrize("same", [False, True])
async def test_two_snapshots_of_one_number_are_an_error_also_as_objects(same: bool) -> None:
    world = await pulsing(2, inline_bytes=64)
    receiver, sender = world.nodes
    approved = sender.state.approved
    assert approved is not None
    snapshot = approved.snapshot
    info = snapshot.info if same else msgspec.structs.replace(snapshot.info, version="1-51")
    key = object_key(sender.uuid, snapshot.epoch, snapshot.seq, "a1b2")
    draft = Draft(
        MessageType.SYNC, "*", snapshot.epoch, snapshot.seq, world.timeline.now_ms,
        snapshot.payload if same else b'["other"]', info,
    )  # fmt: skip
    reference = Reference("nats", key)
    twin = seal(draft, world.keys, sender.identity, bytes, encrypt=False, reference=reference)
    before = receiver.state
    await sender.transport.publish_snapshot(twin)
    await receiver.up.drain()
    assert receiver.state.rows == before.rows
    assert receiver.state.counters.rcv_error == (0 if same else 1)
    assert same or "two different SYNC" in errors(receiver)[-1]


async def test_an_older_snapshot_that_comes_late_changes_nothing() -> None:
    world = await pulsing(2)
    receiver, sender = world.nodes
    older = stored(world, sender)
    sender.site.learn(20)
    await rounds(world, 1)
    before = receiver.state
    assert totals(world)[0] == 120
    await given(world, receiver, older)
    assert receiver.state is before


async def test_a_peer_that_reads_what_it_does_not_remember_begins_a_new_epoch() -> None:
    world = await pulsing(2)
    node = world.nodes[1]
    future = node.state.epoch + 10_000_000
    payload = encode(LeavePayload(withdraw=False))
    draft = Draft(MessageType.LEAVE, "*", future, 3, world.timeline.now_ms, payload)
    await signed(world, node, node.identity, draft)
    assert node.state.epoch == future + 1
    assert doing(node) is NodeState.PULSING, "its own words are not obeyed"


async def test_what_was_built_before_a_crash_is_built_again_though_nothing_is_new() -> None:
    world = await pulsing(3)
    crashed = world.nodes[1]
    world.crash(crashed, 1_000)
    assert crashed.site.federated is None
    await world.run_for(5_000)
    assert totals(world) == [150, 150, 150]


async def test_a_repeated_message_is_no_error_and_changes_nothing() -> None:
    world = await pulsing(2)
    receiver, sender = world.nodes
    before = receiver.state
    await given(world, receiver, stored(world, sender))
    await given(world, receiver, stored(world, receiver))
    assert receiver.state is before


@pytest.mark.parametrize(("skew_ms", "told"), [(600_000, 600), (-900_000, -900)])
async def test_a_peer_whose_clock_jumps_is_not_believed_until_it_is_right(
    skew_ms: int, told: int
) -> None:
    world = await pulsing(3)
    wrong = world.nodes[1]
    wrong.clock.skew_ms = skew_ms
    wrong.site.learn(20)
    await rounds(world, 2)
    assert totals(world)[0] == totals(world)[2] == 150
    assert f"Clock skew from peer [{wrong.uuid}]: {told}s" in errors(world.admin)
    wrong.clock.skew_ms = 0
    wrong.site.learn(20)
    await rounds(world, 2)
    assert totals(world) == [190, 190, 190]


@pytest.mark.parametrize("pulses", [False, True])
async def test_what_an_admin_said_while_its_clock_was_wrong_it_says_again(pulses: bool) -> None:
    world = await quiet(2)
    if pulses:
        await world.start_all()
    admin, peer = world.nodes
    newcomer = await world.add_joiner()
    await newcomer.up.connect()
    token = await world.invite()
    await world.run_for(10_000)
    admin.clock.skew_ms = 70_000  # at startPulse it was right
    now_ms = admin.up.now_ms()
    await admin.up.tell(NewSchedule(now_ms, "m2"))
    await admin.up.tell(NewContract(now_ms, ("rows >= 3",)))
    # It does not take the answer either; but its token is used up, and it is in the roster.
    with pytest.raises(EnvelopeRefused):
        await world.ask_to_join(newcomer, token)
    await world.run_for(10_000)
    assert len(admin.state.roster.peers) == 3
    assert len(peer.state.roster.peers) == 2
    assert any("Clock skew of this node: 70s" in entry for entry in errors(admin))
    admin.clock.skew_ms = 0
    if not pulses:
        # Whoever is silent is not told the time; anything that it says tells it.
        await admin.up.request_sync()
    await rounds(world, 2)
    assert len(peer.state.roster.peers) == 3
    assert peer.state.contract.rules == ("rows >= 3",)
    assert peer.state.pending is not None
    assert sum("Clock skew of this node" in entry for entry in errors(admin)) == 1


@pytest.mark.parametrize("pulses", [False, True])
async def test_who_hears_an_unknown_peer_asks_the_admin_for_the_roster(pulses: bool) -> None:
    world = await pulsing(2)
    admin, peer = world.nodes
    before = peer.state.roster
    newcomer = await late(world)
    await rounds(world, 1)
    if not pulses:
        await admin.up.tell(StopPulse())
    peer.up.state = msgspec.structs.replace(peer.state, roster=before)  # as if it never came
    await rounds(world, 2)
    assert len(peer.state.roster.peers) == 3
    assert totals(world)[1:] == [150, 150]
    asked = [entry for entry in errors(peer) if "is not in the roster" in entry]
    assert asked == [f"peer [{newcomer.uuid}] is not in the roster"] * len(asked)


async def test_a_peer_whose_clock_is_wrong_does_not_begin_to_pulse() -> None:
    world = await quiet(2)
    node = world.nodes[1]
    node.clock.skew_ms = 61_000
    await node.up.start_pulse()
    assert doing(node) is NodeState.IDLE
    assert "Clock skew of this node: 61s" in errors(node)[0]
    node.clock.skew_ms = 59_000
    await node.up.start_pulse()
    assert doing(node) is NodeState.PULSING


@pytest.mark.parametrize("place", [0, 6, 40, 500, -1])
async def test_a_flipped_bit_is_counted_and_changes_nothing(place: int) -> None:
    world = await pulsing(2, encrypt=True)
    receiver, sender = world.nodes
    data = bytearray(stored(world, sender))
    data[place] ^= 1
    before = receiver.state
    await given(world, receiver, bytes(data))
    after = receiver.state
    assert after.counters.rcv_error == before.counters.rcv_error + 1
    assert (after.rows, after.marks) == (before.rows, before.marks)


async def test_a_message_under_a_foreign_key_is_counted() -> None:
    world = await pulsing(2)
    receiver, sender = world.nodes
    draft = Draft(MessageType.LEAVE, "*", 2**60, 1, world.timeline.now_ms, b'{"withdraw":true}')
    foreign = FederationKeys("simulated", bytes(16))
    message = seal(draft, foreign, sender.identity, bytes, encrypt=False)
    await given(world, receiver, message.data)
    assert receiver.state.counters.rcv_error == 1


async def test_captured_bytes_tell_no_row_and_no_attribute_if_encrypted() -> None:
    for encrypt in (False, True):
        world = await pulsing(2, encrypt=encrypt)
        captured = b"".join(stored(world, node) for node in world.nodes)
        row = world.admin.site.rows[0].encode()
        assert (row in captured) is not encrypt


async def test_an_unencrypted_message_in_an_encrypted_federation_is_refused() -> None:
    world = await pulsing(2, encrypt=True)
    receiver, sender = world.nodes
    payload = encode(LeavePayload(withdraw=True))
    draft = Draft(MessageType.LEAVE, "*", 2**60, 1, world.timeline.now_ms, payload)
    await signed(world, receiver, sender.identity, draft)
    assert "is not encrypted" in errors(receiver)[-1]
    assert totals(world)[0] == 100


async def test_an_admins_word_from_a_peer_is_refused() -> None:
    world = await pulsing(3)
    receiver, forger = world.nodes[1:]
    empty = RosterPayload(2**40, ())
    draft = Draft(MessageType.ROSTER, "*", 2**60, 1, world.timeline.now_ms, encode(empty))
    await signed(world, receiver, forger.identity, draft)
    assert "not the admin" in errors(receiver)[-1]
    assert len(receiver.state.roster.peers) == 3


async def test_a_word_that_claims_to_be_the_admins_is_refused() -> None:
    world = await pulsing(3)
    receiver = world.nodes[1]
    draft = Draft(MessageType.DISSOLVE, "*", 2**60, 1, world.timeline.now_ms, b"{}")
    identity = Identity(world.admin.uuid, bytes(32))
    await signed(world, receiver, identity, draft)
    assert "signature" in errors(receiver)[-1]
    assert doing(receiver) is NodeState.PULSING


async def test_what_is_no_statistics_is_refused_and_leaves_no_mark() -> None:
    world = await pulsing(2)
    receiver, sender = world.nodes
    header = parse(stored(world, sender)).header
    now_ms = world.timeline.now_ms
    draft = Draft(MessageType.SYNC, "*", 2**60, 1, now_ms, b"noise", header.sync)
    before = receiver.state
    await signed(world, receiver, sender.identity, draft)
    assert receiver.state.rows == before.rows
    assert receiver.state.marks == before.marks
    assert receiver.state.counters.rcv_error == 1
