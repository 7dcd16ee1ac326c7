from __future__ import annotations

import json

import numpy as np
import pytest

from tally.codec.frame import Limits
from tests.unit.codec.frame.reading import read, refused, sheet


def test_the_documented_body_is_read() -> None:
    frame = read(
        b'{"attributeNames":["amount","late","region"],"attributeTypes":["C","B","T"],'
        b'"data":[["1200.5","0"," North "],["300","1","south"],["","0","north"]],'
        b'"errorHandling":1}'
    )
    assert frame.types == "CBT"
    np.testing.assert_array_equal(frame.numbers(0), [1200.5, 300, np.nan])
    assert frame.texts(2) == (" North ", "south", "north")


def test_unknown_members_are_ignored() -> None:
    body = sheet(["1"], names="a", attributeStates=["u"], other={"data": [[1, 2]]})
    assert read(body).rows == 1


@pytest.mark.parametrize("token", [b"NaN", b"Infinity", b"-Infinity"])
@pytest.mark.parametrize("other", [b'"2"', b'"NaN, [x]"', b'"\\"NaN"'])
def test_bare_words_that_python_writes_are_missing(token: bytes, other: bytes) -> None:
    frame = read(b'{"attributeNames":["a","b"],"data":[[%s,%s]]}' % (token, other))
    assert frame.types[0] == "X"
    if frame.types[1] == "S":
        assert frame.texts(1)[0] == json.loads(other)


@pytest.mark.parametrize("cell", ["", None])
@pytest.mark.parametrize("other", ["x", "a null", 'say ""', "\\", "null", "é"])
def test_gaps_do_not_change_the_texts_beside_them(cell: object, other: str) -> None:
    frame = read(sheet([cell, other, "1"], ["2", "", cell], types="CTC"))
    np.testing.assert_array_equal(frame.numbers(0), [np.nan, 2])
    np.testing.assert_array_equal(frame.numbers(2), [1, np.nan])
    assert frame.texts(1) == (None if other == "null" else other, None)


def test_a_frame_without_rows_is_a_frame() -> None:
    frame = read(sheet(names="ab", types="CT"))
    assert (frame.rows, frame.types) == (0, "CT")
    assert frame.numbers(0).shape == (0,)


def test_a_byte_order_mark_is_ignored() -> None:
    assert read(b"\xef\xbb\xbf" + sheet(["1"], names="a")).rows == 1


def test_any_content_type_that_is_no_other_format_is_json() -> None:
    for media_type in ("", "text/plain", "application/json; charset=utf-8"):
        assert read(sheet(["1"], names="a"), media_type).rows == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "body: this is no DataFrame in JSON"),
        (b"[]", "Expected `object`, got `array`"),
        (b"{}", "attributeNames: it must be a list, and is absent"),
        (b'{"attributeNames":"a"}', "attributeNames: it must be a list, and is a str"),
        (b'{"attributeNames":["a"]}', "data: it must be a list, and is absent"),
        (b'{"attributeNames":["a"],"data":{}}', "data: it must be a list, and is a dict"),
        (b'{"attributeNames":["a"],"attributeTypes":"C","data":[]}', "attributeTypes: it must be"),
        (b'{"attributeNames":["a"],"data":["1"]}', "row 1: a str where 1 cells are expected"),
        (b'{"attributeNames":["a"],"data":[[1e999]]}', "Number out of range"),
        (b'{"attributeNames":["a"],"data":[["\xff"]]}', "can't decode byte 0xff"),
        (b'{"attributeNames":["\\ud800"],"data":[]}', "body: this is no DataFrame in JSON"),
        (b'{"data":' + b"[" * 10_000, "recursion"),
    ],
)
def test_what_is_no_frame_is_refused_with_the_reason(body: bytes, message: str) -> None:
    assert message in refused(body, limits=Limits())


class TestBounds:
    limits = Limits(rows=3, columns=2, cells=4, decompressed_bytes=500)

    def test_a_frame_at_its_bounds_is_read(self) -> None:
        assert read(sheet(["1", "x"], ["2", "[,"], names="ab"), limits=self.limits).rows == 2

    def test_too_many_rows(self) -> None:
        body = sheet(["1"], ["1"], ["1"], ["1"], names="a")
        assert refused(body, limits=self.limits).startswith("rows: ")

    def test_too_many_columns(self) -> None:
        message = refused(sheet(["1", "1", "1"]), limits=self.limits)
        assert message == "columns: 3 of them; at most 2 in one frame"

    def test_too_many_cells(self) -> None:
        body = sheet(["1", "1"], ["1", "1"], ["1", "1"], names="ab")
        assert refused(body, limits=self.limits).startswith("cells: 3 rows of 2 columns are 6")

    def test_too_many_bytes(self) -> None:
        body = sheet(["1"], names="a", padding="x" * 500)
        assert "at most 500" in refused(body, limits=self.limits)

    def test_signs_inside_of_texts_are_not_counted(self) -> None:
        assert read(sheet(["[" * 30], ["," * 90], names="a"), limits=self.limits).rows == 2

    @pytest.mark.parametrize(("cell", "what"), [(b"[]", "rows"), (b"1", "cells")])
    def test_small_bodies_of_many_objects_are_refused_before_they_are_made(
        self, cell: bytes, what: str
    ) -> None:
        body = b'{"attributeNames":["a"],"data":[%s]}' % b",".join([cell] * 100)
        assert refused(body, limits=self.limits).startswith(f"{what}: more than ")
