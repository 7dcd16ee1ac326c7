"""Who belongs to the federation: joining, the roster, leaving, the end."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import TypeVar

import msgspec

from tally.errors import TallyError
from tally.federation import messages
from tally.federation.acceptance import Accepted
from tally.federation.effects import CleanUp, Invited, Joined, Reply, Request
from tally.federation.errors import CannotJoin, EnvelopeRefused, NotNow
from tally.federation.events import Invite, Join, Leave, Received
from tally.federation.keys import is_public_key
from tally.federation.messages import (
    JoinAckPayload,
    JoinPayload,
    Member,
    MessageType,
    RosterPayload,
    Standing,
)
from tally.federation.rebuilding import arrived
from tally.federation.schedule import Schedule
from tally.federation.state import NodeState
from tally.federation.transition import Transition

T = TypeVar("T")

MAX_DISSOLVE_MS = 60_000
MAX_REFUSED = 60
"""Nodes that are told in a minute that they are not let in."""

_REFUSED = "refused nodes"
HIPAA = "fed_enforce_hipaa_compliance"
ENCRYPT = "fed_encrypt"
"""What all peers must agree on, or none would take another's messages."""


def invite(step: Transition, event: Invite) -> None:
    """Issue a token for one joiner.

    Raises:
        NotAdmin: this peer may not.
        InvalidInput: too many wait for their use.
    """
    step.require_admin()
    text, tokens = step.state.tokens.issue(
        step.random_bytes(8), now_ms=event.now_ms, lifetime_ms=event.lifetime_ms
    )
    step.change(tokens=tokens)
    step.do(Invited(text))


def ask_to_join(step: Transition, event: Join) -> None:
    """Ask the admin to let this node in.

    Raises:
        NotNow: it is in already, or gone.
    """
    if step.state.node is not NodeState.JOINING:
        raise NotNow(f"the peer is {step.state.node.value}, not joining")
    settings = step.settings
    payload = JoinPayload(
        event.token, settings.uuid, settings.name, step.identity.public, settings.hipaa
    )
    message = step.sealed(MessageType.JOIN, payload, event.now_ms, settings.admin)
    step.do(Request(settings.admin, message))


def join(step: Transition, message: Accepted, event: Received) -> None:
    """Let a node in by its token; its repeated question gets the same answer.

    Nodes that are not let in are told so, but no more often than a few times in a minute: to guess
    tokens is to be slow, and to write no record.
    """
    step.require_admin()
    asked = messages.decode(message.payload, JoinPayload)
    if asked.node_uuid != message.header.sender or not is_public_key(asked.ed25519_pub):
        raise EnvelopeRefused("the JOIN is another node's, or carries no public key")
    before, effects = step.state, len(step.effects)
    try:
        _let_in(step, asked, event)
    except TallyError as error:
        step.state = before
        del step.effects[effects:]
        if step.times(_REFUSED, MAX_REFUSED, event.now_ms) <= MAX_REFUSED:
            answer = JoinAckPayload(ok=False, error=str(error), code=type(error).__name__)
            _acknowledge(step, asked.node_uuid, answer, event)


def _let_in(step: Transition, asked: JoinPayload, event: Received) -> None:
    now_ms = event.now_ms
    tokens = step.state.tokens.consume(asked.fed_req_token, asked.node_uuid, now_ms=now_ms)
    if step.settings.hipaa and not asked.hipaa:
        raise CannotJoin(
            "the federation enforces the HIPAA rules, and a peer may only tighten them: "
            f"[{HIPAA}] must be true"
        )
    known = step.state.member(asked.node_uuid)
    if known is not None and known.ed25519_pub != asked.ed25519_pub:
        raise CannotJoin("a peer of this uuid has another key")
    if known is not None and known.state is not Standing.ACTIVE:
        raise CannotJoin("a peer of this uuid has left")
    if known is None:
        member = Member(asked.node_uuid, asked.node_name, asked.ed25519_pub, aws_id=asked.aws_id)
        step.change(tokens=tokens)
        _announce(step, (*_with_a_seat(step.state.roster.peers), member), now_ms)
    state = step.state
    schedule = state.pending or messages.SchedulePayload(state.schedule_seq, state.sync_sched, 0)
    answer = JoinAckPayload(
        ok=True,
        roster=state.roster,
        schedule=schedule,
        contract=state.contract,
        flags={ENCRYPT: step.settings.encrypt},
    )
    _acknowledge(step, asked.node_uuid, answer, event)


def _acknowledge(step: Transition, to: str, answer: JoinAckPayload, event: Received) -> None:
    ack = step.sealed(MessageType.JOIN_ACK, answer, event.now_ms, to)
    step.do(Reply(event.reply_to, ack))


