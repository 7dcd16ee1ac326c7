"""A member of the federation that lies, asks without end, or sends what breaks others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from tally.errors import InvalidInput, StoreUnavailable
from tally.federation import messages
from tally.federation.effects import Effect, Explore, PublishControl, Rebuild, Reply
from tally.federation.envelope import Draft, Sealed, open_payload, parse, seal
from tally.federation.errors import EnvelopeRefused
from tally.federation.events import Join, Leave, NewContract
from tally.federation.exploring import MAX_QUESTIONS
from tally.federation.keys import Identity
from tally.federation.membership import MAX_REFUSED
from tally.federation.messages import (
    AnyPayload,
    ExploreRequestPayload,
    JoinAckPayload,
    JoinPayload,
    Leaf,
    MessageType,
    Standing,
    SyncInfo,
    decode,
    encode,
)
from tally.federation.state import NodeState
from tests.federation.worlds import (
    MINUTE_MS,
    LedgerNode,
    LedgerWorld,
    doing,
    errors,
    pulsing,
    quiet,
    rounds,
    signed,
    totals,
)

HIGH = 2**62


def draft(
    world: LedgerWorld,
    kind: MessageType,
    payload: bytes | AnyPayload,
    *,
    seq: int = 1,
    sync: SyncInfo | msgspec.UnsetType = msgspec.UNSET,
    to: str = "*",
) -> Draft:
    """Return a message with a number above all that its sender has used."""
    body = encode(payload) if isinstance(payload, AnyPayload) else payload
    return Draft(kind, to, HIGH, seq, world.timeline.now_ms, body, sync)


def sync_info(node: LedgerNode, **fields: Any) -> SyncInfo:
    """Return what a peer's last snapshot tells, changed."""
    approved = node.state.approved
    assert approved is not None
    return msgspec.structs.replace(approved.snapshot.info, **fields)


def asks_for_snapshots(effects: Sequence[Effect], world: LedgerWorld) -> bool:
    """Tell whether a peer asked for a snapshot."""
    published = (effect for effect in effects if isinstance(effect, PublishControl))
    return any(parse(one.message.data).header.type is MessageType.SYNC_REQ for one in published)


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (MessageType.ALIVE, b'{"allow_explore":true,"round":%d,"version":""}' % 10**30),
        (MessageType.EXPLORE_REQ, b'{"context":{"a":' + b"[" * 200_000),
        (MessageType.EXPLORE_REP, b'{"result":' + b'{"a":' * 200_000),
        (MessageType.LEAVE, b'{"withdraw":1}'),
        (MessageType.SYNC_REQ, b'{"reason":"","req_id":"a b"}'),
        (MessageType.ALIVE, b"\xff"),
        (MessageType.ALIVE, b""),
    ],
    ids=["too high", "nested", "nested answer", "type", "id", "no text", "nothing"],
)
async def test_a_payload_that_is_none_is_refused_and_breaks_nothing(
    kind: MessageType, payload: bytes
) -> None:
    world = await pulsing(2)
    receiver, liar = world.nodes
    before = receiver.state
    await signed(world, receiver, liar.identity, draft(world, kind, payload), reply_to="r")
    after = receiver.state
    assert after.counters.rcv_error == before.counters.rcv_error + 1
    assert (after.rows, after.marks) == (before.rows, before.marks)


async def test_numbers_that_are_as_high_as_can_be_silence_only_their_sender() -> None:
    world = await pulsing(3)
    receiver, other, liar = world.nodes
    top = 2**63 - 1
    alive = messages.AlivePayload(round=top, version="", allow_explore=True)
    message = Draft(MessageType.ALIVE, "*", top, top, world.timeline.now_ms, encode(alive))
    await signed(world, receiver, liar.identity, message)
    other.site.learn(20)
    liar.site.learn(20)
    await rounds(world, 2)
    assert totals(world) == [190, 190, 190]
    assert receiver.state.counters.rcv_error == 0
    world.crash(receiver, 1_000)
    await rounds(world, 1)
    assert doing(receiver) is NodeState.PULSING, "its record can be read"


async def test_a_snapshot_that_claims_another_peers_rows_is_refused() -> None:
    world = await pulsing(3)
    receiver, victim, liar = world.nodes
    theirs = (Leaf(victim.uuid, "1-50", 50),)
    info = sync_info(liar, provenance=theirs)
    message = draft(world, MessageType.SYNC, b'["x"]', sync=info)
    before = receiver.state.rows
    await signed(world, receiver, liar.identity, message)
    assert errors(receiver)[-1] == f"peer [{liar.uuid}] tells of rows of peer [{victim.uuid}]"
    assert receiver.state.rows == before


