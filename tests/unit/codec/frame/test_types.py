"""Types: sent, known and guessed."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.codec.frame.reading import read, refused, sheet


def cells(*column: object) -> list[list[object]]:
    return [[cell] for cell in column]


@pytest.mark.parametrize(
    ("column", "letter"),
    [
        (["0", "1", ""], "B"),
        ([0, 1.0, None], "B"),
        (["true", "False"], "B"),
        ([True, False], "B"),
        (["0", "2"], "C"),
        (["1e3", " -4.5 ", "NA"], "C"),
        (["1", "x"], "S"),
        (["true", "2"], "S"),
        (["true", "x"], "S"),
        (["1_000"], "S"),
        (["", None, "NaN"], "X"),
    ],
)
def test_a_new_column_gets_the_narrowest_type_that_all_its_cells_have(
    column: list[object], letter: str
) -> None:
    assert read(sheet(*cells(*column), names="a")).types == letter


def test_a_column_that_says_nothing_stays_open_for_a_later_frame() -> None:
    assert read(sheet(["", "1"], names="ab")).types == "XB"


@pytest.mark.parametrize("cell", ["0.0", "1.0", "true", "FALSE", " 1 ", "1e0", 0, 1, 0.0, True])
def test_a_binary_column_accepts_each_way_to_write_0_and_1(cell: object) -> None:
    frame = read(sheet([cell], names="a", types="B"))
    assert frame.numbers(0)[0] in (0.0, 1.0)


@pytest.mark.parametrize("cell", ["2", "yes", -1, 0.5, "10", "t"])
def test_a_binary_column_accepts_nothing_else(cell: object) -> None:
    assert refused(sheet([1], [cell], names="a", types="B")).startswith("row 2, column 1 (a): ")


@pytest.mark.parametrize("cell", ["true", "x", "1,5", "0x1", "1e999", [], {}])
def test_a_continuous_column_accepts_only_numbers(cell: object) -> None:
    message = refused(sheet([1], [cell], names="a", types="C"))
    assert message.startswith("row 2, column 1 (a): ")
    assert message.endswith("is not a number")


@pytest.mark.parametrize("cell", ["NaN", "Infinity", "-inf", "", "  ", "NA", "null", None])
def test_these_cells_are_missing(cell: object) -> None:
    frame = read(sheet([cell, cell, cell], ["1", "1", "x"], types="CBT"))
    assert np.isnan([frame.numbers(0)[0], frame.numbers(1)[0]]).all()
    assert frame.texts(2)[0] == (cell if str(cell).lower() in ("infinity", "-inf") else None)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("01", "01"),
        ("1.0", "1.0"),
        ("1e2", "1e2"),
        (1, "1"),
        (1.0, "1"),
        (1.5, "1.5"),
        (True, "true"),
        (" N ", " N "),
    ],
)
def test_a_category_keeps_its_cells_as_written(cell: object, text: str) -> None:
    assert read(sheet([cell, 1], names="ab", types="TC")).texts(0) == (text,)
    assert read(sheet([cell, 1], names="ab"), known={"a": "T", "b": "C"}).texts(0) == (text,)


def test_a_dash_is_an_ignored_column_and_case_does_not_matter() -> None:
    assert read(sheet(["1", "2", "x"], types="-ct")).types == "XCT"


class TestKnown:
    known = {"a": "C", "b": "B", "c": "T"}  # noqa: RUF012  # never changed

    def test_a_known_column_keeps_its_type_when_none_is_sent(self) -> None:
        assert read(sheet(["1", "1", "1"]), known=self.known).types == "CBT"

    def test_names_may_come_in_any_order(self) -> None:
        assert read(sheet(["x", "1", "1"], names="cab"), known=self.known).types == "TCB"

    def test_continuous_data_of_0_and_1_is_accepted_for_a_binary_column(self) -> None:
        assert read(sheet([0], [1], [""], names="b", types="C"), known=self.known).types == "B"

    @pytest.mark.parametrize("lenient", [0, 1])
    def test_other_continuous_data_is_not(self, lenient: int) -> None:
        body = sheet([0], [0.5], names="b", types="C", errorHandling=lenient)
        assert refused(body, known=self.known) == (
            "row 2, column 1 (b): 0.5 is neither 0 nor 1; "
            "the project knows the column as B, it was sent as C"
        )

    def test_binary_data_is_accepted_for_a_continuous_column(self) -> None:
        assert read(sheet(["1"], ["true"], names="a", types="B"), known=self.known).types == "C"

    def test_a_known_column_may_be_skipped(self) -> None:
        assert read(sheet(["q", "1", "1"], types="XBT"), known=self.known).types == "XBT"

    @pytest.mark.parametrize(
        ("name", "letter"), [("a", "T"), ("a", "S"), ("b", "L"), ("c", "C"), ("c", "S"), ("b", "P")]
    )
    def test_any_other_type_contradicts(self, name: str, letter: str) -> None:
        message = refused(sheet(["1"], names=name, types=letter), known=self.known)
        assert message == (
            f"column 1 ({name}): sent as type {letter}; the project knows it as {self.known[name]}"
        )


class TestErrors:
    def test_of_several_bad_cells_the_first_rows_is_named(self) -> None:
        body = sheet(["1", "0"], ["1", "7"], ["x", "1"], names="ab", types="CB")
        assert refused(body) == "row 2, column 2 (b): 7 is neither 0 nor 1"
        body = sheet(["x", "0"], ["1", "7"], names="ab", types="CB")
        assert refused(body) == 'row 1, column 1 (a): "x" is not a number'

    def test_a_ragged_row_is_named(self) -> None:
        body = sheet(["1", "0"], ["1"], names="ab", types="CB")
        assert refused(body) == "row 2: 1 cells where 2 cells are expected"

    def test_a_bad_cell_before_a_ragged_row_is_named_first(self) -> None:
        assert "row 1, column 1" in refused(sheet(["x", "0"], ["1"], names="ab", types="CB"))

    def test_a_long_value_and_a_long_name_are_shortened(self) -> None:
        body = b'{"attributeNames":["%s"],"attributeTypes":["C"],"data":[["%s"]]}' % (
            b"n" * 200,
            b"x" * 5000,
        )
        message = refused(body)
        assert len(message) < 200
        assert f'"{"x" * 40}..."' in message

    def test_a_lenient_frame_takes_a_bad_cell_for_missing_and_leaves_ragged_rows_out(self) -> None:
        rows = (["1", "0"], ["x", "1"], ["1"], {"a": 1}, ["3", "9"])
        frame = read(sheet(*rows, names="ab", types="CB", errorHandling=1))  # type: ignore[arg-type]
        assert frame.rows == 3
        np.testing.assert_array_equal(frame.numbers(0), [1, np.nan, 3])
        np.testing.assert_array_equal(frame.numbers(1), [0, 1, np.nan])

    @pytest.mark.parametrize("value", [0, None, "", "0"])
    def test_no_other_value_is_lenient(self, value: object) -> None:
        assert "row 1" in refused(sheet(["x"], names="a", types="C", errorHandling=value))

    @pytest.mark.parametrize("value", [1, 2, -1, "1", True])
    def test_any_other_integer_is_lenient(self, value: object) -> None:
        assert read(sheet(["x"], names="a", types="C", errorHandling=value)).rows == 1

    @pytest.mark.parametrize("value", ["yes", 1.5, [], {}])
    def test_what_is_no_integer_is_refused(self, value: object) -> None:
        body = sheet(["1"], names="a", types="C", errorHandling=value)
        assert refused(body).startswith("errorHandling: it must be an integer")

    def test_a_category_value_is_no_longer_than_a_name(self) -> None:
        body = sheet(["x"], ["v" * 257], names="a", types="T")
        assert refused(body).endswith("has more than 256 characters")
        assert refused(body).startswith("row 2, column 1 (a)")
        assert read(sheet(["v" * 257], names="a", types="S")).rows == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (sheet(names="aa"), 'attributeNames: columns 1 and 2 are both named "a"'),
        (sheet(names=" "), 'attributeNames: column 1 has no name: " "'),
        (b'{"attributeNames":[""],"data":[]}', 'attributeNames: column 1 has no name: ""'),
        (b'{"attributeNames":[7],"data":[]}', "attributeNames: column 1 has no name: 7"),
        (b'{"attributeNames":["%s"],"data":[]}' % (b"n" * 257), "has 257 characters; at most 256"),
        (sheet(names="ab", types="C"), "attributeTypes: 1 types for 2 names"),
        (sheet(names="a", types="Q"), 'attributeTypes: column 1 (a) has the type "Q"; one of C, B'),
        (sheet(["1"], names="a", attributeTypes=["CC"]), 'has the type "CC"'),
        (sheet(["1"], names="a", attributeTypes=[1]), "has the type 1"),
    ],
)
def test_unusable_names_and_types_are_named(body: bytes, message: str) -> None:
    assert message in refused(body)
