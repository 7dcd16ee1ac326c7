"""Who comes and goes, and what the admin decides."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from tally.errors import InvalidInput
from tally.federation.envelope import Draft, open_payload, parse, seal
from tally.federation.errors import (
    CannotJoin,
    EnvelopeRefused,
    NotAdmin,
    TokenExpired,
    TokenInvalid,
    TokenUsed,
    refusal,
)
from tally.federation.events import Leave, NewContract, NewSchedule
from tally.federation.keys import Identity
from tally.federation.messages import (
    JoinAckPayload,
    JoinPayload,
    MessageType,
    Standing,
    decode,
    encode,
)
from tally.federation.simulation.world import INVITATION_MS
from tally.federation.state import NodeState, PeerStatus
from tests.federation.worlds import (
    MINUTE_MS,
    LedgerNode,
    LedgerWorld,
    doing,
    errors,
    late,
    pulsing,
    quiet,
    rounds,
    totals,
)


async def newcomer(world: LedgerWorld) -> LedgerNode:
    """Return a node that has not asked yet."""
    node = await world.add_joiner()
    await node.up.connect()
    return node


async def test_an_invitation_lets_one_node_in_and_may_be_repeated_by_it() -> None:
    world = await quiet(1)
    token = await world.invite()
    first, second = await newcomer(world), await newcomer(world)
    await world.ask_to_join(first, token)
    with pytest.raises(TokenUsed, match=r"^Federation token already used$"):
        await world.ask_to_join(second, token)
    assert doing(second) is NodeState.JOINING
    assert [peer.uuid for peer in world.admin.state.roster.peers] == [
        world.admin.uuid, first.uuid,
    ]  # fmt: skip


async def test_a_lost_answer_is_given_again() -> None:
    world = await quiet(1)
    token = await world.invite()
    node = await newcomer(world)
    saved = node.journal.saved
    await world.ask_to_join(node, token)
    world.crash(node, 0)
    node.journal.saved = saved  # as if the answer had never come
    await world.run_for(2_000)
    await world.ask_to_join(node, token)
    assert doing(node) is NodeState.IDLE
    assert len(world.admin.state.roster.peers) == 2


async def test_an_invitation_expires_after_two_hours() -> None:
    world = await quiet(1)
    token = await world.invite()
    node = await newcomer(world)
    await world.run_for(INVITATION_MS)
    with pytest.raises(TokenExpired, match=r"^Federation token has expired$"):
        await world.ask_to_join(node, token)
    assert len(world.admin.state.roster.peers) == 1


async def test_a_token_that_nobody_issued_is_refused() -> None:
    world = await quiet(1)
    node = await newcomer(world)
    with pytest.raises(TokenInvalid, match=r"^Invalid federation token$"):
        await world.ask_to_join(node, "FEDTOKEN0123456789abcdef")


async def test_of_ten_nodes_with_one_token_one_comes_in() -> None:
    world = await quiet(1)
    token = await world.invite()
    nodes = [await newcomer(world) for _ in range(10)]
    asking = [asyncio.ensure_future(node.up.join(token)) for node in nodes]
    for _ in range(20):
        await asyncio.sleep(0)
        await world.admin.up.drain()
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert sorted(type(one).__name__ for one in found) == ["NoneType"] + ["TokenUsed"] * 9
    assert len(world.admin.state.roster.peers) == 2


async def test_tokens_are_kept_as_hashes_only() -> None:
    world = await quiet(1)
    token = await world.invite()
    saved = world.admin.journal.saved
    assert saved is not None
    assert token.encode() not in saved[0]


async def test_a_node_with_a_known_uuid_and_another_key_is_refused() -> None:
    world = await quiet(2)
    token = await world.invite()
    known = world.nodes[1]
    impostor = Identity(known.uuid, bytes(32))
    payload = JoinPayload(token, known.uuid, "impostor", impostor.public)
    draft = Draft(MessageType.JOIN, world.admin.uuid, 1, 1, world.timeline.now_ms, encode(payload))
    message = seal(draft, world.keys, impostor, bytes, encrypt=True)
    answer = await world.served(
        known.transport.request(world.admin.uuid, message, 1.0), world.admin
    )
    ack = decode(open_payload(parse(answer), world.keys), JoinAckPayload)
    assert ack.error == "Cannot join federation: a peer of this uuid has another key"
    assert isinstance(refusal(ack.code, ack.error), CannotJoin)


async def test_a_node_that_does_not_agree_on_encryption_stays_outside() -> None:
    world = await quiet(1, encrypt=True)
    token = await world.invite()
    node = await newcomer(world)
    settings = msgspec.structs.replace(node.state.settings, encrypt=False)
    node.up.state = msgspec.structs.replace(node.state, settings=settings)
    with pytest.raises(EnvelopeRefused, match="the answer was refused"):
        await world.ask_to_join(node, token)
    assert doing(node) is NodeState.JOINING
    assert "do not agree on [fed_encrypt]" in errors(node)[-1]


async def test_who_leaves_takes_its_rows_along() -> None:
    world = await pulsing(3)
    gone = world.nodes[2]
    await gone.up.tell(Leave(world.timeline.now_ms))
    assert doing(gone) is NodeState.GONE
    await rounds(world, 1)
    assert totals(world)[:2] == [100, 100]
    for node in world.nodes[:2]:
        assert node.state.status_of(gone.uuid) is PeerStatus.LEFT
        assert gone.uuid not in node.state.rows
    await late(world)
    await rounds(world, 1)
    assert totals(world)[3] == 150, "a late joiner does not get them either"


async def test_who_leaves_without_withdrawing_is_counted_for_ever() -> None:
    world = await pulsing(3)
    await world.nodes[2].up.tell(Leave(world.timeline.now_ms, withdraw=False))
    await rounds(world, 5)
    await late(world)
    await rounds(world, 1)
    assert [totals(world)[k] for k in (0, 1, 3)] == [200, 200, 200]
    member = world.admin.state.member(world.nodes[2].uuid)
    assert member is not None
    assert member.state is Standing.FROZEN


async def test_a_goodbye_that_could_not_be_said_is_said_later() -> None:
    world = await pulsing(3)
    gone = world.nodes[2]
    world.faults.cut_off.add(gone.uuid)
    await gone.up.tell(Leave(world.timeline.now_ms))
    assert doing(gone) is NodeState.LEAVING
    assert gone.up.wake_ms is None, "it does not clean up before it has said goodbye"
    await rounds(world, 1)
    assert totals(world)[:2] == [150, 150]
    world.faults.cut_off.clear()
    await rounds(world, 1)
    assert doing(gone) is NodeState.GONE
    assert totals(world)[:2] == [100, 100]


async def test_a_clean_up_that_fails_is_tried_again_later_and_not_all_the_time() -> None:
    world = await pulsing(2)
    node = await newcomer(world)
    world.faults.cut_off.add(node.uuid)
    await node.up.tell(Leave(world.timeline.now_ms))
    assert doing(node) is NodeState.LEAVING
    assert node.up.wake_ms is not None
    assert node.up.wake_ms > world.timeline.now_ms
    await world.run_for(MINUTE_MS)
    world.faults.cut_off.clear()
    await world.run_for(MINUTE_MS)
    assert doing(node) is NodeState.GONE


async def test_the_admins_goodbye_ends_the_federation_and_others_keep_what_they_have() -> None:
    world = await pulsing(3)
    await world.admin.up.tell(Leave(world.timeline.now_ms))
    assert world.broker.streams, "the others have yet to hear of it"
    await world.run_for(MINUTE_MS)
    assert world.broker.streams == {}
    assert doing(world.admin) is NodeState.GONE
    for node in world.nodes[1:]:
        assert doing(node) is NodeState.DETACHED
        assert node.state.status_of(world.admin.uuid) is PeerStatus.DETACHED
    assert totals(world)[1:] == [150, 150]


async def test_without_the_admin_the_others_go_on() -> None:
    world = await pulsing(3)
    world.admin.driver = None
    world.nodes[1].site.learn(20)
    await rounds(world, 1)
    assert totals(world)[1:] == [170, 170]


async def test_only_the_admin_decides() -> None:
    world = await pulsing(2)
    peer, now_ms = world.nodes[1], world.timeline.now_ms
    for event in (NewSchedule(now_ms, "m5"), NewContract(now_ms, ())):
        with pytest.raises(NotAdmin, match=r"^Only the federation admin can perform"):
            await peer.up.tell(event)


@pytest.mark.parametrize("text", ["M5", "m0", "x3", "h", "", "m05", "s5", "m 5", "d367"])
async def test_what_is_no_schedule_is_refused(text: str) -> None:
    world = await pulsing(2)
    before = world.admin.state
    with pytest.raises(InvalidInput) as refused:
        await world.admin.up.tell(NewSchedule(world.timeline.now_ms, text))
    assert str(refused.value) == f"Invalid sync schedule [{text}]"
    assert world.admin.state is before


async def test_all_switch_to_a_new_schedule_at_the_same_moment() -> None:
    world = await pulsing(3)
    await world.admin.up.tell(NewSchedule(world.timeline.now_ms, "m2"))
    pending = world.admin.state.pending
    assert pending is not None
    moment_ms = pending.effective_at
    await world.run_for(moment_ms - world.timeline.now_ms - 1_000)
    assert {node.state.sync_sched for node in world.nodes} == {"m1"}
    await world.run_for(2_000)
    assert {node.state.sync_sched for node in world.nodes} == {"m2"}
    world.nodes[2].site.learn(20)
    await rounds(world, 3)
    assert totals(world) == [170] * 3
    joiner = await late(world)
    await rounds(world, 2)
    assert joiner.state.sync_sched == "m2"


async def test_our_own_contract_keeps_a_snapshot_back() -> None:
    world = await quiet(2)
    world.nodes[1].site.forget(40)
    await world.admin.up.tell(NewContract(world.timeline.now_ms, ("rows >= 20",)))
    await world.start_all()
    await rounds(world, 1)
    admin, kept = (node.state for node in world.nodes)
    assert kept.counters.snd_contract_error == 1
    assert kept.errors.entries[-1] == "Contract validation failed: rows < 20"
    assert admin.counters.rcv_contract_error == {world.nodes[1].uuid: 1}
    assert totals(world)[0] == 50


@pytest.mark.parametrize("block", [True, False])
async def test_others_contracts_are_checked_where_they_arrive(block: bool) -> None:
    world = await quiet(2, block_send=False, block_receive=block)
    world.nodes[1].site.forget(40)
    await world.admin.up.tell(NewContract(world.timeline.now_ms, ("rows >= 20",)))
    await world.start_all()
    await rounds(world, 1)
    admin, peer = world.admin.state, world.nodes[1].uuid
    assert admin.counters.rcv_contract_error == {peer: 1}
    assert errors(world.admin) == (f"Contract validation failed: rows < 20 peer:[{peer}]",)
    assert totals(world)[0] == (50 if block else 60)
    assert admin.status_of(peer) is (PeerStatus.BLOCKED if block else PeerStatus.ACTIVE)
    await world.admin.up.tell(NewContract(world.timeline.now_ms, ()))
    await rounds(world, 1)
    assert totals(world)[0] == 60, "what the old contract refused the new one takes"
    await world.admin.up.tell(NewContract(world.timeline.now_ms, ("rows >= 30",)))
    await rounds(world, 1)
    assert totals(world)[0] == (50 if block else 60), "and the other way round"


async def test_a_refused_snapshot_is_forgotten_once_a_newer_one_is_taken() -> None:
    world = await pulsing(2, block_send=False)
    peer = world.nodes[1]
    await world.admin.up.tell(NewContract(world.timeline.now_ms, ("rows >= 30",)))
    peer.site.forget(30)
    await rounds(world, 1)
    assert totals(world)[0] == 100, "the one before it stays"
    assert world.admin.state.status_of(peer.uuid) is PeerStatus.BLOCKED
    peer.site.learn(20)
    await rounds(world, 1)
    assert totals(world)[0] == 90
    assert world.admin.state.status_of(peer.uuid) is PeerStatus.ACTIVE
