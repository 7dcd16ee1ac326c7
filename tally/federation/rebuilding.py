"""When the federated project is made again, and of what: always from scratch, never by adding."""

from __future__ import annotations

import hashlib

from tally.federation.effects import Contribution, Rebuild
from tally.federation.messages import Standing
from tally.federation.state import Collecting, NodeState, digest_of
from tally.federation.transition import Transition

QUIET_MS = 2000
"""Arrivals outside of a tick are merged once nothing has come for so long."""


def collect(step: Transition, number: int, now_ms: int) -> None:
    """Wait for the others' words on a round; rebuild at once if nothing is missing."""
    grace_ms = min(step.settings.grace_ms, step.state.schedule.period_ms // 4)
    step.change(collecting=Collecting(number, now_ms + grace_ms), rebuild_ms=None)
    rebuild_if_complete(step)


def arrived(step: Transition, now_ms: int) -> None:
    """Something that counts has come or gone."""
    if step.state.node is not NodeState.PULSING and now_ms >= step.state.listen_ms:
        return
    if step.state.collecting is None:
        step.change(rebuild_ms=now_ms + QUIET_MS)
    else:
        rebuild_if_complete(step)


def rebuild_if_complete(step: Transition) -> None:
    """Rebuild if a tick waits for nobody any more."""
    collecting = step.state.collecting
    if collecting is not None and all(
        step.row(member.uuid).stale or step.row(member.uuid).round >= collecting.round
        for member in step.state.others()
        if member.state is Standing.ACTIVE
    ):
        rebuild(step)


def rebuild_if_due(step: Transition, now_ms: int) -> None:
    """Rebuild if a tick has waited for its grace, or all has been quiet."""
    state = step.state
    waited = state.collecting is not None and now_ms >= state.collecting.deadline_ms
    if waited or (state.rebuild_ms is not None and now_ms >= state.rebuild_ms):
        rebuild(step)


def rebuild(step: Transition) -> None:
    """Have the federated project made of what is held now, unless it is made of just that."""
    parts = contributions(step)
    made_of = hashlib.sha256()
    for part in parts:
        held = step.row(part.peer).accepted
        digest = digest_of(part.payload) if held is None else held.digest
        made_of.update(f"{part.peer} {digest}\n".encode())
    step.change(collecting=None, rebuild_ms=None)
    if parts and made_of.hexdigest() != step.state.rebuilt:
        step.change(rebuilt=made_of.hexdigest())
        step.do(Rebuild(parts, step.settings.uuid))


def contributions(step: Transition) -> tuple[Contribution, ...]:
    """Return what counts, one for each peer, in the order of their uuids."""
    state = step.state
    found = []
    if state.local is not None:
        own = state.local
        found.append(
            Contribution(step.settings.uuid, own.version, own.rows, own.provenance, own.payload)
        )
    for member in state.others():
        held = step.row(member.uuid).accepted
        if held is not None:
            info = held.info
            found.append(
                Contribution(member.uuid, info.version, info.rows, info.provenance, held.payload)
            )
    return tuple(sorted(found, key=lambda part: part.peer))
