from __future__ import annotations

from pathlib import Path

import pytest

from tally.cli.series import read_series
from tally.errors import InvalidInput


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_the_only_numeric_column_needs_no_name(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "day,price\n2024-01-01,1.5\n2024-01-02,2\n")
    assert read_series(path, None, None) == {"data": [1.5, 2.0]}


def test_a_time_column_becomes_timestamps(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "day,a,b\n2024-01-01,1,7\n2024-01-02,2,8\n")
    body = read_series(path, "b", "day")
    assert body == {"data": [7.0, 8.0], "timestamps": ["2024-01-01", "2024-01-02"]}


def test_a_bare_list_of_numbers_is_a_series(tmp_path: Path) -> None:
    assert read_series(write(tmp_path, "a.json", "[1, 2]"), None, None) == {"data": [1, 2]}


@pytest.mark.parametrize(
    ("name", "text", "column", "message"),
    [
        ("a.csv", "a,b\n1,2\n", None, "say which column"),
        ("a.csv", "a,b\n1,2\n", "c", "no column 'c'"),
        ("a.csv", "a\n1\nx\n", "a", "line 3, a: 'x' is not a number"),
        ("a.csv", "a\n", "a", "no rows"),
        ("a.json", "7", None, "neither a list"),
        ("a.json", "[1", None, "nor JSON"),
        ("a.json", "[1]", "a", "only CSV"),
    ],
)
def test_a_file_without_a_series_says_where(
    tmp_path: Path, name: str, text: str, column: str | None, message: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_series(write(tmp_path, name, text), column, None)
    assert message in str(refused.value)
