"""A frame: rows as a client sent them, each column under one type, before any expansion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tally.engine.rows import BINARY, CONTINUOUS

CATEGORY, TEXT, LIST, IGNORED, PATIENT = "T", "S", "L", "X", "P"
LETTERS = CONTINUOUS + BINARY + CATEGORY + TEXT + LIST + IGNORED + PATIENT
NUMERIC = CONTINUOUS + BINARY

SEPARATOR = "$"
"""Stands between a category's name and a value in the name of a member: `region$north`."""

NAME_LENGTH = 256
"""Characters of a column's name, and of one value of a category."""

Numbers: TypeAlias = NDArray[np.float64]
Texts: TypeAlias = Sequence[str | None]


@dataclass(frozen=True, slots=True)
class Frame:
    """Columns of equal length; every cell is a value of its column's type, or missing.

    Attributes:
        names: of the columns, as sent; unique.
        types: one of `LETTERS` for each column.
        columns: `C` and `B` as float64 of shape (rows,), NaN where missing, `B` 0 or 1; the
            others as texts, neither trimmed nor lower-cased, None where missing.
        rows: how many.

    Example:
        >>> frame = Frame(("x", "color"), "CT", (np.array([1.5, 2.0]), ("Red", None)), 2)
        >>> frame.take(np.array([True, False])).columns[1]
        ('Red',)
    """

    names: tuple[str, ...]
    types: str
    columns: tuple[Numbers | Texts, ...]
    rows: int

    def numbers(self, index: int) -> Numbers:
        """Return a `C` or `B` column."""
        column = self.columns[index]
        assert isinstance(column, np.ndarray), f"column {index} has type {self.types[index]}"
        return column

    def texts(self, index: int) -> Texts:
        """Return a column of any other type."""
        column = self.columns[index]
        assert not isinstance(column, np.ndarray), f"column {index} has type {self.types[index]}"
        return column

    def take(self, kept: NDArray[np.bool_]) -> Frame:
        """Return the rows for which `kept` (rows,) is true, in their order."""
        if kept.all():
            return self
        flags = kept.tolist()
        columns = tuple(
            column[kept] if isinstance(column, np.ndarray) else tuple(compress(column, flags))
            for column in self.columns
        )
        return Frame(self.names, self.types, columns, int(kept.sum()))

    def chosen(self, rows: NDArray[np.intp]) -> Frame:
        """Return the rows with these indexes, in their order."""
        places = rows.tolist()
        columns = tuple(
            column[rows] if isinstance(column, np.ndarray) else tuple(column[k] for k in places)
            for column in self.columns
        )
        return Frame(self.names, self.types, columns, len(places))

    def without(self, name: str) -> Frame:
        """Return the frame less one column; the same if there is none of that name."""
        if name not in self.names:
            return self
        index = self.names.index(name)
        return Frame(
            self.names[:index] + self.names[index + 1 :],
            self.types[:index] + self.types[index + 1 :],
            self.columns[:index] + self.columns[index + 1 :],
            self.rows,
        )
