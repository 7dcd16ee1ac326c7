"""Whatever form rows come in, the server reads the same frame: it is the server's own reader."""

from __future__ import annotations

import csv
import gzip
import io
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.client.changes import letters_of
from tally.client.frames import Source, arrow, open_frame
from tally.codec.frame import Limits, decode
from tally.engine.frame import Frame
from tally.errors import InvalidInput

COLUMNS: dict[str, list[Any]] = {
    "amount": [1200.5, 300.0, None, -1e-7, 2.0],
    "late": [0, 1, None, 1, 0],
    "region": ["North", "south, or so", None, 'a "quoted"\nline', "Süd"],
}
LETTERS = "CBT"


def records() -> list[dict[str, Any]]:
    rows = zip(*COLUMNS.values(), strict=True)
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows]


def write_csv(path: Path) -> Path:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerow([])
    writer.writerows(zip(*COLUMNS.values(), strict=True))
    content = text.getvalue().encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def write_json(path: Path, held: object) -> Path:
    path.write_text(json.dumps(held))
    return path


def write_parquet(path: Path) -> Path:
    pq.write_table(pa.table(COLUMNS), path)
    return path


def data_frame() -> dict[str, Any]:
    rows = [list(row) for row in zip(*COLUMNS.values(), strict=True)]
    return {"attributeNames": list(COLUMNS), "attributeTypes": list(LETTERS), "data": rows}


FORMS: Mapping[str, Callable[[Path], object]] = {
    "dicts": lambda _: records(),
    "lists": lambda _: COLUMNS,
    "arrays": lambda _: {
        "amount": np.array(COLUMNS["amount"], dtype=float),
        "late": np.array(COLUMNS["late"], dtype=float),
        "region": COLUMNS["region"],
    },
    "pandas": lambda _: pd.DataFrame(COLUMNS, index=[7, 7, 7, 7, 7]),
    "pandas, nullable": lambda _: pd.DataFrame(COLUMNS).convert_dtypes(),
    "Arrow": lambda _: pa.table(COLUMNS),
    "Arrow batch": lambda _: pa.table(COLUMNS).to_batches()[0],
    "CSV": lambda folder: write_csv(folder / "a.csv"),
    "CSV, compressed": lambda folder: str(write_csv(folder / "a.csv.gz")),
    "Parquet": lambda folder: write_parquet(folder / "a.parquet"),
    "JSON objects": lambda folder: write_json(folder / "a.json", records()),
    "JSON lists": lambda folder: write_json(folder / "a.json", COLUMNS),
    "JSON frame": lambda folder: write_json(folder / "a.json", data_frame()),
}


def read(
    source: Source, letters: Sequence[str], *, rows: int = 2, start: int = 0, lenient: bool = False
) -> list[Frame]:
    """Return what the server makes of each part."""
    return [
        decode(
            part.body,
            media_type=part.headers["Content-Type"],
            content_encoding=part.headers.get("Content-Encoding", ""),
            query=part.query,
            known={},
            limits=Limits(),
        )
        for part in source.parts(letters, rows=rows, start=start, lenient=lenient)
    ]


def rows_of(frames: Sequence[Frame]) -> list[tuple[object, ...]]:
    """Return the cells row by row, None where they are missing."""
    found: list[tuple[object, ...]] = []
    for frame in frames:
        columns = [
            [None if isinstance(x, float) and np.isnan(x) else x for x in list(column)]
            for column in frame.columns
        ]
        found += zip(*columns, strict=True)
    return found


EXPECTED = list(zip(*COLUMNS.values(), strict=True))


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_of_rows_are_the_same_to_the_server(form: str, tmp_path: Path) -> None:
    source = open_frame(FORMS[form](tmp_path))
    letters = letters_of(source, {"region": "T"}, {})
    assert (source.names, source.rows, "".join(letters)) == (tuple(COLUMNS), 5, LETTERS)
    frames = read(source, letters)
    assert [frame.rows for frame in frames] == [2, 2, 1]
    assert rows_of(frames) == EXPECTED
    assert rows_of(read(source, letters, start=1)) == EXPECTED[2:]


@pytest.mark.parametrize("form", [name for name in FORMS if name.startswith("pandas")])
def test_frames_of_pandas_need_no_pyarrow(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = FORMS[form](tmp_path)
    monkeypatch.setattr("tally.client.frames.open.has_arrow", lambda: False)
    source = open_frame(frame)
    assert type(source).__name__ == "Columns"
    assert rows_of(read(source, LETTERS)) == EXPECTED


def test_a_column_that_arrow_cannot_hold_goes_as_json() -> None:
    source = open_frame(pd.DataFrame({"x": [1, "2", None]}))
    assert rows_of(read(source, "C")) == [(1.0,), (2.0,), (None,)]


def test_parquet_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow, "has_arrow", lambda: False)
    with pytest.raises(InvalidInput, match="needs pyarrow; install it"):
        open_frame(tmp_path / "a.parquet")


def test_polars_frames_are_read() -> None:
    frame = pl.DataFrame(COLUMNS)
    assert rows_of(read(open_frame(frame), LETTERS)) == EXPECTED


