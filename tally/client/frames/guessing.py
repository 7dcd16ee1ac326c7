"""Which type a column has by its cells, where neither the user nor the project says it."""

from __future__ import annotations

import math
from collections.abc import Iterable

_MISSING = frozenset({"", "na", "nan", "null"})
_BINARY = frozenset({0.0, 1.0})


class Guess:
    """The type of one column, as far as its cells were seen."""

    __slots__ = ("_binary", "_continuous", "_text")

    def __init__(self) -> None:
        self._binary = self._continuous = self._text = False

    def see(self, cell: object) -> None:
        """Take one more cell into account."""
        if self._text:
            return
        value = _number(cell)
        if value is None:
            self._text = True
        elif value in _BINARY:
            self._binary = True
        elif not math.isnan(value):
            self._continuous = True

    @property
    def letter(self) -> str | None:
        """`B` for zeros, ones and truths, `C` for other numbers, None for text.

        Cells that are missing say nothing; a column without any other is `C`.
        """
        if self._text:
            return None
        return "B" if self._binary and not self._continuous else "C"


def guess_letter(cells: Iterable[object]) -> str | None:
    """Return the type of a column by all its cells; see `Guess.letter`.

    Example:
        >>> guess_letter(["0", "1.0", ""]), guess_letter([True, None]), guess_letter([0, 2])
        ('B', 'B', 'C')
        >>> guess_letter(["red"]), guess_letter([None])
        (None, 'C')
    """
    guess = Guess()
    for cell in cells:
        guess.see(cell)
    return guess.letter


def _number(cell: object) -> float | None:
    """Return a cell as a number, NaN where it is missing; None: it is none."""
    if cell is None:
        return math.nan
    if isinstance(cell, str):
        text = cell.strip()
        if text.lower() in _MISSING:
            return math.nan
        # Python reads more than the server does.
        if "_" in text:
            return None
        if text.lower() in ("true", "false"):
            return float(text.lower() == "true")
        cell = text
    try:
        return float(cell)  # type: ignore[arg-type]  # whatever has no number raises
    except (TypeError, ValueError, OverflowError):
        return None
