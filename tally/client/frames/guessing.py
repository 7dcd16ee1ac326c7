"""Which type a column has by its cells, where neither the user nor the project says it."""

from __future__ import annotations

import math
from collections.abc import Iterable

_MISSING = frozenset({"", "na", "nan", "null"})
_BINARY = frozenset({0.0, 1.0})


def guess_letter(cells: Iterable[object]) -> str | None:
    """Return `B` for zeros, ones and truths, `C` for other numbers, None for text.

    Cells that are missing say nothing; a column without any other is `C`.

    Example:
        >>> guess_letter(["0", "1.0", ""]), guess_letter([True, None]), guess_letter([0, 2])
        ('B', 'B', 'C')
        >>> guess_letter(["red"]), guess_letter([None])
        (None, 'C')
    """
    letter = ""
    for cell in cells:
        value = _number(cell)
        if value is None:
            return None
        if math.isnan(value):
            continue
        if value not in _BINARY:
            letter = "C"
        letter = letter or "B"
    return letter or "C"


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
