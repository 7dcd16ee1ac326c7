"""`application/json`: an object with names, types and rows of cells.

Rows of numbers, as texts or not, are read in one pass into floats (`_numeric`). Rows with text
columns or empty cells are read under the types of their columns (`json_rows`). Whatever neither
understands is read as Python objects, so the fast ways need not be complete, only right.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import chain
from typing import Any

import msgspec
import numpy as np

from tally.codec.frame.json_rows import FLOAT, TEXT, read_rows
from tally.codec.frame.limits import Limits
from tally.codec.frame.query import is_lenient
from tally.codec.frame.table import Array, Listed, Table, from_rows
from tally.engine.frame import NUMERIC, Numbers
from tally.errors import InvalidInput, TooLarge

_BOM = b"\xef\xbb\xbf"
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_STRING_OR_TOKEN = re.compile(_STRING.pattern + rb"|-?(?:NaN|Infinity)", re.DOTALL)


class _Head(msgspec.Struct, rename="camel"):
    attribute_names: list[str]
    attribute_types: list[str] | None = None
    error_handling: Any = None

    def kinds(self, known: Mapping[str, str]) -> str:
        """Return how each column's cells are to be read: a guess is made from numbers."""
        letters = self.attribute_types or [known.get(name, "C") for name in self.attribute_names]
        return "".join(FLOAT if letter in NUMERIC else TEXT for letter in letters)


class _Numeric(_Head, rename="camel"):
    data: list[list[float]] = []


class _Shaped(_Head, rename="camel"):
    data: msgspec.Raw = msgspec.Raw(b"[]")


class _Open(msgspec.Struct, rename="camel"):
    attribute_names: Any = None
    attribute_types: Any = None
    error_handling: Any = None
    data: Any = None


# Not strict: a number may be written as a text. That is all it allows for floats.
_numeric = msgspec.json.Decoder(_Numeric, strict=False)
_shaped = msgspec.json.Decoder(_Shaped)
_open = msgspec.json.Decoder(_Open)


def read(body: bytes, limits: Limits, known: Mapping[str, str]) -> Table:
    """Return the table that a JSON body holds; members that we do not know are ignored.

    Columns that are texts, by what was sent or by `known`, keep their cells as written.
    `NaN`, `Infinity` and `-Infinity` as bare words count as missing, as in Python's own JSON.

    Raises:
        InvalidInput: it is no JSON, or no such object.
        TooLarge: it is over a bound.
    """
    body = body.removeprefix(_BOM)
    _check_size(body, limits)
    return (
        _read_numeric(body, limits, known)
        or _read_shaped(body, limits, known)
        or _read_open(body, limits)
    )


def _read_numeric(body: bytes, limits: Limits, known: Mapping[str, str]) -> Table | None:
    try:
        head = _numeric.decode(body)
    except (ValueError, RecursionError):
        return None
    if TEXT in head.kinds(known):
        return None
    return _table_of_floats(head, head.data, limits)


def _read_shaped(body: bytes, limits: Limits, known: Mapping[str, str]) -> Table | None:
    try:
        head = _shaped.decode(body)
    except (ValueError, RecursionError):
        return None
    kinds = head.kinds(known)
    rows = read_rows(head.data, kinds) if len(kinds) == len(head.attribute_names) else None
    if not rows:
        return None
    if TEXT not in kinds:
        return _table_of_floats(head, rows, limits)
    limits.check_rows(len(rows), len(kinds))
    columns = [
        Array(_finite_or_nan(np.fromiter(cells, np.float64, len(rows))))
        if kind == FLOAT
        else Listed(cells)
        for kind, cells in zip(kinds, zip(*rows, strict=True), strict=True)
    ]
    lenient = is_lenient(head.error_handling, "errorHandling")
    return Table(head.attribute_names, head.attribute_types, columns, len(rows), lenient)


def _table_of_floats(head: _Head, data: list[list[float]], limits: Limits) -> Table | None:
    width, rows = len(head.attribute_names), len(data)
    if set(map(len, data)) != {width}:
        return None
    lenient = is_lenient(head.error_handling, "errorHandling")
    limits.check_rows(rows, width)
    values = _finite_or_nan(np.fromiter(chain.from_iterable(data), np.float64, rows * width))
    by_row = values.reshape(rows, width)
    columns = [Array(by_row[:, column]) for column in range(width)]
    return Table(head.attribute_names, head.attribute_types, columns, rows, lenient)


def _finite_or_nan(values: Numbers) -> Numbers:
    values[np.isinf(values)] = np.nan
    return values


def _read_open(body: bytes, limits: Limits) -> Table:
    content = _decode(body)
    names = _list(content.attribute_names, "attributeNames")
    letters = _list(content.attribute_types, "attributeTypes") if content.attribute_types else None
    lenient = is_lenient(content.error_handling, "errorHandling")
    rows = _list(content.data, "data")
    limits.check_rows(len(rows), len(names))
    return from_rows(names, letters, rows, lenient=lenient)


def _decode(body: bytes) -> _Open:
    try:
        return _open.decode(body)
    except (ValueError, RecursionError) as error:
        reason: Exception = error
    scrubbed = _STRING_OR_TOKEN.sub(_null_for_token, body)
    if scrubbed != body:
        try:
            return _open.decode(scrubbed)
        except (ValueError, RecursionError) as error:
            reason = error
    raise InvalidInput("body", f"this is no DataFrame in JSON: {reason}") from reason


def _null_for_token(found: re.Match[bytes]) -> bytes:
    text = found.group()
    return text if text.startswith(b'"') else b"null"


def _list(value: object, field: str) -> list[Any]:
    if not isinstance(value, list):
        kind = "absent" if value is None else f"a {type(value).__name__}"
        raise InvalidInput(field, f"it must be a list, and is {kind}")
    return value


def _check_size(body: bytes, limits: Limits) -> None:
    """Refuse what would take many times its own size as Python objects.

    Three bytes make a list of 56, two make a float of 24. Counting is fast and never too low;
    texts may contain the same signs, so before it refuses it counts again without them.
    """
    limits.check_bytes(len(body), "body")
    lists = limits.rows + 3  # the data, the names, the types
    commas = limits.cells + 2 * limits.columns + 16
    if body.count(b"[") > lists or body.count(b",") > commas:
        bare = _STRING.sub(b"", body)
        if bare.count(b"[") > lists:
            raise TooLarge("rows", f"more than {limits.rows} of them in one frame")
        if bare.count(b",") > commas:
            raise TooLarge("cells", f"more than {limits.cells} of them in one frame")