@pytest.mark.parametrize("form", ["pandas", "dicts"])
def test_the_same_rows_make_the_same_bytes_each_time(form: str, tmp_path: Path) -> None:
    # What is sent again must be what was sent: the server compares it.
    first, second = (
        [
            p.body
            for p in open_frame(FORMS[form](tmp_path)).parts(
                LETTERS, rows=2, start=0, lenient=False
            )
        ]
        for _ in range(2)
    )
    assert first == second


CATEGORIES = ["a", "b", "a"]


@pytest.mark.parametrize(
    ("column", "letter"),
    [
        ([0, 1, None], "B"),
        ([True, False, None], "B"),
        ([0.0, 1.0, float("nan")], "B"),
        ([0, 2, 1], "C"),
        ([None, None, None], "C"),
        (["1", "0", ""], "B"),
        (["1", "0.5", "NA"], "C"),
        (["true", "false", "null"], "B"),
        (["1_000", "2", "3"], None),
        (["a", "1", "2"], None),
    ],
)
def test_types_are_guessed_alike_from_lists_and_frames(
    column: list[Any], letter: str | None
) -> None:
    assert open_frame({"x": column}).guess(0) == letter
    if not any(isinstance(cell, str) for cell in column):
        assert open_frame(pa.table({"x": column})).guess(0) == letter
        assert open_frame(pd.DataFrame({"x": column})).guess(0) == letter


def test_categories_of_a_frame_are_categories(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame({"x": pd.Categorical(CATEGORIES)})
    assert open_frame(frame).guess(0) == "T"
    assert open_frame(pa.table({"x": pa.array(CATEGORIES).dictionary_encode()})).guess(0) == "T"
    monkeypatch.setattr("tally.client.frames.open.has_arrow", lambda: False)
    assert open_frame(frame).guess(0) == "T"


@given(
    st.lists(
        st.tuples(
            st.none() | st.floats(allow_infinity=False, allow_nan=False),
            st.none() | st.text(st.characters(codec="utf-8", exclude_categories=["Cc"])),
        ),
        min_size=1,
    ),
    st.integers(1, 7),
)
def test_every_row_arrives_once_whatever_it_holds(
    rows: list[tuple[float | None, str | None]], size: int
) -> None:
    columns = {"x": [row[0] for row in rows], "y": [row[1] for row in rows]}
    as_json = rows_of(read(open_frame(columns), "CT", rows=size))
    assert as_json == rows_of(read(open_frame(pa.table(columns, SCHEMA)), "CT", rows=size))
    assert [row[0] for row in as_json] == columns["x"]


SCHEMA = pa.schema([("x", pa.float64()), ("y", pa.string())])


def test_lenient_rows_say_so() -> None:
    for data in ({"x": ["1", "bad"]}, pa.table({"x": ["1", "bad"]})):
        frames = read(open_frame(data), "C", lenient=True)
        assert rows_of(frames) == [(1.0,), (None,)]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (3, "rows: a int is none of these"),
        ({"x": [1], "y": []}, "y: it has 0 values, and 'x' has 1"),
        ([{"x": 1}, 2], "row 2: it is a int, no dict"),
        ({"x": [1], "y": 2}, "y: it is a int, no list"),
        ({"x": "abc"}, "x: it is a str, no list"),
        ({"attributeNames": ["x"], "data": [[1, 2]]}, "row 1: it has 2 cells for 1 names"),
        ({"attributeNames": ["x"], "data": [1]}, "row 1: it is a int, no list"),
        ({"attributeNames": 3, "data": []}, "attributeNames: it is a int, no list"),
        ("a.txt", "a.txt: it ends in none of"),
        ("nothing.csv", "nothing.csv: No such file"),
        ("nothing.json", "nothing.json: No such file"),
    ],
)
def test_what_is_no_rows_is_told_by_name(data: object, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{sentence}"):
        open_frame(data)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.csv", b"", "it is empty"),
        ("a.csv", b"x\n\xff\n", "it is not UTF-8"),
        ("a.csv", b'x\n"a\n', "it is no CSV"),
        ("a.csv.gz", b"x\n1\n", "Not a gzipped file"),
        ("a.csv.gz", gzip.compress(b"x\n1\n", mtime=0)[:-9], "it is no whole gzip file"),
        (
            "a.csv.gz",
            gzip.compress(b"x\n1\n", mtime=0)[:10] + b"\xff" * 20,
            "it is no whole gzip file",
        ),
        ("a.json", b"{", "it is not JSON"),
        ("a.json", b"3", "its JSON is neither"),
        ("a.parquet", b"PAR1", "arquet"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_by_name(
    name: str, content: bytes, sentence: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput, match=sentence) as caught:
        open_frame(tmp_path / name)
    assert name in str(caught.value)


def test_the_client_needs_none_of_the_libraries() -> None:
    code = (
        "import sys, tally.client; from tally.client.frames import open_frame\n"
        "open_frame([{'x': 1}]).guess(0)\n"
        "print(sorted({'numpy', 'pandas', 'pyarrow', 'matplotlib', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
