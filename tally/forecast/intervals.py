"""Prediction intervals from a normal error with a standard deviation for each step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from tally.errors import FitFailed
from tally.forecast.base import Forecast, Vector

_LARGEST = float(np.finfo(np.float64).max)


def normal_forecast(
    mean: Vector, deviation: Vector, levels: Sequence[float], freedom: float = math.inf
) -> Forecast:
    """Return point forecasts with central intervals of the normal or Student's distribution.

    Args:
        mean: (h,) in the units of the series.
        deviation: (h,) standard deviations of the errors, same units.
        levels: in percent, each in (0, 100).
        freedom: degrees of, in the estimate of `deviation`; infinite gives the normal.

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
            reach = quantile(0.5 + level / 200, freedom) * deviation
            lower[level] = finite(mean - reach)
            upper[level] = finite(mean + reach)
    return Forecast(mean, lower, upper)


def quantile(probability: float, freedom: float) -> float:
    """Return a quantile of Student's distribution, by its expansion around the normal.

    Within 1 % for 3 degrees of freedom and levels up to 95; for 1 it is too small, though still
    twice the normal's.

    Example:
        >>> round(quantile(0.975, 10.0), 2), round(quantile(0.975, float("inf")), 2)
        (2.23, 1.96)

    Source: Abramowitz and Stegun 1964, 26.7.5.
    """
    z = NormalDist().inv_cdf(probability)
    square = z * z
    terms = (
        (square + 1) / 4,
        ((5 * square + 16) * square + 3) / 96,
        (((3 * square + 19) * square + 17) * square - 15) / 384,
        ((((79 * square + 776) * square + 1482) * square - 1920) * square - 945) / 92160,
    )
    return z * (1 + sum(term * (1 / freedom) ** (power + 1) for power, term in enumerate(terms)))


def finite(bound: Vector) -> Vector:
    """Return a bound of an interval with infinity as the last number there is: JSON has none.

    Example:
        >>> finite(np.array([1.0, float("inf")])).tolist()
        [1.0, 1.7976931348623157e+308]
    """
    return np.clip(bound, -_LARGEST, _LARGEST)
