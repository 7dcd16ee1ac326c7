"""A round: what changed here is checked and published, then the others are waited for."""

from __future__ import annotations

from tally.federation import messages, scheduling
from tally.federation.events import Tick
from tally.federation.logs import NOT_SHARED
from tally.federation.messages import MessageType, Standing
from tally.federation.privacy.cells import gone_from
from tally.federation.privacy.reason import Blocked, Reason
from tally.federation.rebuilding import collect
from tally.federation.state import (
    STALE_PERIODS,
    Approved,
    Local,
    NodeState,
    Row,
    Snapshot,
    digest_of,
)
from tally.federation.transition import Transition

LARGE_ATTRIBUTES = 2000
LARGE_PERIOD_MS = 3_600_000
"""More attributes than that should not be sent more often; their sums are 64 MB."""


def tick(step: Transition, event: Tick) -> None:
    """Do one round, unless this one is done or the peer does not pulse."""
    scheduling.apply_pending(step, event.now_ms)
    number = step.state.schedule.round_at(event.now_ms)
    # Not `<=`: a clock that was set back must not silence the peer until it has caught up.
    if step.state.node is not NodeState.PULSING or number == step.state.last_round:
        return
    step.change(last_round=number, local=event.local)
    trouble = event.local.trouble
    if trouble and step.state.errors.entries[-1:] != (trouble,):
        step.error(trouble)
    _share(step, event.local, number, event.now_ms)
    _notice_silence(step, event.now_ms)
    collect(step, number, event.now_ms)


def _share(step: Transition, local: Local, number: int, now_ms: int) -> None:
    approved = step.state.approved
    if approved is not None and not _changed(local, approved):
        version = approved.snapshot.info.version
        alive = messages.AlivePayload(number, version, step.state.allow_explore)
        step.publish(MessageType.ALIVE, alive, now_ms)
        return
    step.count(snd_count=1)
    refusal = step.rules.refusal(local, approved) or _contract_refusal(step, local)
    if refusal is not None:
        version = "" if approved is None else approved.snapshot.info.version
        blocked = messages.SyncBlockedPayload(number, refusal.reason, version)
        entry = f"{NOT_SHARED}{refusal.reason.value}: {refusal.detail}"
        # Round after round with the same rows, it is the same news.
        if step.state.syncs.entries[-1:] != (entry,):
            step.change(syncs=step.state.syncs.add(entry))
        step.publish(MessageType.SYNC_BLOCKED, blocked, now_ms)
        return
    step.change(seq=step.state.seq + 1)
    snapshot = Snapshot(
        epoch=step.state.epoch,
        seq=step.state.seq,
        digest=digest_of(local.payload),
        info=messages.SyncInfo(
            round=number,
            rows=local.rows,
            attrs=local.attrs,
            schema_hash=local.schema_hash,
            version=local.version,
            allow_explore=step.state.allow_explore,
            contract_hash=step.state.contract.hash,
            provenance=local.provenance,
        ),
        payload=local.payload,
    )
    _warn_if_large(step, local, approved)
    if local.withheld and (approved is None or approved.withheld != local.withheld):
        entry = f"Attributes not shared, since too few rows have them: {', '.join(local.withheld)}"
        step.change(syncs=step.state.syncs.add(entry))
    newly = Approved(
        snapshot,
        local.learned,
        local.forgotten,
        local.record,
        local.withheld,
        gone=_gone(local, approved),
    )
    step.change(approved=newly)
    step.publish_snapshot(newly, now_ms)


def _gone(local: Local, approved: Approved | None) -> tuple[messages.Leaf, ...]:
    if approved is None:
        return ()
    return gone_from(local.provenance, approved.snapshot.info.provenance, approved.gone)


def _warn_if_large(step: Transition, local: Local, approved: Approved | None) -> None:
    """Say once, when it becomes so, that statistics are large for how often they are sent."""
    was_large = approved is not None and approved.snapshot.info.attrs > LARGE_ATTRIBUTES
    if local.attrs <= LARGE_ATTRIBUTES or was_large:
        return
    if step.state.schedule.period_ms < LARGE_PERIOD_MS:
        step.error(
            f"Warning: a snapshot of {local.attrs} attributes has {len(local.payload):,} bytes; "
            f"a schedule of an hour or more is advised, not {step.state.sync_sched}"
        )


def _changed(local: Local, approved: Approved) -> bool:
    return (local.learned, local.forgotten) != (approved.learned, approved.forgotten)


def _contract_refusal(step: Transition, local: Local) -> Blocked | None:
    """Tell if the contract keeps our own snapshot back."""
    failures = step.rules.contract_failures(local.payload, step.state.contract.rules)
    if step.state.errors.entries[-len(failures) :] != failures:
        for failure in failures:
            step.error(failure)
    if failures:
        step.count(snd_contract_error=1)
        if step.settings.block_send:
            return Blocked(Reason.CONTRACT, "; ".join(failures))
    return None


def _notice_silence(step: Transition, now_ms: int) -> None:
    """Mark peers that are silent for long, and drop them if the settings say so."""
    period_ms = step.state.schedule.period_ms
    for member in step.state.others():
        row = step.state.rows.get(member.uuid)
        if row is None:
            # Its silence counts from when we first know of it.
            step.change_row(member.uuid, heard_ms=now_ms)
            continue
        silent_ms = now_ms - row.heard_ms
        stale = member.state is Standing.ACTIVE and silent_ms > STALE_PERIODS * period_ms
        expire_ms = step.settings.expire_periods * period_ms
        if stale and 0 < expire_ms < silent_ms and row.newest is not None:
            # Should it speak again, its version differs from what we hold, and we ask for it.
            expired = Row(heard_ms=row.heard_ms, round=row.round, stale=True)
            step.change(rows={**step.state.rows, member.uuid: expired})
            _forget_marks(step, member.uuid)
        elif stale != row.stale:
            step.change_row(member.uuid, stale=stale)


def _forget_marks(step: Transition, peer: str) -> None:
    """Take the peer's next snapshot also if it is one that we had."""
    marks = {**step.state.marks.get(peer, {})}
    marks.pop(MessageType.SYNC, None)
    step.change(marks={**step.state.marks, peer: marks})
