from __future__ import annotations

import numpy as np
import pytest

from tally.engine.expand import expand
from tally.engine.frame import Frame
from tally.engine.hashing import bucket
from tally.engine.options import HASH_BINS, Options
from tally.engine.schema import Schema
from tally.errors import InvalidInput, TooLarge

PLAIN = Options()
NAN = float("nan")


def texts(*columns: tuple[str | None, ...], names: str = "abc") -> Frame:
    return Frame(tuple(names[: len(columns)]), "T" * len(columns), columns, len(columns[0]))


def test_the_documented_frame_becomes_the_documented_attributes() -> None:
    frame = Frame(
        ("amount", "late", "region"),
        "CBT",
        (
            np.array([1200.5, 300.0, np.nan]),
            np.array([0.0, 1.0, 0.0]),
            (" North ", "south", "north"),
        ),
        3,
    )
    rows = expand(frame, Schema(), PLAIN)
    assert rows.names == ("amount", "late", "region$north", "region$south")
    assert rows.types == "CBBB"
    assert rows.bases == (None, None, "region", "region")
    np.testing.assert_array_equal(
        rows.values, [[1200.5, 0, 1, 0], [300, 1, 0, 1], [np.nan, 0, 1, 0]]
    )


def test_new_members_come_column_by_column_in_order_of_first_appearance() -> None:
    rows = expand(texts(("y", "x", "y"), ("q", "y", "p")), Schema(), PLAIN)
    assert rows.names == ("a$y", "a$x", "b$q", "b$y", "b$p")


def test_a_missing_cell_leaves_out_all_members_of_its_category_only() -> None:
    rows = expand(texts(("x", None), ("p", "p")), Schema(), PLAIN)
    np.testing.assert_array_equal(rows.values, [[1, 1], [NAN, 1]])


def test_known_members_are_there_though_no_row_has_them() -> None:
    schema = Schema(("a$z", "n", "a$y"), "BCB", ("a", None, "a"), (0, 0, 0))
    rows = expand(texts(("x", "y")), schema, PLAIN)
    assert rows.names == ("a$z", "a$y", "a$x")
    assert rows.values.tolist() == [[0, 0, 1], [0, 1, 0]]


@pytest.mark.parametrize("letter", "SLXP")
def test_columns_of_other_types_become_nothing(letter: str) -> None:
    assert expand(Frame(("a",), letter, (("x",),), 1), Schema(), PLAIN).names == ()


@pytest.mark.parametrize(
    ("frame", "schema"),
    [
        (Frame(("a$x", "a"), "CT", (np.zeros(1), ("x",)), 1), Schema()),
        (Frame(("a", "a$x"), "TC", (("x",), np.zeros(1)), 1), Schema()),
        (Frame(("a", "a$b"), "TT", (("b$c",), ("c",)), 1), Schema()),
        (texts(("x",)), Schema(("a$x",), "C", (None,), (0,))),
        (Frame(("a$x",), "B", (np.zeros(1),), 1), Schema(("a$x",), "B", ("a",), (0,))),
    ],
    ids=["plain first", "plain last", "two categories", "known as plain", "known as member"],
)
def test_two_attributes_cannot_have_one_name(frame: Frame, schema: Schema) -> None:
    with pytest.raises(InvalidInput, match="would both have this name"):
        expand(frame, schema, PLAIN)


def test_too_many_numbers_are_refused_before_they_are_made() -> None:
    cells = tuple(map(str, range(10_000)))
    with pytest.raises(TooLarge, match="send fewer rows"):
        expand(texts(cells), Schema(), PLAIN)


class TestHashTrick:
    options = Options(params={HASH_BINS: "8"})

    def test_a_bucket_is_1_if_any_category_falls_into_it(self) -> None:
        rows = expand(texts(("x", "y", None), ("p", None, None)), Schema(), self.options)
        x, y, p = (f"hash${bucket(*pair, 8)}" for pair in (("a", "x"), ("a", "y"), ("b", "p")))
        assert rows.names == tuple(dict.fromkeys([x, y, p]))
        assert set(rows.bases) == {"hash"}
        by_name = dict(zip(rows.names, rows.values.T, strict=True))
        assert by_name[x][0] == by_name[p][0] == by_name[y][1] == 1
        assert np.isnan(rows.values[2]).all()
        assert rows.values[:2].sum() == len({x, p}) + 1

    def test_buckets_are_of_trimmed_lower_case_values(self) -> None:
        rows = expand(texts((" X ", "x")), Schema(), self.options)
        assert rows.values.tolist() == [[1.0], [1.0]]

    def test_numbers_are_not_hashed(self) -> None:
        frame = Frame(("n", "a"), "CT", (np.array([2.5]), ("x",)), 1)
        assert expand(frame, Schema(), self.options).names[0] == "n"
