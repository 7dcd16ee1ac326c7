from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.engine.cells import number, number_text
from tally.engine.frame import Frame

FRAME = Frame(("x", "color"), "CT", (np.array([1.0, np.nan, 3.0]), ("Red", None, " blue")), 3)


@pytest.mark.parametrize("text", ["", " \t", "NA", "na", "NaN", "null", "Infinity", "-inf"])
def test_some_texts_are_missing_numbers(text: str) -> None:
    assert math.isnan(number(text))


@pytest.mark.parametrize("text", ["1_000", "٣", "0x10", "1e999", "-1e999", "1,5", "none", "--1"])
def test_some_texts_are_no_numbers(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        number(text)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_comes_back_from_its_text(value: float) -> None:
    assert number(number_text(value)) == value


def test_rows_are_taken_from_every_column() -> None:
    taken = FRAME.take(np.array([True, False, True]))
    assert taken.rows == 2
    assert taken.numbers(0).tolist() == [1.0, 3.0]
    assert taken.texts(1) == ("Red", " blue")


def test_a_column_can_be_left_out() -> None:
    left = FRAME.without("x")
    assert (left.names, left.types, left.rows) == (("color",), "T", 3)
    assert FRAME.without("absent") is FRAME
