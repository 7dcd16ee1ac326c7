"""A rolling window: the statistics of the last rows, exact at any time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tally.engine.buffer import Buffer
from tally.engine.rows import Rows
from tally.engine.schema import Schema
from tally.engine.summary import Summary
from tally.engine.sums import Floats
from tally.errors import InvalidInput

_LOST = 1e-4
"""Fourth powers that shrink to less when rows leave have lost so many of their digits."""


@dataclass(frozen=True, slots=True)
class Window:
    """An immutable snapshot.

    Attributes:
        size: rows that it holds at most.
        summary: the statistics of its rows.
        buffer: the rows.
        evicted: rows that left since the statistics were last made from the buffer.
    """

    size: int
    summary: Summary
    buffer: Buffer
    evicted: int = 0

    @classmethod
    def empty(cls, size: int) -> Window:
        """Return a window without rows."""
        return cls(size, Summary.empty(), Buffer())

    @property
    def size_bytes(self) -> int:
        """The memory that rows and statistics take."""
        return self.buffer.size_bytes + self.summary.size_bytes

    def draft(self) -> WindowDraft:
        """Return a draft that begins as this."""
        return WindowDraft(self)


class WindowDraft:
    """A window that is being changed. A call that raises leaves it as it was."""

    def __init__(self, base: Window) -> None:
        self._size = base.size
        self._draft = base.summary.draft()
        self._buffer = base.buffer
        self._evicted = base.evicted

    @property
    def buffer(self) -> Buffer:
        """The rows by now."""
        return self._buffer

    @property
    def schema(self) -> Schema:
        """The attributes by now."""
        return self._draft.schema

    def widen(self, schema: Schema) -> None:
        """Make those attributes continuous that are so in another schema."""
        self._draft.widen(schema)

    def add(self, rows: Rows) -> list[Rows] | None:
        """Count rows in, and out again what they push out.

        Returns:
            The rows that left; None if the statistics were made from the buffer again.

        Raises:
            InvalidInput: a value cannot be summed, or an attribute is known as something else.
            TooLarge: there would be too many attributes or numbers.
        """
        buffer = self._buffer.with_last(rows)
        self._draft.add(rows)
        self._buffer, gone = buffer.without_first(max(0, len(buffer) - self._size))
        self._evicted += sum(len(part.values) for part in gone)
        # Adding and taking away leaves rounding behind, which grows without end.
        if self._evicted >= self._size or not self._taken(gone):
            self._restart()
            return None
        return gone

    def done(self) -> Window:
        """Return the window as changed."""
        return Window(self._size, self._draft.done(), self._buffer, self._evicted)

    def _taken(self, gone: list[Rows]) -> bool:
        """Take rows away; tell whether the digits of the others are still there."""
        before = self._fourths()
        try:
            for part in gone:
                self._draft.subtract(part)
        except InvalidInput:  # the statistics were not those of the buffer: an export was edited
            return False
        return not np.any(self._fourths() < _LOST * before)

    def _fourths(self) -> Floats:
        sums = self._draft.sums
        return sums.pairs.diagonal()[: len(sums.schema.continuous)].copy()

    def _restart(self) -> None:
        self._draft.clear()
        for part in self._buffer.parts:
            self._draft.add(part)
        self._evicted = 0
