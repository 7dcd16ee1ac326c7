"""How much memory a Parquet file asks for: by its footer, and by the header of every page.

The footer may lie: a page of a kilobyte can ask for two gigabytes in its own header, which a
reader takes before it finds anything wrong. pyarrow is not asked here, since its metadata objects
end the whole process when they are made from some damaged footers.

Source: parquet.apache.org/docs/file-format and its parquet.thrift, whose numbers of fields these
are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from tally.codec.frame.thrift import read_struct

_MAGIC = b"PAR1"
_TAIL = 8
_LARGEST_FOOTER = 1 << 22
_LARGEST_HEADER = 1 << 16
_MAX_PAGES = 100_000


def rows_and_bytes(body: bytes) -> tuple[int, int]:
    """Return the number of rows in a file, and what all of its pages take once decompressed.

    Raises:
        ValueError: it is damaged, or has more than a hundred thousand pages.
    """
    footer = _footer(body)
    rows = size = pages = 0
    for group in _field(footer, 4, list):
        count = _field(group, 3, int)
        if count < 0:
            raise ValueError("a row group has a negative number of rows")
        rows += count
        if count == 0:
            continue  # nothing of it is read, and its offsets mean nothing
        for column in _field(group, 1, list):
            for uncompressed in _pages(body, _field(column, 3, dict)):
                size += uncompressed
                pages += 1
                if pages > _MAX_PAGES:
                    raise ValueError(f"more than {_MAX_PAGES} pages")
    return rows, size


def _footer(body: bytes) -> dict[int, Any]:
    if len(body) < 2 * _TAIL or body[-4:] != _MAGIC:
        raise ValueError("no plain footer at its end")
    size = struct.unpack("<I", body[-_TAIL:-4])[0]
    if not 0 < size <= min(len(body) - _TAIL, _LARGEST_FOOTER):
        raise ValueError(f"a footer of {size} bytes")
    return read_struct(body[-_TAIL - size : -_TAIL])[0]


def _pages(body: bytes, column: dict[int, Any]) -> Iterator[int]:
    """Yield the uncompressed size of each page of a column chunk."""
    place, dictionary = _field(column, 9, int), column.get(11, 0)
    if isinstance(dictionary, int) and 0 < dictionary < place:
        place = dictionary
    end = place + _field(column, 7, int)
    if not 0 <= place <= end <= len(body):
        raise ValueError("a column lies outside of the file")
    while place < end:
        header, size = read_struct(body[place : min(end, place + _LARGEST_HEADER)])
        uncompressed, compressed = _field(header, 2, int), _field(header, 3, int)
        if uncompressed < 0 or compressed < 0:
            raise ValueError("a page of negative size")
        yield uncompressed
        place += size + compressed


def _field(fields: Any, number: int, kind: type) -> Any:
    value = fields.get(number) if isinstance(fields, dict) else None
    if not isinstance(value, kind):
        raise ValueError(f"field {number} of its metadata is missing")
    return value
