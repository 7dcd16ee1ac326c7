"""Arrow tables: of pandas, polars, Parquet files and whatever else speaks Arrow.

pyarrow is optional and has no types; it is touched in this file only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module, util
from pathlib import Path
from typing import Any

from tally.client.frames.parts import Part, binary_query
from tally.errors import AlgorithmUnavailable, InvalidInput

_MEDIA_TYPE = "application/vnd.apache.arrow.stream"


class ArrowTable:
    """Rows in an Arrow table.

    Args:
        table: of pyarrow.
    """

    def __init__(self, table: Any) -> None:
        self._table = table
        self.names = tuple(map(str, table.column_names))
        self.rows = int(table.num_rows)

    @classmethod
    def of_pandas(cls, frame: Any) -> ArrowTable | None:
        """Return a frame of pandas without its index; None: Arrow has no such columns."""
        pa = import_module("pyarrow")
        frame = frame.rename(columns=str)
        try:
            return cls(pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata())
        except pa.ArrowException:
            return None

    @classmethod
    def of_stream(cls, frame: Any) -> ArrowTable:
        """Return anything that has the method `__arrow_c_stream__`."""
        return cls(import_module("pyarrow").table(frame).replace_schema_metadata())

    @classmethod
    def of_parquet(cls, path: Path) -> ArrowTable:
        """Return a Parquet file.

        Raises:
            AlgorithmUnavailable: pyarrow is not installed.
            InvalidInput: the file cannot be read.
        """
        if not has_arrow():
            raise AlgorithmUnavailable(
                path.name, "Parquet needs pyarrow; install it with: pip install 'tally[arrow]'"
            )
        pa = import_module("pyarrow")
        try:
            table = import_module("pyarrow.parquet").read_table(path, memory_map=True)
        except (OSError, pa.ArrowException) as error:
            raise InvalidInput(str(path), " ".join(str(error).split())[:200]) from error
        return cls(table.replace_schema_metadata())

    def guess(self, column: int) -> str | None:
        """Return the type that a column has by its values; None: it holds text, or times."""
        types, compute = import_module("pyarrow.types"), import_module("pyarrow.compute")
        cells = self._table.column(column)
        kind = cells.type
        if types.is_boolean(kind):
            return "B"
        if types.is_null(kind):
            return "C"
        if types.is_dictionary(kind):
            # A category, unless what it names are numbers.
            return "T" if _is_text(types, kind.value_type) else "C"
        if not (types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)):
            return None
        pa = import_module("pyarrow")
        zero_or_one = pa.array([0, 1], pa.int64()).cast(kind)
        # A NaN is missing, as a null is.
        if types.is_floating(kind):
            cells = compute.if_else(compute.is_nan(cells), None, cells)
        among = compute.is_in(cells, value_set=zero_or_one)
        binary = compute.all(compute.or_(among, compute.is_null(cells)), min_count=0).as_py()
        return "B" if binary and cells.null_count < len(cells) else "C"

    def parts(
        self, letters: Sequence[str], *, rows: int, start: int, lenient: bool
    ) -> Iterator[Part]:
        """Yield Arrow streams; see `Source.parts`."""
        pa = import_module("pyarrow")
        headers, query = {"Content-Type": _MEDIA_TYPE}, binary_query(letters, lenient)
        for first in range(start * rows, self.rows, rows):
            part = self._table.slice(first, rows)
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, part.schema) as stream:
                stream.write_table(part)
            yield Part(part.num_rows, sink.getvalue().to_pybytes(), headers, query)

    def cells(self) -> Iterator[Sequence[object]]:
        """Yield the rows."""
        columns = (column.to_pylist() for column in self._table.columns)
        return zip(*columns, strict=True)


def has_arrow() -> bool:
    """Tell whether pyarrow is installed."""
    return util.find_spec("pyarrow") is not None


def _is_text(types: Any, kind: Any) -> bool:
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))
