"""`application/vnd.apache.parquet`: a Parquet file."""

from __future__ import annotations

from typing import Any

from tally.codec.frame.columnar import is_readable, library, refusing, table_of
from tally.codec.frame.limits import Limits
from tally.codec.frame.parquet_pages import rows_and_bytes
from tally.codec.frame.table import Table
from tally.errors import InvalidInput

_BODY = "Parquet"
_BATCH_ROWS = 65_536


def read(body: bytes, limits: Limits, letters: list[str] | None, lenient: bool) -> Table:
    """Return the table of a Parquet file.

    Raises:
        InvalidInput: it is no such file.
        TooLarge: it is over a bound; its metadata and the headers of its pages are asked before
            any column is read.
    """
    pa = library("pyarrow", _BODY)
    limits.check_bytes(len(body), "body")
    with refusing(_BODY):
        rows, size = rows_and_bytes(body)
        limits.check_rows(rows, 0)
        limits.check_bytes(size, "columns")
        schema = _open(pa, body, []).schema_arrow
        limits.check_rows(rows, len(schema.names))
        readable = [field.name for field in schema if is_readable(field.type)]
        batches = []
        rows = 0
        # Texts stay in dictionaries: a value of a megabyte in a million rows is read once.
        file = _open(pa, body, readable)
        for batch in file.iter_batches(_BATCH_ROWS, columns=readable, use_threads=False):
            rows += batch.num_rows
            limits.check_rows(rows, len(schema.names))
            if batch.schema.names != readable:
                raise InvalidInput("body", "a column has the name of a field in a nested one")
            batch.validate(full=True)
            batches.append(batch)
        return table_of(schema, batches, letters, lenient, limits)


def _open(pa: Any, body: bytes, dictionaries: list[str]) -> Any:
    return library("pyarrow.parquet", _BODY).ParquetFile(
        pa.BufferReader(body),
        read_dictionary=dictionaries,
        thrift_string_size_limit=len(body),
        thrift_container_size_limit=len(body),
    )
