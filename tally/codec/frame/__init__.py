"""Bodies of learn, forget and predict: bytes into a frame, whichever format they came in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from tally.codec.frame import arrow, csv, json, parquet
from tally.codec.frame.columnar import load_libraries
from tally.codec.frame.encodings import decompress
from tally.codec.frame.limits import Limits
from tally.codec.frame.query import find, is_lenient, sent_letters
from tally.codec.frame.table import Table
from tally.codec.frame.types import typed
from tally.engine.frame import Frame

__all__ = ["Limits", "decode", "load_libraries"]

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
    content = decompress(body, content_encoding, limits.decompressed_bytes)
    read = _READERS.get(media_type.partition(";")[0].strip().lower())
    if read is None:
        table = json.read(content, limits, known)
    else:
        lenient = is_lenient(find(query, "errorHandling"), "errorHandling")
        table = read(content, limits, sent_letters(query), lenient)
    return typed(table, known, limits)
