from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.wire.java_text import java_double, java_text


@pytest.mark.parametrize(
    ("x", "text"),
    [
        # as `Double.toString` of JDK 21 writes them
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (1.0, "1.0"),
        (34452.0, "34452.0"),
        (34243127.0, "3.4243127E7"),
        (0.001, "0.001"),
        (0.00099999, "9.9999E-4"),
        (9999999.0, "9999999.0"),
        (9999999.999999998, "9999999.999999998"),
        (1e7, "1.0E7"),
        (-12345678.9, "-1.23456789E7"),
        (1e-5, "1.0E-5"),
        (1.5e-300, "1.5E-300"),
        (1e22, "1.0E22"),
        (123456789012345680.0, "1.2345678901234568E17"),
        (2e23, "2.0E23"),
        (2.0**-1022, "2.2250738585072014E-308"),
        (5e-324, "4.9E-324"),
        (1e-323, "9.9E-324"),
        (1.7976931348623157e308, "1.7976931348623157E308"),
        (0.1 + 0.2, "0.30000000000000004"),
        (100000000000000000000.0, "1.0E20"),
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (5, "5.0"),
    ],
)
def test_a_double_is_written_as_java_writes_it(x: float, text: str) -> None:
    assert java_double(x) == text


@given(st.floats())
def test_the_text_reads_back_and_has_javas_form(x: float) -> None:
    text = java_double(x)
    if math.isnan(x):
        assert text == "NaN"
        return
    assert float(text) == x
    if math.isinf(x):
        return
    assert re.fullmatch(r"-?(\d+\.\d+|[1-9]\.\d+E-?\d+)", text)
    assert ("E" not in text) == (x == 0 or 1e-3 <= abs(x) < 1e7)
    digits = text.lstrip("-").partition("E")[0]
    assert digits.endswith(".0") or not digits.endswith("0")


@given(st.floats(allow_nan=False, allow_infinity=False).filter(bool))
def test_no_shorter_text_reads_back(x: float) -> None:
    digits = re.sub(r"E.*|[-.]", "", java_double(x)).strip("0") or "0"
    if len(digits) > 2:
        assert float(f"{x:.{len(digits) - 2}e}") != x


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (7, "7"),
        (7.0, "7.0"),
        ("x", "x"),
        (10**20, "1" + "0" * 20),
    ],
)
def test_a_string_map_holds_the_text_of_a_value(value: float | bool | str, text: str) -> None:
    assert java_text(value) == text
