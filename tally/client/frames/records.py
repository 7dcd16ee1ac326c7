"""Rows inside a larger request, as the protocol's DataFrame: all cells are texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tally.client.frames.columns import plain
from tally.client.frames.parts import Source


def as_data_frame(source: Source, letters: Sequence[str]) -> dict[str, Any]:
    """Return all rows; cells that are no value of their type are to count as missing.

    Args:
        source, letters: the rows, and the type of each column.

    Example:
        >>> from tally.client.frames import open_frame
        >>> source = open_frame([{"x": 4.0, "y": True}, {"x": None, "y": False}])
        >>> as_data_frame(source, "CB")["data"]
        [['4.0', '1'], ['', '0']]
    """
    return {
        "attributeNames": list(source.names),
        "attributeTypes": list(letters),
        "data": [list(map(_text, row)) for row in source.cells()],
        "errorHandling": 1,
    }


def _text(cell: object) -> str:
    if isinstance(cell, str):
        return cell
    if cell is not None and not isinstance(cell, int | float):
        return _text(plain(cell))
    if cell is None or cell != cell:  # NaN
        return ""
    return str(int(cell)) if isinstance(cell, bool) else repr(cell)
