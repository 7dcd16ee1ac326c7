"""The last rows of a rolling window: the only rows that a project keeps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tally.engine.align import align
from tally.engine.rows import Rows
from tally.engine.schema import Schema
from tally.errors import TooLarge

MAX_CELLS = 1 << 25
"""Numbers in one window: a quarter of a gigabyte."""

_PART_ROWS = 4096


@dataclass(frozen=True, slots=True)
class Buffer:
    """Rows in the order in which they came; immutable, and cheap to grow and to shrink.

    Attributes:
        parts: as they were added, small ones joined.

    Example:
        >>> rows = Rows(("x",), "C", (None,), np.array([[1.0], [2.0], [3.0]]))
        >>> kept, gone = Buffer().with_last(rows).without_first(2)
        >>> len(kept), [part.values.ravel().tolist() for part in gone]
        (1, [[1.0, 2.0]])
    """

    parts: tuple[Rows, ...] = ()

    def __len__(self) -> int:
        return sum(len(part.values) for part in self.parts)

    @property
    def size_bytes(self) -> int:
        """The memory that the rows take."""
        return sum(part.values.nbytes for part in self.parts)

    def with_last(self, rows: Rows) -> Buffer:
        """Return the buffer with these rows too.

        Raises:
            TooLarge: they are more numbers than a window holds.
        """
        cells = (len(self) + len(rows.values)) * len(rows.names)
        if cells > MAX_CELLS:
            raise TooLarge("rolling window", f"{cells} numbers; at most {MAX_CELLS}")
        parts = [*self.parts, rows]
        # Like the digits of a binary counter: each row is copied some ten times at most, and a
        # window that is fed row by row has few parts.
        while len(parts) > 1 and len(parts[-2].values) < 2 * len(parts[-1].values) <= _PART_ROWS:
            last = parts.pop()
            parts[-1] = joined((parts[-1], last))
        return Buffer(tuple(parts))

    def without_first(self, count: int) -> tuple[Buffer, list[Rows]]:
        """Return the buffer without its first rows, and those."""
        kept, gone = list(self.parts), []
        while count > 0:
            first = kept.pop(0)
            if len(first.values) > count:
                kept.insert(0, _owned(_part(first, slice(count, None))))
                first = _part(first, slice(count))
            gone.append(first)
            count -= len(first.values)
        return Buffer(tuple(kept)), gone

    def joined(self) -> Rows:
        """Return all rows as one matrix."""
        return joined(self.parts)


def joined(parts: tuple[Rows, ...]) -> Rows:
    """Return rows one after the other, with the attributes of all.

    Example:
        >>> parts = [Rows((name,), "C", (None,), np.ones((1, 1))) for name in "xy"]
        >>> joined(tuple(parts)).values
        array([[ 1., nan],
               [nan,  1.]])
    """
    schema = Schema()
    for part in parts:
        schema, _ = schema.union(part.names, part.types, part.bases)
    values = np.full((sum(len(part.values) for part in parts), len(schema)), np.nan)
    start = 0
    for part in parts:
        aligned = align(part, schema)
        end = start + len(part.values)
        values[start:end, aligned.places] = aligned.values
        start = end
    return Rows(schema.names, schema.types, schema.bases, values)


def _part(rows: Rows, which: slice) -> Rows:
    return Rows(rows.names, rows.types, rows.bases, rows.values[which])


def _owned(rows: Rows) -> Rows:
    """Return the rows in memory of their own, if they hold on to more than twice of it."""
    base = rows.values.base
    if base is None or base.nbytes <= 2 * rows.values.nbytes:
        return rows
    return Rows(rows.names, rows.types, rows.bases, rows.values.copy())
