"""What changes a fusion project: other cells, and what they gave."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from model_api.fusion.state import Fused, Snapshot
from model_api.projects.changes import Draft
from tally.fusion.cells import Cell
from tally.projects.cells import SealedCell
from tally.wire import texts
from tally.wire.status import Refused


@dataclass(frozen=True, slots=True)
class SetCells:
    """Another list of cells; those that stay keep what they gave.

    Attributes:
        cells: all of them.
        request: what tells the list from another one, since sealing the same key again gives
            other bytes.
    """

    cells: tuple[SealedCell, ...]
    request: str

    @property
    def size_bytes(self) -> int:
        """Next to nothing."""
        return 0

    def digest(self) -> str:
        """Return what tells it from another change with the same id."""
        return hashlib.sha256(f"cells\n{self.request}".encode()).hexdigest()

    def apply(self, draft: Draft) -> None:
        """Set it."""
        draft.fused = _fused(draft).with_cells(self.cells)
        draft.changed = True


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What cells gave, in place of what they gave before.

    Attributes:
        snapshots: by cell.
        dropped: cells whose old snapshot does not count any more either.
    """

    snapshots: Mapping[Cell, Snapshot]
    dropped: frozenset[Cell] = frozenset()

    @property
    def size_bytes(self) -> int:
        """Of what came."""
        return sum(len(one.data) for one in self.snapshots.values())

    def digest(self) -> str:
        """Return nothing: it has no id, and is made once."""
        return ""

    def apply(self, draft: Draft) -> None:
        """Add everything up again; cells that are not in the list any more are left out."""
        if draft.frozen:
            return  # since it was asked for
        draft.fused = _fused(draft).with_snapshots(self.snapshots, self.dropped)
        draft.learned = draft.changed = True


def _fused(draft: Draft) -> Fused:
    if draft.fused is None:
        raise Refused(texts.not_fusion(draft.pid))
    return draft.fused
