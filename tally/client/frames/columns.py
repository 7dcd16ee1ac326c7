"""Columns of Python values: lists of dicts, dicts of lists, frames without pyarrow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tally.client.frames.guessing import guess_letter
from tally.client.frames.parts import Part, text_part
from tally.errors import InvalidInput

JSON = "application/json"


class Columns:
    """Rows as columns of Python values.

    Args:
        columns: by name; of equal length.
        letters: types that are known already, by name.

    Raises:
        InvalidInput: the columns are of different lengths.
    """

    def __init__(
        self, columns: Mapping[str, Sequence[object]], letters: Mapping[str, str] | None = None
    ) -> None:
        self._columns = list(columns.values())
        self._letters = letters or {}
        self.names = tuple(columns)
        self.rows = len(self._columns[0]) if self._columns else 0
        for name, column in columns.items():
            if len(column) != self.rows:
                raise InvalidInput(
                    name, f"it has {len(column)} values, and {self.names[0]!r} has {self.rows}"
                )

    @classmethod
    def of_records(cls, rows: Sequence[Mapping[str, object]]) -> Columns:
        """Return rows that are mappings; one that lacks a name misses that cell.

        Example:
            >>> Columns.of_records([{"x": 1}, {"y": 2}]).names
            ('x', 'y')
        """
        for place, row in enumerate(rows):
            if not isinstance(row, Mapping):
                raise InvalidInput(f"row {place + 1}", f"it is a {type(row).__name__}, no dict")
        names = dict.fromkeys(name for row in rows for name in row)
        return cls({str(name): [row.get(name) for row in rows] for name in names})

    @classmethod
    def of_mapping(cls, columns: Mapping[str, Any]) -> Columns:
        """Return a mapping of columns, or a data frame as the protocol writes it."""
        if {"attributeNames", "data"} <= columns.keys():
            return cls._of_data_frame(columns)
        return cls({str(name): _listed(name, column) for name, column in columns.items()})

    @classmethod
    def _of_data_frame(cls, frame: Mapping[str, Any]) -> Columns:
        names, rows = (_listed(key, frame[key]) for key in ("attributeNames", "data"))
        types = _listed("attributeTypes", frame.get("attributeTypes") or ())
        for place, row in enumerate(rows):
            if not _is_listed(row):
                raise InvalidInput(f"row {place + 1}", f"it is a {type(row).__name__}, no list")
            if len(row) != len(names):
                raise InvalidInput(
                    f"row {place + 1}", f"it has {len(row)} cells for {len(names)} names"
                )
        columns = zip(*rows, strict=True) if rows else ([] for _ in names)
        letters = zip(names, types, strict=False)
        return cls(dict(zip(names, columns, strict=True)), dict(letters))

    def guess(self, column: int) -> str | None:
        """Return the type that a column has by its values; None: it holds text."""
        known = self._letters.get(self.names[column])
        return known or guess_letter(self._columns[column])

    def parts(
        self, letters: Sequence[str], *, rows: int, start: int, lenient: bool
    ) -> Iterator[Part]:
        """Yield JSON; see `Source.parts`."""
        head = {"attributeNames": self.names, "attributeTypes": list(letters)}
        if lenient:
            head["errorHandling"] = 1  # type: ignore[assignment]  # the one member of another type
        for first in range(start * rows, self.rows, rows):
            last = min(first + rows, self.rows)
            data = zip(*(column[first:last] for column in self._columns), strict=True)
            body = msgspec.json.encode({**head, "data": list(data)}, enc_hook=plain)
            yield text_part(last - first, body, JSON)

    def cells(self) -> Iterator[Sequence[object]]:
        """Yield the rows."""
        return zip(*self._columns, strict=True)


def _is_listed(cells: object) -> bool:
    # A text is a sequence of letters, which nobody means by it.
    return isinstance(cells, Iterable) and not isinstance(cells, str | bytes | Mapping)


def _listed(name: object, cells: Any) -> Sequence[Any]:
    if not _is_listed(cells):
        raise InvalidInput(str(name), f"it is a {type(cells).__name__}, no list")
    # Arrays of any library become lists of Python's own numbers.
    return cells.tolist() if hasattr(cells, "tolist") else list(cells)


def plain(cell: Any) -> object:
    """Return what JSON can hold for a cell of another library's type."""
    if hasattr(cell, "item"):
        return cell.item()
    text = str(cell)
    return None if text in ("<NA>", "NaT") else text
