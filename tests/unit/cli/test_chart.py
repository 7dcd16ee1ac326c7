from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.cli.chart import chart

numbers = st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=300)


@given(numbers, numbers, st.integers(10, 100), st.integers(1, 12))
def test_every_line_is_as_wide_as_asked_and_there_are_as_many(
    past: list[float], future: list[float], width: int, height: int
) -> None:
    lines = chart(past, future, width, height).splitlines()
    assert len(lines) == height + 1
    bars = [line.partition("┤")[2].replace("│", "", 1) for line in lines[:-1]]
    assert len({len(bar) for bar in bars}) == 1
    assert 2 <= len(bars[0]) <= width


def test_a_constant_series_is_drawn() -> None:
    assert chart([5.0] * 4, [5.0], width=8, height=2).count("│") == 2


def test_the_forecast_stands_behind_the_line() -> None:
    top, _ = chart([0.0, 0.0], [1.0, 1.0], width=4, height=1).splitlines()
    assert top.partition("┤")[2] == "  │██"


@pytest.mark.parametrize("steps", [1, 1000])
def test_a_short_forecast_after_a_long_past_is_still_seen(steps: int) -> None:
    top = chart([0.0] * 5000, [1.0] * steps, width=40, height=1).splitlines()[0]
    assert "│█" in top
