"""Finds out in which form a user has the rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from tally.client.frames.arrow import ArrowTable, has_arrow
from tally.client.frames.columns import Columns
from tally.client.frames.csv_file import CsvFile
from tally.client.frames.parts import Source
from tally.errors import InvalidInput

_FORMS = (
    "a frame of pandas, polars or Arrow, a list of dicts, a dict of lists, "
    "or the path of a .csv, .csv.gz, .parquet or .json file"
)


def open_frame(data: object) -> Source:
    """Return rows in one of the forms that are known.

    Args:
        data: a frame of pandas (its index is left out), polars or Arrow, a list of dicts, a dict
            of lists, or the path of a file; a JSON file holds one of the latter two, or a
            DataFrame as the protocol has it.

    Raises:
        InvalidInput: it is nothing of that, or cannot be read.

    Example:
        >>> open_frame([{"x": 1.5}, {"x": 2.5}]).rows
        2
    """
    if isinstance(data, str | PathLike):
        return _open_file(Path(data))
    if isinstance(data, Mapping):
        return Columns.of_mapping(data)
    if isinstance(data, Sequence) and not isinstance(data, bytes | bytearray):
        return Columns.of_records(data)
    return _open_table(data)


def _open_file(path: Path) -> Source:
    name = path.name.lower()
    if name.endswith((".csv", ".csv.gz")):
        return CsvFile(path)
    if name.endswith(".parquet"):
        return ArrowTable.of_parquet(path)
    if not name.endswith(".json"):
        raise InvalidInput(str(path), "it ends in none of .csv, .csv.gz, .parquet and .json")
    try:
        held = json.loads(path.read_bytes())
    except OSError as error:
        raise InvalidInput(str(path), str(error.strerror)) from error
    except ValueError as error:
        raise InvalidInput(str(path), f"it is not JSON: {error}") from error
    if isinstance(held, list | dict):
        return open_frame(held)
    raise InvalidInput(str(path), "its JSON is neither a list of objects nor an object of lists")


def _open_table(data: Any) -> Source:
    """Return a frame of a library, which is told by its methods: none of them is imported."""
    of_pandas = hasattr(data, "itertuples") and hasattr(data, "columns")
    if has_arrow():
        if of_pandas and (table := ArrowTable.of_pandas(data)) is not None:
            return table
        if not of_pandas and hasattr(data, "__arrow_c_stream__"):
            return ArrowTable.of_stream(data)
    if of_pandas:
        columns = zip(data.columns, (data.iloc[:, i] for i in range(data.shape[1])), strict=True)
        kinds = {str(name): "T" for name, kind in data.dtypes.items() if str(kind) == "category"}
        return Columns({str(name): column.tolist() for name, column in columns}, kinds)
    if hasattr(data, "iter_rows") and hasattr(data, "get_columns"):
        return Columns({column.name: column.to_list() for column in data.get_columns()})
    raise InvalidInput("rows", f"a {type(data).__name__} is none of these: {_FORMS}")
