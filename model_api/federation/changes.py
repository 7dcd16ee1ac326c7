"""What changes a federated project besides rows: steps of its peer, and rebuilds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from model_api.federation.state import Federated
from model_api.projects.changes import Draft
from tally.federation.messages import Leaf
from tally.federation.privacy.cells import turned_over
from tally.fusion import sources
from tally.fusion.merging import Merged
from tally.fusion.sources import Contribution
from tally.wire import texts
from tally.wire.status import Refused


@dataclass(frozen=True, slots=True)
class Begin:
    """The state that a project begins with which lives in memory only."""

    federated: Federated

    @property
    def size_bytes(self) -> int:
        """Next to nothing."""
        return 0

    def digest(self) -> str:
        """Return nothing: it has no id, and is made once."""
        return ""

    def apply(self, draft: Draft) -> None:
        """Take it."""
        draft.federated = self.federated
        draft.state = self.federated.local.draft()
        draft.changed = True


@dataclass(frozen=True, slots=True)
class Stepped:
    """A step of the protocol: it counts, and is on disk, before anything of it is sent.

    Attributes:
        record, blobs: the state as `tally.federation.persistence` gives it.
    """

    record: bytes = field(repr=False)
    blobs: Mapping[str, bytes] = field(repr=False)

    @property
    def size_bytes(self) -> int:
        """Of the record; the statistics beside it are in the driver's memory anyway."""
        return len(self.record)

    def digest(self) -> str:
        """Return nothing: it has no id, and is made once."""
        return ""

    def apply(self, draft: Draft) -> None:
        """Take it, also where no rows may be learned any more."""
        draft.federated = _federated(draft).with_peer(self.record, self.blobs)
        draft.changed = True


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The federated view, made from scratch.

    Attributes:
        merged: the sum of what the peers gave.
    """

    merged: Merged

    @property
    def size_bytes(self) -> int:
        """Of the sum."""
        return self.merged.project.size_bytes

    def digest(self) -> str:
        """Return nothing: it has no id, and is made once."""
        return ""

    def apply(self, draft: Draft) -> None:
        """Put it in place of the one before."""
        draft.federated = _federated(draft).with_view(self.merged)
        draft.changed = True


@dataclass(frozen=True, slots=True)
class Summed:
    """What a fusion shows, in place of what it showed before, as the local project.

    Attributes:
        given: by the fusion.
    """

    given: Contribution

    @property
    def size_bytes(self) -> int:
        """Of the statistics."""
        return self.given.project.size_bytes

    def digest(self) -> str:
        """Return nothing: it has no id, and is made once."""
        return ""

    def apply(self, draft: Draft) -> None:
        """Take it; values are counted only if they are here."""
        before = _federated(draft)
        if before.cells is None:
            raise Refused(texts.not_fusion(draft.pid))
        old, new = leaves_of(before.cells.leaves), leaves_of(self.given.provenance)
        turnover = turned_over(before.record.turnover, old, new)
        draft.federated = replace(
            before,
            record=replace(before.record, turnover=turnover),
            cells=replace(before.cells, leaves=self.given.provenance),
        )
        draft.state = self.given.project.draft()
        draft.state.set_histogram(before.local.histograms is not None)
        draft.counts = draft.changed = True


def leaves_of(leaves: Sequence[sources.Leaf]) -> tuple[Leaf, ...]:
    """Return whose rows statistics count, as messages tell of it."""
    return tuple(
        Leaf(source_uuid=leaf.source, version=leaf.version, rows=leaf.rows) for leaf in leaves
    )


def _federated(draft: Draft) -> Federated:
    if draft.federated is None:
        raise Refused(texts.not_federated(draft.pid))
    return draft.federated