def _with_a_seat(peers: tuple[Member, ...]) -> tuple[Member, ...]:
    """Return the roster with room for one more: who has left longest ago is not told of then."""
    if len(peers) < messages.MAX_PEERS:
        return peers
    gone = next((peer for peer in peers if peer.state is Standing.LEFT), None)
    if gone is None:
        raise CannotJoin(f"it has {messages.MAX_PEERS} peers already")
    return tuple(peer for peer in peers if peer is not gone)


def _announce(step: Transition, peers: tuple[Member, ...], now_ms: int) -> None:
    step.change(roster=RosterPayload(step.next_admin_seq(), peers))
    step.publish_state("roster", now_ms)
    _forget_the_gone(step, now_ms)


def join_acknowledged(step: Transition, message: Accepted, event: Received) -> None:
    """Become a peer, or hear why not."""
    if step.state.node is not NodeState.JOINING:
        return  # a repeated answer
    answer = messages.decode(message.payload, JoinAckPayload)
    if not answer.ok:
        step.do(Joined(False, answer.code, answer.error))
        return
    if answer.roster is None or answer.schedule is None or answer.contract is None:
        raise EnvelopeRefused("the JOIN_ACK lacks the roster, the schedule or the contract")
    Schedule.parse(answer.schedule.sync_sched, allow_seconds=step.settings.allow_seconds)
    if answer.flags.get(ENCRYPT) is not step.settings.encrypt:
        raise EnvelopeRefused(f"the admin and this node do not agree on [{ENCRYPT}]")
    step.change(
        node=NodeState.IDLE,
        roster=answer.roster,
        contract=answer.contract,
        pending=answer.schedule,
        schedule_seq=0,
    )
    step.do(Joined(True, "", ""))


def roster(step: Transition, message: Accepted, event: Received) -> None:
    """Take the admin's roster if it is newer."""
    payload = messages.decode(message.payload, RosterPayload)
    if payload.admin_seq <= step.state.roster.admin_seq:
        return
    step.change(roster=payload)
    step.notice_admin_seq(payload.admin_seq)
    own = step.state.member(step.settings.uuid)
    if own is None or own.state is not Standing.ACTIVE:
        _detach(step)
        return
    _forget_the_gone(step, event.now_ms)


def _forget_the_gone(step: Transition, now_ms: int) -> None:
    state = step.state
    counted = {member.uuid for member in state.others()}
    known = {member.uuid for member in state.roster.peers}
    failed = state.counters.rcv_contract_error
    lost = not state.rows.keys() <= counted
    step.change(
        rows=_only(state.rows, counted),
        asked=_only(state.asked, counted),
        rates=_only(state.rates, {*counted, _REFUSED}),
        # Of those that the admin tells of, also of who has left.
        marks=_only(state.marks, known),
        counters=msgspec.structs.replace(state.counters, rcv_contract_error=_only(failed, known)),
    )
    if lost:
        arrived(step, now_ms)


def _only(entries: Mapping[str, T], uuids: Set[str]) -> dict[str, T]:
    return {uuid: entry for uuid, entry in entries.items() if uuid in uuids}


def left(step: Transition, message: Accepted, event: Received) -> None:
    """Let a peer go; the admin tells everyone, for those who do not hear it themselves."""
    payload = messages.decode(message.payload, messages.LeavePayload)
    standing = Standing.LEFT if payload.withdraw else Standing.FROZEN
    peers = tuple(
        msgspec.structs.replace(member, state=standing)
        if member.uuid == message.header.sender
        else member
        for member in step.state.roster.peers
    )
    if step.settings.is_admin:
        _announce(step, peers, event.now_ms)
    else:
        step.change(roster=RosterPayload(step.state.roster.admin_seq, peers))
        _forget_the_gone(step, event.now_ms)


def leave(step: Transition, event: Leave) -> None:
    """Say goodbye and clean up; the admin's goodbye ends the federation."""
    state = step.state
    if state.node is NodeState.GONE:
        return
    dissolve = step.settings.is_admin
    told = state.node in (NodeState.IDLE, NodeState.PULSING, NodeState.LEAVING)
    after_ms = min(state.schedule.period_ms, MAX_DISSOLVE_MS) if dissolve else 0
    step.change(node=NodeState.LEAVING, withdraw=event.withdraw)
    step.rest()
    if told and dissolve:
        step.publish(MessageType.DISSOLVE, messages.DissolvePayload(), event.now_ms)
    elif told:
        payload = messages.LeavePayload(event.withdraw)
        step.publish(MessageType.LEAVE, payload, event.now_ms)
    step.do(CleanUp(event.withdraw, dissolve, after_ms))


def dissolved(step: Transition, message: Accepted, event: Received) -> None:
    """Stay alone with what was built last."""
    messages.decode(message.payload, messages.DissolvePayload)
    _detach(step)


def _detach(step: Transition) -> None:
    if step.state.node is NodeState.LEAVING:
        return  # it goes on with that
    step.change(node=NodeState.DETACHED, pending=None)
    step.rest()
