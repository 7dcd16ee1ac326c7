"""The state of a fusion project: its cells, the last good snapshot of each, and their sum."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np

from tally.codec import contribution as contributions
from tally.codec.tensors import pack, unpack
from tally.engine.project import Project
from tally.errors import CorruptState
from tally.fusion.cells import Cell, Status
from tally.fusion.merging import Merged, merge
from tally.fusion.sources import Contribution
from tally.projects.cells import SealedCell

FORMAT_VERSION = 1
_KIND = "fusion"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a cell gave when it was last fetched well.

    Attributes:
        data: the contribution as bytes, as they came.
        contribution: the same, decoded.
        fetched_ms: when it came.
    """

    data: bytes = field(repr=False)
    contribution: Contribution
    fetched_ms: int

    @classmethod
    def of(cls, data: bytes, fetched_ms: int) -> Snapshot:
        """Return the snapshot in the bytes of a contribution.

        Raises:
            CorruptState: they hold none.
        """
        return cls(data, contributions.decode(data), fetched_ms)

    @property
    def version(self) -> str:
        """Of the cell's statistics."""
        return self.contribution.version

    @property
    def size_bytes(self) -> int:
        """Of memory: the bytes, and what they are decoded."""
        return len(self.data) + self.contribution.project.size_bytes


class _CellRecord(msgspec.Struct, frozen=True):
    cell: SealedCell
    fetched_ms: int | None


class _Record(msgspec.Struct, frozen=True):
    histogram: bool
    cells: tuple[_CellRecord, ...]


@dataclass(frozen=True, slots=True)
class Fused:
    """A fusion project between two changes; immutable.

    Attributes:
        cells: in the order in which they were given.
        snapshots: by cell; those that were never fetched have none.
        histogram: values are counted, where the cells count them.
        merged: the sum of the snapshots, in the order of the cells.
    """

    cells: tuple[SealedCell, ...]
    snapshots: Mapping[Cell, Snapshot]
    histogram: bool
    merged: Merged

    @classmethod
    def of(
        cls,
        cells: Sequence[SealedCell],
        snapshots: Mapping[Cell, Snapshot] | None = None,
        *,
        histogram: bool = True,
        before: Project | None = None,
    ) -> Fused:
        """Return the sum of snapshots.

        Args:
            cells, snapshots, histogram: as of the class; snapshots of other cells are dropped.
            before: what the sum was until now: its attributes keep their indexes.
        """
        given = snapshots or {}
        kept = {one.cell: given[one.cell] for one in cells if one.cell in given}
        first = None if before is None else before.summary.schema
        merged = merge([one.contribution for one in kept.values()], first)
        if not histogram:
            merged = replace(merged, project=replace(merged.project, histograms=None))
        return cls(tuple(cells), kept, histogram, merged)

    @property
    def project(self) -> Project:
        """The sum, as if it had learned all rows."""
        return self.merged.project

    @property
    def size_bytes(self) -> int:
        """Of the snapshots."""
        return sum(one.size_bytes for one in self.snapshots.values())

    @property
    def refused(self) -> Mapping[Cell, Status]:
        """Why cells do not count although they were fetched."""
        fetched = list(self.snapshots)
        return {fetched[place]: status for place, status in self.merged.refused.items()}

    def with_cells(self, cells: Sequence[SealedCell]) -> Fused:
        """Return the state with another list of cells; those that stay keep their snapshots."""
        return self._new(cells, self.snapshots)

    def with_snapshots(
        self, snapshots: Mapping[Cell, Snapshot], dropped: Collection[Cell] = ()
    ) -> Fused:
        """Return the state with new snapshots in place of the old ones, and without some."""
        kept = {cell: one for cell, one in self.snapshots.items() if cell not in dropped}
        return self._new(self.cells, {**kept, **snapshots})

    def with_histogram(self, enabled: bool) -> Fused:
        """Return the state with or without counted values."""
        return self._new(self.cells, self.snapshots, histogram=enabled)

    def _new(
        self,
        cells: Sequence[SealedCell],
        snapshots: Mapping[Cell, Snapshot],
        *,
        histogram: bool | None = None,
    ) -> Fused:
        kept = self.histogram if histogram is None else histogram
        return Fused.of(cells, snapshots, histogram=kept, before=self.project)

    def encode(self) -> bytes:
        """Return the state as bytes, without the sum; equal ones give equal bytes."""
        arrays = {}
        records = []
        for number, one in enumerate(self.cells):
            snapshot = self.snapshots.get(one.cell)
            if snapshot is not None:
                arrays[f"cell/{number}"] = np.frombuffer(snapshot.data, np.uint8)
            records.append(_CellRecord(one, None if snapshot is None else snapshot.fetched_ms))
        meta = msgspec.to_builtins(_Record(self.histogram, tuple(records)))
        return pack(_KIND, FORMAT_VERSION, arrays, meta)

    @classmethod
    def decode(cls, data: bytes) -> Fused:
        """Return the state in these bytes.

        Raises:
            CorruptState: they are cut, changed, of another format or of a newer version of ours.
        """
        arrays, meta = unpack(_KIND, FORMAT_VERSION, data)
        try:
            record = msgspec.convert(meta, _Record)
        except msgspec.ValidationError as error:
            raise CorruptState(f"the stored fusion cannot be read: {error}") from error
        snapshots = {}
        for number, one in enumerate(record.cells):
            if one.fetched_ms is None:
                continue
            if (array := arrays.get(f"cell/{number}")) is None:
                raise CorruptState(f"the stored fusion misses the snapshot of cell {number}")
            snapshots[one.cell.cell] = Snapshot.of(array.tobytes(), one.fetched_ms)
        cells = [one.cell for one in record.cells]
        return cls.of(cells, snapshots, histogram=record.histogram)
