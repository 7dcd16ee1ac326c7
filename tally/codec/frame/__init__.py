"""Bodies of learn, forget and predict: bytes into a frame, whichever format they came in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import TypeAlias

from tally.codec.frame import arrow, csv, json, parquet
from tally.codec.frame.columnar import load_libraries
from tally.codec.frame.encodings import decompress
from tally.codec.frame.limits import Limits
from tally.codec.frame.query import find, is_lenient, sent_letters
from tally.codec.frame.reading import read_texts
from tally.codec.frame.table import Table
from tally.codec.frame.types import checked_names, typed
from tally.engine.frame import CATEGORY, Frame, Numbers, Texts

__all__ = ["Limits", "decode", "decode_cells", "load_libraries"]

_Reader: TypeAlias = Callable[..., Table]
_READERS: Mapping[str, _Reader] = {
    "application/vnd.apache.arrow.stream": arrow.read,
    "application/vnd.apache.parquet": parquet.read,
    "application/x-parquet": parquet.read,
    "text/csv": csv.read,
}


def decode(
    body: bytes,
    *,
    media_type: str,
    content_encoding: str,
    query: Mapping[str, str],
    known: Mapping[str, str],
    limits: Limits,
    lenient: bool = False,
) -> Frame:
    """Return the frame that a request's body holds.

    Args:
        body: as received.
        media_type: the request's `Content-Type`; anything that is not Arrow, Parquet or CSV is
            read as JSON. Parameters (`; charset=utf-8`) are ignored.
        content_encoding: the request's `Content-Encoding`; may be empty.
        query: `attributeTypes` and `errorHandling` for the bodies that have no place for them.
        known: type by name of each column that the project knows: `T` for a category's name.
        limits: how large it may be.
        lenient: a cell that cannot be read is missing, whatever the body or the query says.

    Raises:
        InvalidInput: it holds no frame; the message names the row and the column.
        TooLarge: it is over a bound.

    Example:
        >>> body = b'{"attributeNames": ["x"], "data": [["1.5"], [2]]}'
        >>> decode(
        ...     body, media_type="", content_encoding="", query={}, known={}, limits=Limits()
        ... ).numbers(0)
        array([1.5, 2. ])
    """
    table = _table(body, media_type, content_encoding, query, known, limits)
    return typed(replace(table, lenient=True) if lenient else table, known, limits)


def decode_cells(
    body: bytes,
    *,
    media_type: str,
    content_encoding: str,
    texts: Collection[str],
    limits: Limits,
) -> tuple[dict[str, Numbers | Texts], int]:
    """Return the columns of a body by name, whatever types it declares, and how many rows it has.

    Args:
        body, media_type, content_encoding, limits: as for `decode`.
        texts: columns that are read as texts; others are numbers where all cells are.

    Raises:
        InvalidInput: it holds no frame; a cell that cannot be read is only missing.
        TooLarge: it is over a bound.

    Example:
        >>> columns, rows = decode_cells(
        ...     b'{"attributeNames": ["x"], "attributeTypes": ["C"], "data": [["1.5"], ["red"]]}',
        ...     media_type="", content_encoding="", texts=(), limits=Limits())
        >>> columns, rows
        ({'x': ('1.5', 'red')}, 2)
    """
    known = dict.fromkeys(texts, CATEGORY)
    table = _table(body, media_type, content_encoding, {}, known, limits)
    names = checked_names(table.names, limits)
    if table.broken:
        raise table.broken
    columns: dict[str, Numbers | Texts] = {}
    for name, cells in zip(names, table.columns, strict=True):
        numbers = None if name in texts else cells.numbers()
        columns[name] = read_texts(cells.objects())[0] if numbers is None else numbers
    return columns, table.rows


def _table(
    body: bytes,
    media_type: str,
    content_encoding: str,
    query: Mapping[str, str],
    known: Mapping[str, str],
    limits: Limits,
) -> Table:
    content = decompress(body, content_encoding, limits.decompressed_bytes)
    read = _READERS.get(media_type.partition(";")[0].strip().lower())
    if read is None:
        return json.read(content, limits, known)
    lenient = is_lenient(find(query, "errorHandling"), "errorHandling")
    return read(content, limits, sent_letters(query), lenient)
