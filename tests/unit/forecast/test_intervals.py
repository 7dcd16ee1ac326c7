from __future__ import annotations

import math

import numpy as np
import pytest

from tally.errors import FitFailed
from tally.forecast.intervals import normal_forecast, quantile


@pytest.mark.parametrize(
    ("freedom", "exact"),
    [(3, 3.182446), (5, 2.570582), (10, 2.228139), (30, 2.042272), (math.inf, 1.959964)],
)
def test_quantiles_are_those_of_the_tables(freedom: float, exact: float) -> None:
    assert quantile(0.975, freedom) == pytest.approx(exact, rel=0.01)


def test_a_bound_past_float64_is_the_last_number_there_is() -> None:
    forecast = normal_forecast(np.array([1e308]), np.array([1e308]), (99.0,))
    assert forecast.upper[99.0].tolist() == [1.7976931348623157e308]


def test_a_mean_past_float64_is_a_sentence() -> None:
    with pytest.raises(FitFailed, match="64-bit"):
        normal_forecast(np.array([math.inf]), np.zeros(1), ())
