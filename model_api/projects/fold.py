"""Many changes folded into one new state, in order, beside the event loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from model_api.federation import stored
from model_api.federation.state import Federated
from model_api.fusion.state import Fused
from model_api.projects.changes import Change, Draft
from tally.codec.project import encode
from tally.engine.part import Known
from tally.engine.project import Project
from tally.errors import TallyError
from tally.projects.beside import Wanted
from tally.projects.records import Head

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Folded:
    """What came of a group of changes.

    Attributes:
        project: the state after it.
        draft: what the head will say, and whether the state must be saved.
        refusals: for each change, why it was not taken; None where it was.
        snapshot: the state's bytes, if it is to be saved.
        beside: what is to stand beside the snapshot; None: what does.
    """

    project: Project
    draft: Draft
    refusals: Sequence[Exception | None]
    snapshot: bytes | None
    beside: Wanted | None = None


def fold(
    project: Project,
    head: Head,
    changes: Sequence[Change],
    *,
    dirty: bool,
    autosave: bool,
    fused: Fused | None = None,
    federated: Federated | None = None,
    known: Known | None = None,
    fence: int | None = None,
) -> Folded:
    """Fold changes into a draft of a project.

    Args:
        project, head: as they are.
        changes: in order; one that is refused leaves no trace.
        dirty: the project has changes that were never saved.
        autosave: whether it is saved without being asked to.
        fused: of a fusion project, whose state is the sum of its cells.
        federated: of a federated project, whose state is the sum of its peers.
        known: of a shard, what all shards of its project know alike.
        fence: of a shard, the sum by which rows may be forgotten.
    """
    told = project if known is None else known.told_to(project)
    refusals: list[Exception | None] = [None] * len(changes)
    while (
        defect := _try(draft := _draft(told, head, fused, federated, fence), changes, refusals)
    ) is not None:
        # Our own fault, and nobody knows what the draft is now: all over, without that change.
        place, error = defect
        refusals[place] = error
        _log.error("change failed", change=type(changes[place]).__name__, exc_info=error)
    state = _state(draft) if draft.changed else project
    wanted = draft.save or (autosave and draft.changed)
    saving = draft.persisted and wanted and (draft.changed or dirty or not head.persisted)
    if not saving:
        return Folded(state, draft, refusals, None)
    if draft.federated is not None:
        even = head.persisted and not dirty and not draft.save
        saved = stored.saved(draft.federated, federated if even else None)
        draft.federated = saved.state
        return Folded(state, draft, refusals, saved.snapshot, saved.beside)
    return Folded(state, draft, refusals, _bytes(draft, state))


def _draft(
    project: Project,
    head: Head,
    fused: Fused | None,
    federated: Federated | None,
    fence: int | None,
) -> Draft:
    learned = project if federated is None else federated.local
    draft = Draft(learned.draft(), head.frozen, head.persisted, head.pid, fused, federated)
    draft.sharded, draft.fence = head.options.cells > 0, fence
    return draft


def _state(draft: Draft) -> Project:
    if draft.fused is not None:
        return draft.fused.project
    if draft.federated is None:
        return draft.state.done()
    if draft.counts:
        draft.federated = draft.federated.with_local(draft.state.done())
    return draft.federated.project


def _bytes(draft: Draft, state: Project) -> bytes:
    return encode(state) if draft.fused is None else draft.fused.encode()


def _try(
    draft: Draft, changes: Sequence[Change], refusals: list[Exception | None]
) -> tuple[int, Exception] | None:
    """Take each step that did not fail before; return the one that failed as none should."""
    for place, change in enumerate(changes):
        if refusals[place] is not None and not isinstance(refusals[place], TallyError):
            continue
        try:
            change.apply(draft)
            refusals[place] = None
        except TallyError as error:
            refusals[place] = error
        except Exception as error:
            return place, error
    return None
