"""What a peer does about each type of message."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

from tally.errors import TallyError
from tally.federation import contracting, exploring, membership, messages, scheduling
from tally.federation.acceptance import Accepted, accept
from tally.federation.effects import Acknowledge
from tally.federation.errors import EnvelopeRefused, UnknownSender
from tally.federation.events import Received
from tally.federation.messages import MessageType, SyncInfo
from tally.federation.privacy.reason import Reason
from tally.federation.rebuilding import arrived
from tally.federation.state import NodeState, Snapshot, digest_of
from tally.federation.transition import REQUEST_INTERVAL_MS, Transition

_LISTENING = frozenset({NodeState.IDLE, NodeState.PULSING})
_Handler = Callable[[Transition, Accepted, Received], None]


def received(step: Transition, event: Received) -> None:
    """Take a message, or refuse it; either way it needs not come again."""
    before = step.state
    try:
        message = accept(step, event)
        if message is not None and _listens(step, message):
            _HANDLERS[message.header.type](step, message, event)
    except TallyError as error:
        # Nothing of a refused message stays, not even that it came; the true one may follow.
        step.state = before
        step.effects.clear()
        step.error(str(error))
        step.count(rcv_error=1)
        if isinstance(error, UnknownSender) and step.state.node in _LISTENING:
            _ask(step, step.settings.admin, event.now_ms, "a roster was missed")
    if event.delivery:
        step.do(Acknowledge(event.delivery))


def _listens(step: Transition, message: Accepted) -> bool:
    if step.state.node is NodeState.JOINING:
        return message.header.type is MessageType.JOIN_ACK
    return step.state.node in _LISTENING


def _sync(step: Transition, message: Accepted, event: Received) -> None:
    header = message.header
    info, peer = header.sync, header.sender
    assert isinstance(info, SyncInfo), "parse lets no other SYNC through"
    _check_sources(step, peer, info)
    snapshot = Snapshot(
        epoch=header.epoch,
        seq=header.seq,
        digest=digest_of(message.payload),
        info=info,
        payload=message.payload,
    )
    step.count(rcv_count=1)
    contracting.take(step, peer, snapshot)
    _heard(step, peer, info.round, event.now_ms, info.allow_explore)
    arrived(step, event.now_ms)


def _check_sources(step: Transition, peer: str, info: SyncInfo) -> None:
    """Refuse statistics that claim another peer's rows: those would not be counted any more."""
    members = {member.uuid for member in step.state.roster.peers} - {peer}
    for leaf in info.provenance:
        if leaf.source_uuid in members:
            raise EnvelopeRefused(f"peer [{peer}] tells of rows of peer [{leaf.source_uuid}]")


def _alive(step: Transition, message: Accepted, event: Received) -> None:
    payload = messages.decode(message.payload, messages.AlivePayload)
    peer = message.header.sender
    _heard(step, peer, payload.round, event.now_ms, payload.allow_explore)
    _ask_if_missed(step, peer, payload.version, event.now_ms)
    arrived(step, event.now_ms)


def _sync_blocked(step: Transition, message: Accepted, event: Received) -> None:
    payload = messages.decode(message.payload, messages.SyncBlockedPayload)
    peer = message.header.sender
    if payload.reason is Reason.CONTRACT:
        step.change(counters=step.state.counters.contract_error_of(peer))
    allow_explore = step.row(peer).allow_explore
    _heard(step, peer, payload.round, event.now_ms, allow_explore, payload.reason.value)
    _ask_if_missed(step, peer, payload.version, event.now_ms)
    arrived(step, event.now_ms)


def _heard(
    step: Transition,
    peer: str,
    number: int,
    now_ms: int,
    allow_explore: bool,
    withheld: str = "",
) -> None:
    step.change_row(
        peer,
        round=max(number, step.row(peer).round),
        heard_ms=now_ms,
        allow_explore=allow_explore,
        withheld=withheld,
        stale=False,
    )


def _ask_if_missed(step: Transition, peer: str, version: str, now_ms: int) -> None:
    """Ask for a peer's snapshot if it tells of one that never came."""
    held = step.row(peer).newest
    if version in ("", None if held is None else held.info.version):
        return
    _ask(step, peer, now_ms, "a snapshot was missed")


def _ask(step: Transition, peer: str, now_ms: int, reason: str) -> None:
    """Have a peer publish again what it said last, unless it was asked a moment ago."""
    if 0 <= now_ms - step.state.asked.get(peer, -REQUEST_INTERVAL_MS) < REQUEST_INTERVAL_MS:
        return
    step.change(asked={**step.state.asked, peer: now_ms})
    request = messages.SyncRequestPayload(step.random_bytes(16).hex(), reason)
    step.publish(MessageType.SYNC_REQ, request, now_ms, peer)


def _sync_request(step: Transition, message: Accepted, event: Received) -> None:
    """Publish again what everyone may have; what changed since then stays here.

    All hear the answer, whoever asked; so those who ask shortly after it are answered together.
    """
    messages.decode(message.payload, messages.SyncRequestPayload)
    state, now_ms = step.state, event.now_ms
    if state.node is not NodeState.PULSING and not step.settings.is_admin:
        return
    if not 0 <= now_ms - state.answered_ms < REQUEST_INTERVAL_MS:
        publish_again(step, now_ms)
    elif state.again_ms is None:
        step.change(again_ms=state.answered_ms + REQUEST_INTERVAL_MS)


def publish_again_if_due(step: Transition, now_ms: int) -> None:
    """Answer those who were let wait."""
    again_ms = step.state.again_ms
    if again_ms is not None and now_ms >= again_ms:
        publish_again(step, now_ms)


def publish_again(step: Transition, now_ms: int) -> None:
    """Publish the last approved snapshot, if we pulse, and, as admin, the last words."""
    if step.state.node not in _LISTENING:
        return
    step.change(answered_ms=now_ms, again_ms=None)
    if step.settings.is_admin:
        _publish_last_words(step, now_ms)
    if step.state.approved is not None and step.state.node is NodeState.PULSING:
        step.publish_snapshot(step.state.approved, now_ms)


def _publish_last_words(step: Transition, now_ms: int) -> None:
    """Publish what the admin last said of the roster, the contract and the schedule."""
    step.publish_state("roster", now_ms)
    if step.state.contract.admin_seq:
        step.publish_state("contract", now_ms)
    if step.state.pending is not None or step.state.schedule_seq:
        step.publish_state("schedule", now_ms)


def _schedule(step: Transition, message: Accepted, event: Received) -> None:
    payload = messages.decode(message.payload, messages.SchedulePayload)
    scheduling.announced(step, payload, event.now_ms)


def _contract(step: Transition, message: Accepted, event: Received) -> None:
    payload = messages.decode(message.payload, messages.ContractPayload)
    contracting.announced(step, payload, event.now_ms)


_HANDLERS = MappingProxyType[MessageType, _Handler](
    {
        MessageType.JOIN: membership.join,
        MessageType.JOIN_ACK: membership.join_acknowledged,
        MessageType.ROSTER: membership.roster,
        MessageType.SYNC: _sync,
        MessageType.ALIVE: _alive,
        MessageType.SYNC_BLOCKED: _sync_blocked,
        MessageType.SYNC_REQ: _sync_request,
        MessageType.SCHED: _schedule,
        MessageType.CONTRACT: _contract,
        MessageType.EXPLORE_REQ: exploring.asked,
        MessageType.EXPLORE_REP: exploring.answered,
        MessageType.LEAVE: membership.left,
        MessageType.DISSOLVE: membership.dissolved,
    }
)
