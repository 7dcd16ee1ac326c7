"""Cells read under a type: numbers or texts, missing ones and bad ones."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tally.codec.frame.table import Cells
from tally.engine.cells import is_missing, number, number_text
from tally.engine.frame import Numbers

_WORDS = {"true": 1.0, "false": 0.0}


@dataclass(frozen=True, slots=True)
class Bad:
    """The first cell of a column that is no value of its type."""

    row: int
    cell: object
    reason: str


def zero_or_one(values: Numbers) -> NDArray[np.bool_]:
    """Return where values are 0, 1 or missing."""
    answer: NDArray[np.bool_] = (values == 0) | (values == 1) | np.isnan(values)
    return answer


def read_numbers(cells: Cells, *, words: bool = False) -> tuple[Numbers, Bad | None]:
    """Return a column as numbers, NaN where missing or bad; with `words`, true is 1, false 0."""
    values = cells.numbers()
    return look_at(cells.objects(), words=words) if values is None else (values, None)


def look_at(
    cells: Sequence[object], *, words: bool, strict: bool = False
) -> tuple[Numbers, Bad | None]:
    """Read numbers one by one; a bad one becomes NaN. With `strict` the first one ends it."""
    values = np.full(len(cells), math.nan)
    first: Bad | None = None
    for row, cell in enumerate(cells):
        try:
            values[row] = _number(cell, words=words)
        except (ValueError, OverflowError):
            first = first or Bad(row, cell, "is not 0 or 1" if words else "is not a number")
            if strict:
                break
    return values, first


def _number(cell: object, *, words: bool) -> float:
    if cell is None:
        return math.nan
    if isinstance(cell, str):
        word = _WORDS.get(cell.strip().lower()) if words else None
        return number(cell) if word is None else word
    if isinstance(cell, int | float):
        value = float(cell)
        return value if math.isfinite(value) else math.nan
    raise ValueError(cell)


def read_texts(
    cells: Sequence[object], longest: int | None = None
) -> tuple[tuple[str | None, ...], Bad | None]:
    """Return a column as texts, None where missing, bad, or longer than `longest` characters."""
    bad: Bad | None = None
    if not set(map(type, cells)) <= {str, type(None)}:
        texts: list[str | None] = []
        for row, cell in enumerate(cells):
            try:
                texts.append(_text(cell))
            except ValueError:
                bad = bad or Bad(row, cell, "is not a text")
                texts.append(None)
        cells = texts
    # Few values are different from one another, so only those are looked at.
    different = {cell for cell in cells if isinstance(cell, str)}
    missing = {text for text in different if is_missing(text)}
    if longest is not None:
        long = {text for text in different if len(text.strip()) > longest}
        if long:
            row = next(row for row, cell in enumerate(cells) if cell in long)
            if bad is None or row < bad.row:
                bad = Bad(row, cells[row], f"has more than {longest} characters")
            missing |= long
    kept: Iterable[object] = cells
    if missing:
        kept = (None if cell in missing else cell for cell in cells)
    return tuple(kept), bad  # type: ignore[arg-type]  # str or None, all of them


def _text(cell: object) -> str | None:
    if cell is None or isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, int):
        return str(cell)
    if isinstance(cell, float):
        return number_text(cell) if math.isfinite(cell) else None
    raise ValueError(cell)
