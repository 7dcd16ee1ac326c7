"""The same table is the same frame, whichever body it travels in."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tally.engine.frame import Frame
from tests.property.frame.bodies import (
    ARROW,
    PARQUET,
    Sheet,
    as_arrow,
    as_csv,
    as_json,
    as_parquet,
    as_table,
    read,
    sheets,
)

NUMBERS = ["+1", "1.", ".5", "-0", "01", " 7 ", "1e5", "true", "1e-400", ""]
SLOW = settings(max_examples=60)


def assert_equal(left: Frame, right: Frame) -> None:
    assert (left.names, left.types, left.rows) == (right.names, right.types, right.rows)
    for ours, theirs in zip(left.columns, right.columns, strict=True):
        if isinstance(ours, np.ndarray):
            np.testing.assert_array_equal(ours, np.asarray(theirs))
        else:
            assert list(ours) == list(theirs)


@SLOW
@given(sheet=sheets())
def test_a_table_with_types_is_the_same_frame_in_every_body(sheet: Sheet) -> None:
    frame = read(as_json(sheet, letters=True, texts=True))
    query = {"attributeTypes": ",".join(sheet.letters)}
    assert frame.types == sheet.letters
    assert_equal(read(as_json(sheet, letters=True, texts=False)), frame)
    for quote in (False, True):
        assert_equal(read(as_csv(sheet, quote=quote), "text/csv", **query), frame)
    for dictionaries in (False, True):
        table = as_table(sheet, dictionaries=dictionaries)
        assert_equal(read(as_arrow(table), ARROW, **query), frame)
        assert_equal(read(as_arrow(table, batch_rows=3), ARROW, **query), frame)
    assert_equal(read(as_parquet(as_table(sheet)), PARQUET, **query), frame)


@SLOW
@given(sheet=sheets())
def test_guessed_types_are_the_same_in_every_body(sheet: Sheet) -> None:
    frame = read(as_json(sheet, letters=False, texts=True))
    assert_equal(read(as_json(sheet, letters=False, texts=False)), frame)
    assert_equal(read(as_csv(sheet), "text/csv"), frame)
    assert_equal(read(as_arrow(as_table(sheet)), ARROW), frame)
    assert_equal(read(as_parquet(as_table(sheet)), PARQUET), frame)


@SLOW
@given(
    cells=st.lists(
        st.one_of(
            st.sampled_from(
                [
                    "1" * 40,
                    *[" ", "NA", "nan", "null", "-inf", "Infinity", "1e400", "1_0", "0x1", "٣"],
                    *NUMBERS,
                ]
            ),
            st.text("0123456789+-.eE naif", max_size=6),
        ),
        min_size=1,
        max_size=6,
    ),
    letter=st.sampled_from("CBTX"),
)
def test_a_text_means_the_same_in_every_body(cells: list[str], letter: str) -> None:
    sheet = Sheet(["x", "y"], letter + "C", [list(cells), [1.0] * len(cells)])
    frame = read(as_json(sheet, letters=True, texts=True).replace(b"{", b'{"errorHandling":1,', 1))
    query = {"attributeTypes": sheet.letters, "errorHandling": "1"}
    table = pa.table({"x": pa.array(cells, pa.string()), "y": [1.0] * len(cells)})
    assert_equal(read(as_csv(sheet), "text/csv", **query), frame)
    assert_equal(read(as_arrow(table), ARROW, **query), frame)
    assert_equal(read(as_parquet(table), PARQUET, **query), frame)


@SLOW
@given(
    cells=st.lists(st.text("0123456789+-.eE naif", max_size=6), min_size=1, max_size=4),
)
def test_reading_in_one_pass_finds_what_reading_cell_by_cell_finds(cells: list[str]) -> None:
    """A cell that the fast reading does not know sends the whole body to the other one."""
    one, other = (Sheet(["x", "y"], "CC", [list(cells), [odd] * len(cells)]) for odd in ("1", "+1"))
    lenient = [
        read(as_json(sheet, letters=True, texts=True).replace(b"{", b'{"errorHandling":1,', 1))
        for sheet in (one, other)
    ]
    assert_equal(*lenient)
