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
            # A bound beyond float64 is told as the last number there is: JSON has no infinity.
            lower[level] = np.maximum(mean - reach, -_LARGEST)
            upper[level] = np.minimum(mean + reach, _LARGEST)
    return Forecast(mean, lower, upper)
