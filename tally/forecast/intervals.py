"""Prediction intervals from a normal error with a standard deviation for each step."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from tally.errors import FitFailed
from tally.forecast.base import Forecast, Vector

_LARGEST = float(np.finfo(np.float64).max)


def normal_forecast(mean: Vector, deviation: Vector, levels: Sequence[float]) -> Forecast:
    """Return point forecasts with central normal intervals.

    Args:
        mean: (h,) in the units of the series.
        deviation: (h,) standard deviations of the errors, same units.
        levels: in percent, each in (0, 100).

    Raises:
        FitFailed: a point forecast is out of the range of float64.

    Example:
        >>> forecast = normal_forecast(np.zeros(1), np.ones(1), [95])
        >>> round(float(forecast.upper[95][0]), 2)
        1.96
    """
    if not np.all(np.isfinite(mean)):
        raise FitFailed("the forecast leaves the range of 64-bit floating point numbers")
    lower, upper = {}, {}
    for level in levels:
        with np.errstate(over="ignore"):
            reach = NormalDist().inv_cdf(0.5 + level / 200) * deviation
            lower[level] = finite(mean - reach)
            upper[level] = finite(mean + reach)
    return Forecast(mean, lower, upper)


def finite(bound: Vector) -> Vector:
    """Return a bound of an interval with infinity as the last number there is: JSON has none.

    Example:
        >>> finite(np.array([1.0, float("inf")])).tolist()
        [1.0, 1.7976931348623157e+308]
    """
    return np.clip(bound, -_LARGEST, _LARGEST)
