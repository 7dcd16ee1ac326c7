from __future__ import annotations

import sys

import numpy as np
import pytest

from tally.codec.frame import Limits
from tests.unit.codec.frame.reading import read, refused

CSV = "text/csv"


@pytest.fixture(params=["pyarrow", "csv"], autouse=True)
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test, with pyarrow and as if it were not installed."""
    if request.param == "csv":
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        monkeypatch.setitem(sys.modules, "pyarrow.csv", None)


def test_the_first_row_names_the_columns() -> None:
    frame = read(b"amount,late,region\n1.5,1,North \n,0,south\n", CSV, attributeTypes="C,B,T")
    assert (frame.names, frame.types) == (("amount", "late", "region"), "CBT")
    np.testing.assert_array_equal(frame.numbers(0), [1.5, np.nan])
    assert frame.texts(2) == ("North ", "south")


@pytest.mark.parametrize(
    ("body", "column"),
    [
        (b'a,b\n1,"x, y"\n', ("x, y",)),
        (b'a,b\n1,"say ""hi"""\n', ('say "hi"',)),
        (b'a,b\n1,"two\nlines"\n', ("two\nlines",)),
        (b"a,b\r\n1,x\r\n\r\n2,y", ("x", "y")),
        (b"a,b\r1,x\r2,y\r", ("x", "y")),
        (b"\n\na,b\n\n1,x\n\n", ("x",)),
        (b"\xef\xbb\xbfa,b\n1,\xc3\xa9\n", ("é",)),
        (b"a,b\n1,x\n2,\n", ("x", None)),
        (b"a,b\n1,x\0y\n", ("x\0y",)),
        (b"a,b\n", ()),
        (b"a,b", ()),
    ],
)
def test_texts_are_read_as_written(body: bytes, column: tuple[str | None, ...]) -> None:
    assert read(body, CSV, attributeTypes="CS").texts(1) == column


@pytest.mark.parametrize("cell", ["+1", "1.", " 7 ", "NA", "1e3", "-0", "nan", ""])
def test_numbers_are_read_as_in_json(cell: str) -> None:
    frame = read(f"a,b\n{cell},1\n".encode(), CSV, attributeTypes="CC")
    expected = np.nan if cell in ("NA", "nan", "") else float(cell)
    np.testing.assert_array_equal(frame.numbers(0), [expected])


@pytest.mark.parametrize("cell", ["x", "1e999", "1_0", "1;5"])
def test_a_bad_cell_is_named(cell: str) -> None:
    message = refused(f"a,b\n2,1\n{cell},1\n".encode(), CSV, attributeTypes="CC")
    assert message == f'row 2, column 1 (a): "{cell}" is not a number'


def test_a_lenient_body_leaves_ragged_rows_out() -> None:
    body = b"a,b\n1,2\n3\n4,5,6\nx,8\n"
    frame = read(body, CSV, attributeTypes="CC", errorHandling="1")
    np.testing.assert_array_equal(frame.numbers(0), [1, np.nan])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "a CSV body starts with a row of names"),
        (b"\n\n", "a CSV body starts with a row of names"),
        (b"a,b\n1\n", "row 1: 1 cells where 2 cells are expected"),
        (b"a,b\n1,2\n1,2,3\n", "row 2: 3 cells where 2 cells are expected"),
        (b"a,a\n1,2\n", 'columns 1 and 2 are both named "a"'),
        (b"a,\n1,2\n", "column 2 has no name"),
        (b'a\n"open\n', "unexpected end of data"),
        (b'a\n"x"y\n', "line 2"),
        (b"a\n\xff\n", "this is no CSV in UTF-8"),
    ],
)
def test_what_is_no_frame_is_refused_with_the_reason(body: bytes, message: str) -> None:
    assert message in refused(body, CSV)


@pytest.mark.parametrize(
    ("body", "what"),
    [(b"a\n" + b"1\n" * 4, "rows"), (b"a,b,c\n", "columns"), (b"a,b\n" + b"1,2\n" * 3, "cells")],
)
def test_bounds_hold(body: bytes, what: str) -> None:
    limits = Limits(rows=3, columns=2, cells=5)
    assert refused(body, CSV, limits=limits).startswith(f"{what}: ")
