"""What the user asks of a peer besides joining, leaving, schedules, contracts and questions."""

from __future__ import annotations

from tally.federation import messages
from tally.federation.acceptance import new_epoch, notice_our_future
from tally.federation.errors import NotNow
from tally.federation.events import (
    AllowExplore,
    Leave,
    Reconnected,
    RequestSync,
    Restarted,
    StartPulse,
)
from tally.federation.membership import leave
from tally.federation.messages import MessageType
from tally.federation.rebuilding import QUIET_MS, arrived
from tally.federation.receiving import publish_again
from tally.federation.state import NodeState
from tally.federation.transition import Transition

MAX_OWN_SKEW_MS = 60_000
LISTEN_MS = 60_000
"""So long after a request a peer that does not pulse merges what comes."""


def start_pulse(step: Transition, event: StartPulse) -> None:
    """Begin to synchronise, with the next round; a wrong clock is logged, and nothing is sent.

    Raises:
        NotNow: the peer is not in the federation.
    """
    if step.state.node is NodeState.PULSING:
        return
    _require_idle(step)
    skew_ms = event.now_ms - event.broker_ms
    if abs(skew_ms) > MAX_OWN_SKEW_MS:
        step.error(f"Clock skew of this node: {round(skew_ms / 1000)}s; pulsing was not started")
        return
    number = step.state.schedule.round_at(event.now_ms)
    step.change(node=NodeState.PULSING, last_round=number, local=event.local)
    _ask_all(step, event.now_ms, "pulse started")


def stop_pulse(step: Transition) -> None:
    """Stop to synchronise; everything is kept."""
    if step.state.node is NodeState.PULSING:
        step.change(node=NodeState.IDLE, collecting=None, rebuild_ms=None)


def allow_explore(step: Transition, event: AllowExplore) -> None:
    """Decide whether others may explore this peer; they hear of it with the next round."""
    step.change(allow_explore=event.allow)


def request_sync(step: Transition, event: RequestSync) -> None:
    """Ask everyone for what they last shared, and merge it also if this peer does not pulse.

    Raises:
        NotNow: the peer is not in the federation.
    """
    if step.state.node is not NodeState.PULSING:
        _require_idle(step)
        step.change(local=event.local, listen_ms=event.now_ms + LISTEN_MS)
        arrived(step, event.now_ms)
    _ask_all(step, event.now_ms, "requested")


def _ask_all(step: Transition, now_ms: int, reason: str) -> None:
    payload = messages.SyncRequestPayload(step.random_bytes(16).hex(), reason)
    step.publish(MessageType.SYNC_REQ, payload, now_ms)


def restarted(step: Transition, event: Restarted) -> None:
    """Go on from the record.

    A takeover begins an epoch above all that was ever sent, since the earlier runner may still be
    sending in the present one.
    """
    state = step.state
    if event.takeover:
        new_epoch(step, event.now_ms, event.seen[0])
    else:
        notice_our_future(step, event.now_ms, event.seen)
    if state.node is NodeState.PULSING:
        # A rebuild that was asked for just before the end may not have been done.
        step.change(rebuilt="", collecting=None, rebuild_ms=event.now_ms + QUIET_MS)
        _ask_all(step, event.now_ms, "restarted")
    _go_on_leaving(step, event.now_ms)


def reconnected(step: Transition, event: Reconnected) -> None:
    """Put back what the transport may have lost, and ask for what it lost of others'."""
    notice_our_future(step, event.now_ms, event.seen)
    publish_again(step, event.now_ms)
    if step.state.node is NodeState.PULSING:
        _ask_all(step, event.now_ms, "reconnected")
    _go_on_leaving(step, event.now_ms)


def _go_on_leaving(step: Transition, now_ms: int) -> None:
    if step.state.node is NodeState.LEAVING:
        leave(step, Leave(now_ms, step.state.withdraw))


def _require_idle(step: Transition) -> None:
    if step.state.node is not NodeState.IDLE:
        raise NotNow(f"the peer is {step.state.node.value}, not in the federation")