async def test_nobody_speaks_for_another_and_our_own_words_from_others_change_no_epoch() -> None:
    world = await pulsing(2)
    receiver, liar = world.nodes
    for uuid in (receiver.uuid, world.admin.uuid):
        impostor = Identity(uuid, bytes(32))
        before = receiver.state
        message = draft(world, MessageType.LEAVE, messages.LeavePayload(withdraw=True))
        await signed(world, receiver, impostor, message)
        assert "signature" in errors(receiver)[-1]
        assert (receiver.state.epoch, receiver.state.rows) == (before.epoch, before.rows)
    assert liar.uuid in receiver.state.rows


async def test_versions_that_do_not_exist_are_asked_for_every_ten_seconds_at_most() -> None:
    world = await pulsing(2)
    receiver, liar = world.nodes
    await world.run_for(20_000)
    asked = 0
    for number in range(50):
        alive = messages.AlivePayload(round=0, version=f"9-{number}", allow_explore=True)
        message = draft(world, MessageType.ALIVE, alive, seq=number + 1)
        asked += asks_for_snapshots(await signed(world, receiver, liar.identity, message), world)
        await world.run_for(500)
    assert 2 <= asked <= 4


async def test_those_who_ask_at_the_same_time_are_answered_together() -> None:
    world = await pulsing(6)
    asked = world.nodes[0]
    published = []
    original = asked.transport.publish_snapshot

    async def watched(message: Any) -> None:
        published.append(world.timeline.now_ms)
        await original(message)

    asked.transport.publish_snapshot = watched  # type: ignore[method-assign]
    for node in world.nodes[1:]:
        await node.up.request_sync()
        await world.run_for(100)
    assert len(published) == 1, "the first at once"
    await world.run_for(12_000)
    assert len(published) == 2, "the others with one answer"
    await world.run_for(15_000)
    assert len(published) == 2


async def questions(world: LedgerWorld, count: int) -> list[Sequence[Effect]]:
    """Return what a peer does about so many questions of another within a moment."""
    asked, asking = world.nodes[:2]
    return [
        await signed(
            world, asked, asking.identity,
            draft(
                world, MessageType.EXPLORE_REQ, ExploreRequestPayload(f"q{number}", "count", {}),
                to=asked.uuid,
            ),
            reply_to="r",
        )
        for number in range(count)
    ]  # fmt: skip


async def test_a_peer_that_asks_without_end_is_told_so_once_and_then_not_heard() -> None:
    world = await pulsing(2)
    asked = world.nodes[0]
    found = await questions(world, MAX_QUESTIONS + 20)
    computed = [any(isinstance(effect, Explore) for effect in effects) for effects in found]
    told = [any(isinstance(effect, Reply) for effect in effects) for effects in found]
    assert computed == [True] * MAX_QUESTIONS + [False] * 20
    assert told[MAX_QUESTIONS:] == [True] + [False] * 19
    before = asked.state
    await questions(world, 1)
    assert asked.state is before, "and nothing is written"
    await world.run_for(MINUTE_MS)
    assert any(isinstance(effect, Explore) for effect in (await questions(world, 1))[0])


@pytest.mark.parametrize("by_another", [True, False])
async def test_an_answer_of_another_peer_or_to_another_question_is_not_taken(
    by_another: bool,
) -> None:
    world = await pulsing(3)
    asking, asked, other = world.nodes
    answers = other if by_another else asked

    async def hijacked(to: str, message: Sealed, timeout_s: float) -> bytes:
        question = decode(open_payload(parse(message.data), world.keys), ExploreRequestPayload)
        req_id = question.req_id if by_another else "f" * 32
        reply = encode(messages.ExploreReplyPayload(req_id, True, "", 17))
        made = Draft(MessageType.EXPLORE_REP, asking.uuid, 1, 1, world.timeline.now_ms, reply)
        return seal(made, world.keys, answers.identity, bytes, encrypt=False).data

    asking.transport.request = hijacked  # type: ignore[method-assign]
    with pytest.raises(EnvelopeRefused, match=f"answered in place of peer .{asked.uuid}"):
        await asking.up.explore(asked.uuid, "count", {})


@pytest.mark.parametrize("error", [StoreUnavailable("away"), ZeroDivisionError("a defect")])
async def test_statistics_that_break_a_rebuild_do_not_end_the_peer_and_it_is_tried_again(
    error: Exception,
) -> None:
    world = await pulsing(2)
    node, other = world.nodes
    original = node.site.rebuild

    async def broken(parts: Rebuild) -> str:
        raise error

    node.site.rebuild = broken  # type: ignore[method-assign]
    other.site.learn(20)
    await rounds(world, 2)
    assert totals(world) == [100, 120]
    assert sum("was not rebuilt" in entry for entry in errors(node)) == 2
    node.site.rebuild = original  # type: ignore[method-assign]
    await rounds(world, 1)
    assert totals(world) == [120, 120], "although nothing has changed since"


async def test_a_question_for_whose_answer_nobody_waits_is_refused() -> None:
    world = await pulsing(2)
    asked, asking = world.nodes
    payload = ExploreRequestPayload("q", "count", {})
    message = draft(world, MessageType.EXPLORE_REQ, payload)
    assert not any(
        isinstance(effect, Explore)
        for effect in await signed(world, asked, asking.identity, message)
    )
    assert "nobody waits" in errors(asked)[-1]


