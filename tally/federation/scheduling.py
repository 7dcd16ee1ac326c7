"""The schedule, and when a peer wants to be woken."""

from __future__ import annotations

from tally.federation.events import NewSchedule
from tally.federation.messages import SchedulePayload
from tally.federation.schedule import Schedule
from tally.federation.state import NodeState, PeerState
from tally.federation.transition import Transition

NOTICE_MS = 300_000
"""A new schedule holds after two rounds of the old, or after this if that is sooner."""


def new_schedule(step: Transition, event: NewSchedule) -> None:
    """Announce another schedule.

    Raises:
        NotAdmin: this peer may not.
        InvalidInput: it is none.
    """
    step.require_admin()
    Schedule.parse(event.sync_sched, allow_seconds=step.settings.allow_seconds)
    notice_ms = min(2 * step.state.schedule.period_ms, NOTICE_MS)
    pending = SchedulePayload(step.next_admin_seq(), event.sync_sched, event.now_ms + notice_ms)
    step.change(pending=pending)
    step.publish_state("schedule", event.now_ms)


def announced(step: Transition, payload: SchedulePayload, now_ms: int) -> None:
    """Take the admin's schedule if it is newer.

    Raises:
        InvalidInput: it is none.
    """
    known = step.state.schedule_seq if step.state.pending is None else step.state.pending.admin_seq
    if payload.admin_seq > known:
        Schedule.parse(payload.sync_sched, allow_seconds=step.settings.allow_seconds)
        step.change(pending=payload)
        step.notice_admin_seq(payload.admin_seq)
        apply_pending(step, now_ms)


def apply_pending(step: Transition, now_ms: int) -> None:
    """Switch to the announced schedule if its moment has come."""
    pending = step.state.pending
    if pending is None or now_ms < pending.effective_at:
        return
    step.change(sync_sched=pending.sync_sched, schedule_seq=pending.admin_seq, pending=None)
    # The round under way began before the switch: the first of the new schedule is its next.
    step.change(last_round=step.state.schedule.round_at(now_ms))


def wake_at(state: PeerState, now_ms: int) -> int | None:
    """Return when the peer has something to do next if nothing happens; None: never."""
    moments = []
    if state.node is NodeState.PULSING:
        schedule, number = state.schedule, state.schedule.round_at(now_ms)
        due = number != state.last_round
        moments.append(now_ms if due else schedule.start_of(number + 1))
    if state.collecting is not None:
        moments.append(state.collecting.deadline_ms)
    if state.rebuild_ms is not None:
        moments.append(state.rebuild_ms)
    if state.again_ms is not None:
        moments.append(state.again_ms)
    if state.pending is not None:
        moments.append(state.pending.effective_at)
    return min(moments, default=None)


def is_tick_due(state: PeerState, now_ms: int) -> bool:
    """Tell whether a round began that was not done; then the local project is to be frozen."""
    if state.node is not NodeState.PULSING:
        return False
    pending = state.pending
    if pending is not None and now_ms >= pending.effective_at:
        return False
    return state.schedule.round_at(now_ms) != state.last_round
