"""What every body is decoded into first: columns of cells whose type is still open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any, Protocol

import numpy as np

from tally.engine.frame import Numbers
from tally.errors import InvalidInput


class Cells(Protocol):
    """One column, not yet read under a type."""

    def numbers(self) -> Numbers | None:
        """Return all cells as numbers, NaN where missing; None if some need a closer look."""

    def objects(self) -> Sequence[object]:
        """Return each cell as str, int, float, bool or None; anything else is a bad cell."""


@dataclass(frozen=True, slots=True)
class Table:
    """A frame without types.

    Attributes:
        names: as sent, unchecked.
        letters: as sent, one for each name, unchecked; None where none were sent.
        columns: one for each name, of `rows` cells each.
        lenient: whether a bad cell counts as missing instead of refusing the frame.
        broken: why there are no rows after these; refuses the frame unless one of their cells
            does so first.
    """

    names: Sequence[str]
    letters: Sequence[str] | None
    columns: Sequence[Cells]
    rows: int
    lenient: bool
    broken: InvalidInput | None = None


@dataclass(frozen=True, slots=True)
class Array:
    """A column that arrived as numbers, all finite or NaN."""

    values: Numbers

    def numbers(self) -> Numbers:
        """Return the values."""
        return self.values

    def objects(self) -> Sequence[object]:
        """Return the values as floats, None where missing."""
        return [None if value != value else value for value in self.values.tolist()]


@dataclass(frozen=True, slots=True)
class Listed:
    """A column of Python objects."""

    cells: Sequence[object]

    def numbers(self) -> Numbers | None:
        """Return the cells as numbers if they are all of one kind and easily read."""
        kinds = set(map(type, self.cells))
        if kinds <= {int, float, bool}:
            return self._converted(self.cells)
        if kinds <= {str, type(None)}:
            # Most columns with gaps have empty cells and nothing else that is odd.
            return self._converted([cell or "nan" for cell in self.cells])
        return None

    def objects(self) -> Sequence[object]:
        """Return the cells."""
        return self.cells

    @staticmethod
    def _converted(cells: Sequence[object]) -> Numbers | None:
        if cells and isinstance(cells[0], str):
            joined = "".join(cells)  # type: ignore[arg-type]  # all are: the caller looked
            if "_" in joined or not joined.isascii():
                return None  # `float` reads more than `tally.engine.frame.number` allows
        try:
            values = np.fromiter(map(float, cells), np.float64, len(cells))  # type: ignore[arg-type]
        except (ValueError, OverflowError):
            return None
        return None if np.isinf(values).any() else values


def from_rows(
    names: Sequence[str], letters: Sequence[str] | None, rows: Sequence[object], *, lenient: bool
) -> Table:
    """Return the table of rows that should each be a list with one cell for each name.

    Rows that are not are left out if `lenient`; else the table ends before the first of them.
    """
    width = len(names)
    fits = [isinstance(row, list) and len(row) == width for row in rows]
    good: Sequence[Any] = rows
    broken: InvalidInput | None = None
    if not all(fits):
        if lenient:
            good = list(compress(rows, fits))
        else:
            end = fits.index(False)
            good, broken = rows[:end], _ragged(end, rows[end], width)
    columns: Sequence[Sequence[object]] = list(zip(*good, strict=True)) or [()] * width
    return Table(names, letters, [Listed(cells) for cells in columns], len(good), lenient, broken)


def _ragged(index: int, row: object, width: int) -> InvalidInput:
    found = f"{len(row)} cells" if isinstance(row, list) else f"a {type(row).__name__}"
    return InvalidInput(f"row {index + 1}", f"{found} where {width} cells are expected")