def refused_join(world: LedgerWorld, number: int) -> tuple[Identity, Draft]:
    """Return the request of a node that guesses a token."""
    node = Identity(f"{number + 1000:032x}", bytes([number]) * 32)
    payload = JoinPayload(f"FEDTOKEN{number:016x}", node.uuid, "", node.public)
    return node, draft(world, MessageType.JOIN, payload, to=world.admin.uuid)


async def test_guessing_tokens_is_slow_and_keeps_nobody_out() -> None:
    world = await quiet(1)
    token = await world.invite()
    told = 0
    for number in range(MAX_REFUSED + 30):
        by, message = refused_join(world, number)
        effects = await signed(world, world.admin, by, message, reply_to="r")
        told += any(isinstance(effect, Reply) for effect in effects)
    assert told == MAX_REFUSED
    before = world.admin.state
    by, message = refused_join(world, 200)
    await signed(world, world.admin, by, message, reply_to="r")
    assert world.admin.state is before, "and nothing is written"
    node = await world.add_joiner()
    await node.up.connect()
    await world.ask_to_join(node, token)
    assert doing(node) is NodeState.IDLE


async def answer_to(world: LedgerWorld, node: LedgerNode, token: str) -> JoinAckPayload:
    """Return the admin's answer to a node that asks with a token."""
    payload = JoinPayload(token, node.uuid, node.name, node.identity.public)
    message = draft(world, MessageType.JOIN, payload, to=world.admin.uuid)
    effects = await signed(world, world.admin, node.identity, message, reply_to="r")
    reply = next(effect for effect in effects if isinstance(effect, Reply))
    return decode(open_payload(parse(reply.message.data), world.keys), JoinAckPayload)


async def test_who_has_left_does_not_come_back_under_its_uuid() -> None:
    world = await pulsing(2)
    gone = world.nodes[1]
    await gone.up.tell(Leave(world.timeline.now_ms))
    await world.run_for(1_000)
    answer = await answer_to(world, gone, await world.invite())
    assert answer.error == "Cannot join federation: a peer of this uuid has left"


async def test_in_a_full_roster_those_who_left_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "MAX_PEERS", 3)
    world = await pulsing(3)
    stranger = await world.add_joiner()
    refused = await answer_to(world, stranger, await world.invite())
    assert refused.error == "Cannot join federation: it has 3 peers already"
    gone = world.nodes[1]
    await gone.up.tell(Leave(world.timeline.now_ms))
    await world.run_for(1_000)
    assert (await answer_to(world, stranger, await world.invite())).ok
    await rounds(world, 1)
    for node in (world.nodes[0], world.nodes[2]):
        assert [peer.uuid for peer in node.state.roster.peers] == [
            world.nodes[0].uuid, world.nodes[2].uuid, stranger.uuid,
        ]  # fmt: skip
        assert gone.uuid not in node.state.marks


async def test_a_roster_that_does_not_fit_into_an_answer_grows_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = await pulsing(2)
    stranger = await world.add_joiner()
    before = world.admin.state
    token = await world.invite()
    roster = len(encode(before.roster))
    monkeypatch.setattr(messages, "MAX_CONTROL_BYTES", roster + 300)
    answer = await answer_to(world, stranger, token)
    assert not answer.ok
    assert world.admin.state.roster == before.roster
    monkeypatch.undo()
    assert (await answer_to(world, stranger, token)).ok, "the token was not used up"


async def test_a_contract_leaves_room_for_the_roster() -> None:
    world = await quiet(1)
    rules = ("rows >= 1",) * 9_000 + ("x" * 4096,) * 50
    with pytest.raises(InvalidInput, match=r"bytes; 262144 are allowed"):
        await world.admin.up.tell(NewContract(0, rules))
    assert world.admin.state.contract.rules == ()


async def test_who_is_in_no_roster_any_more_leaves_nothing_behind() -> None:
    world = await pulsing(3, block_send=False)
    admin, peer, gone = world.nodes
    gone.site.forget(40)
    await admin.up.tell(NewContract(world.timeline.now_ms, ("rows >= 20",)))
    await rounds(world, 1)
    assert peer.state.counters.rcv_contract_error == {gone.uuid: 1}
    kept = tuple(one for one in admin.state.roster.peers if one.uuid != gone.uuid)
    roster = messages.RosterPayload(admin.state.admin_seq + 1, kept)
    message = draft(world, MessageType.ROSTER, roster)
    await signed(world, peer, admin.identity, message)
    for what in (peer.state.rows, peer.state.marks, peer.state.counters.rcv_contract_error):
        assert gone.uuid not in what
    standing = peer.state.member(admin.uuid)
    assert standing is not None
    assert standing.state is Standing.ACTIVE


def test_tokens_do_not_show_themselves() -> None:
    assert "FEDTOKEN" not in repr(Join(0, "FEDTOKEN0123456789abcdef"))
