"""Rows as clients send them."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from numpy.typing import NDArray

JSON, ARROW = "application/json", "application/vnd.apache.arrow.stream"


def names(columns: int) -> list[str]:
    """Return the names of so many columns."""
    return [f"a{column}" for column in range(columns)]


def as_json(rows: Sequence[Sequence[object]], types: str) -> bytes:
    """Return the documented JSON, one letter for each column."""
    body = {"attributeNames": names(len(types)), "attributeTypes": list(types), "data": rows}
    return json.dumps(body, separators=(",", ":")).encode()


def as_texts(values: NDArray[Any]) -> list[list[str]]:
    """Return each number as the shortest text that means it."""
    return [list(map(repr, row)) for row in values.tolist()]


def as_arrow(values: NDArray[Any]) -> bytes | None:
    """Return one record batch of an Arrow stream; None where there is no pyarrow."""
    try:
        pa: Any = import_module("pyarrow")
    except ModuleNotFoundError:
        return None
    table = pa.table(dict(zip(names(values.shape[1]), values.T, strict=True)))
    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    return stream.getvalue()
