"""CSV through pyarrow, where it is installed and certain to agree with Python's own reader."""

from __future__ import annotations

import csv
from importlib import import_module

from tally.codec.frame.columnar import table_of
from tally.codec.frame.limits import Limits
from tally.codec.frame.table import Table


def read_fast(
    body: bytes, limits: Limits, letters: list[str] | None, lenient: bool
) -> Table | None:
    """Return the table of a plain CSV body, about eight times as fast; None if it is not plain.

    Plain means: no quotes, no line ends but one kind, as many cells in every row as in the first.
    All else has corners in which two readers differ, and errors that name no row.
    """
    try:
        pa, arrow_csv = import_module("pyarrow"), import_module("pyarrow.csv")
    except ModuleNotFoundError:
        return None
    if b'"' in body or body.count(b"\r") != body.count(b"\r\n"):
        return None
    start = len(body) - len(body.lstrip(b"\r\n"))
    end = body.find(b"\n", start) + 1
    lines, commas = body.count(b"\n") + 1, body.count(b",")
    if not end or lines > limits.rows or commas + lines > limits.cells:
        return None
    try:
        [names] = csv.reader([body[start:end].decode()])
        keys = [str(place) for place in range(len(names))]
        table = arrow_csv.read_csv(
            pa.BufferReader(pa.py_buffer(body)[end:]),
            read_options=arrow_csv.ReadOptions(column_names=keys, use_threads=False),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(keys, pa.string()), strings_can_be_null=False
            ),
        )
    except (pa.ArrowException, ValueError):
        return None
    schema = pa.schema([pa.field(name, pa.string()) for name in names])
    return table_of(schema, table.to_batches(), letters, lenient, limits)
