"""Columns of Arrow arrays as cells; what the Arrow and Parquet bodies have in common.

pyarrow is an optional extra and has no types, so this file is the adapter: outside of it,
`arrow.py` and `parquet.py` an Arrow object is never touched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np

from tally.codec.frame.limits import Limits
from tally.codec.frame.table import Cells, Table
from tally.engine.frame import Numbers
from tally.errors import InvalidInput


def library(name: str, body: str) -> ModuleType:
    """Return a module of pyarrow.

    Raises:
        InvalidInput: it is not installed here.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise InvalidInput(
            "Content-Type",
            f"{body} bodies need pyarrow, which this server lacks: pip install 'tally[arrow]'",
        ) from error


def load_libraries() -> None:
    """Import what the first body would wait for; where pyarrow is not installed, nothing."""
    with suppress(ModuleNotFoundError):
        for name in ("pyarrow", "pyarrow.compute", "pyarrow.csv", "pyarrow.parquet"):
            import_module(name)


@contextmanager
def refusing(body: str) -> Iterator[None]:
    """Turn what pyarrow raises about bytes that it cannot read into `InvalidInput`."""
    pa = library("pyarrow", body)
    try:
        yield
    except InvalidInput:
        raise
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InvalidInput("body", f"this is no {body} data: {reason}") from error


def is_readable(kind: Any) -> bool:
    """Tell whether columns of an Arrow type can be cells: numbers, booleans, texts."""
    types = import_module("pyarrow.types")
    if types.is_dictionary(kind):
        return not types.is_dictionary(kind.value_type) and is_readable(kind.value_type)
    return bool(_is_number(kind) or _is_text(kind) or types.is_boolean(kind) or types.is_null(kind))


def table_of(
    schema: Any, batches: Sequence[Any], letters: list[str] | None, lenient: bool, limits: Limits
) -> Table:
    """Return the table of validated record batches, which have the readable columns of a schema."""
    rows = sum(batch.num_rows for batch in batches)
    limits.check_rows(rows, len(schema.names))
    columns: list[Cells] = []
    place = 0
    for field in schema:
        if is_readable(field.type):
            columns.append(_Arrays([batch.column(place) for batch in batches], rows))
            place += 1
        else:
            columns.append(_Unreadable(str(field.type), rows))
    return Table(schema.names, letters, columns, rows, lenient)


@dataclass(frozen=True, slots=True)
class _Arrays:
    """One column in parts."""

    parts: Sequence[Any]
    rows: int

    def numbers(self) -> Numbers | None:
        values = np.empty(self.rows)
        start = 0
        for part in self.parts:
            read = _numbers(part)
            if read is None:
                return None
            values[start : start + len(read)] = read
            start += len(read)
        values[np.isinf(values)] = np.nan
        return values

    def objects(self) -> Sequence[object]:
        return [cell for part in self.parts for cell in _objects(part)]


@dataclass(frozen=True, slots=True)
class _Unreadable:
    """A column whose type has no cells of ours, such as a date: every cell is bad."""

    kind: str
    rows: int

    def numbers(self) -> None:
        return None

    def objects(self) -> Sequence[object]:
        return [_Foreign(self.kind)] * self.rows


@dataclass(frozen=True, slots=True)
class _Foreign:
    kind: str

    def __repr__(self) -> str:
        return f"a cell of the type {self.kind}"


def _numbers(part: Any) -> Numbers | None:
    types = import_module("pyarrow.types")
    if types.is_dictionary(part.type):
        values = _numbers(part.dictionary)
        if values is None:
            return None
        # One more place, for the cells that have no value.
        places = part.indices.cast("int64").fill_null(len(values))
        taken: Numbers = np.append(values, np.nan)[places.to_numpy(zero_copy_only=False)]
        return taken
    if _is_text(part.type):
        return _numbers_in_texts(part)
    plain = part.cast("float64", safe=False)
    numbers: Numbers = plain.to_numpy(zero_copy_only=False)
    return numbers


def _numbers_in_texts(part: Any) -> Numbers | None:
    pa, compute = import_module("pyarrow"), import_module("pyarrow.compute")
    empty = compute.equal(part, pa.scalar("", part.type))
    try:
        cells = compute.if_else(empty, pa.scalar(None, part.type), part).cast("float64")
    except pa.ArrowException:
        return None
    values: Numbers = cells.to_numpy(zero_copy_only=False)
    # It reads 1e999 as infinity, where the other bodies say that it is too large.
    return None if np.isinf(values).any() else values


def _objects(part: Any) -> list[object]:
    types = import_module("pyarrow.types")
    if types.is_dictionary(part.type):
        # Not decoded by Arrow, which would write a long value out again for each of its rows.
        values = _objects(part.dictionary)
        return [None if place is None else values[place] for place in part.indices.to_pylist()]
    cells: list[object] = part.to_pylist()
    if types.is_decimal(part.type):
        return [None if cell is None else str(cell) for cell in cells]
    return cells


def _is_number(kind: Any) -> bool:
    types = import_module("pyarrow.types")
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def _is_text(kind: Any) -> bool:
    types = import_module("pyarrow.types")
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))
