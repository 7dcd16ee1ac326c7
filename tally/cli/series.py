"""Reads a series from a file: JSON as the API takes it, or a column of a CSV."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from tally.errors import InvalidInput


def read_series(path: Path, column: str | None, time_column: str | None) -> dict[str, object]:
    """Return the body of a fit request.

    Args:
        path: `.csv` is CSV with a header; anything else is JSON: a list of numbers, or an object
            with `data`.
        column: of a CSV; may be left out where only one column has numbers.
        time_column: of a CSV, with ISO 8601 timestamps.

    Raises:
        InvalidInput: the file has no such series; names the row.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InvalidInput(str(path), str(error.strerror)) from error
    except UnicodeDecodeError as error:
        raise InvalidInput(str(path), f"it is not UTF-8 text: {error.reason}") from error
    if path.suffix.lower() == ".csv":
        return _from_csv(path, text, column, time_column)
    if column or time_column:
        raise InvalidInput("--column", "only CSV files have columns")
    try:
        given = json.loads(text)
    except ValueError as error:
        raise InvalidInput(str(path), f"it is neither a .csv nor JSON: {error}") from error
    if isinstance(given, list):
        return {"data": given}
    if isinstance(given, dict):
        return given
    raise InvalidInput(str(path), "its JSON is neither a list of numbers nor an object with `data`")


def _from_csv(
    path: Path, text: str, column: str | None, time_column: str | None
) -> dict[str, object]:
    rows = list(csv.DictReader(text.splitlines()))
    if not rows:
        raise InvalidInput(str(path), "it has a header and no rows, or nothing at all")
    names = [name for name in rows[0] if name is not None]
    for wanted in (column, time_column):
        if wanted is not None and wanted not in names:
            raise InvalidInput(str(path), f"it has no column {wanted!r}, only {', '.join(names)}")
    if column is None:
        column = _only_numeric(path, rows[0], names)
    values = [_number(path, row, column, place) for place, row in enumerate(rows, start=2)]
    body: dict[str, object] = {"data": values}
    if time_column is not None:
        body["timestamps"] = [row[time_column] for row in rows]
    return body


def _only_numeric(path: Path, row: dict[str, str], names: list[str]) -> str:
    numeric = [name for name in names if _is_number(row[name])]
    if len(numeric) != 1:
        raise InvalidInput(
            "--column", f"say which column of {path.name} to fit: {', '.join(numeric or names)}"
        )
    return numeric[0]


def _is_number(text: str | None) -> bool:
    try:
        float(text or "")
    except ValueError:
        return False
    return True


def _number(path: Path, row: dict[str, str], column: str, place: int) -> float:
    text = row[column]
    if not _is_number(text):
        raise InvalidInput(f"{path.name} line {place}, {column}", f"{text!r} is not a number")
    return float(text)
