"""`text/csv`: a header row with the names, then one row a line (RFC 4180, in UTF-8)."""

from __future__ import annotations

import codecs
import csv
import io

from tally.codec.frame.csv_arrow import read_fast
from tally.codec.frame.limits import Limits
from tally.codec.frame.table import Table, from_rows
from tally.errors import InvalidInput, TooLarge


def read(body: bytes, limits: Limits, letters: list[str] | None, lenient: bool) -> Table:
    """Return the table of a CSV body; empty lines are ignored.

    Raises:
        InvalidInput: it is no UTF-8, has no header, or its quoting is broken.
        TooLarge: it is over a bound.
    """
    limits.check_bytes(len(body), "body")
    body = body.removeprefix(codecs.BOM_UTF8)
    fast = read_fast(body, limits, letters, lenient)
    return fast or _read(body, limits, letters, lenient)


def _read(body: bytes, limits: Limits, letters: list[str] | None, lenient: bool) -> Table:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput("body", f"this is no CSV in UTF-8: {error}") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[object] = []
    cells = 0
    try:
        names = next((row for row in reader if row), None)
        if names is None:
            raise InvalidInput("body", "a CSV body starts with a row of names; this one is empty")
        for row in reader:
            if row:
                rows.append(row)
                cells += len(row)
                if len(rows) > limits.rows or cells > limits.cells:
                    limits.check_rows(len(rows), len(row))
                    raise TooLarge("cells", f"more than {limits.cells} of them in one frame")
    except csv.Error as error:
        raise InvalidInput("body", f"line {reader.line_num}: {error}") from error
    limits.check_rows(len(rows), len(names))
    return from_rows(names, letters, rows, lenient=lenient)
