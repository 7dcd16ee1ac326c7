"""Division and roots as IEEE 754 has them, so that what is undefined is NaN and not an error."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

NOISE = 1e-14
"""Share of the mean square about the origin below which a variance is rounding."""


def divide(numerator: float, denominator: float) -> float:
    """Return a quotient; infinite or NaN where the denominator is 0.

    Example:
        >>> divide(1.0, 0.0), divide(0.0, 0.0)
        (inf, nan)
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return float(np.float64(numerator) / np.float64(denominator))


def root(number: float) -> float:
    """Return a square root, NaN of a negative number."""
    return math.sqrt(number) if number >= 0 else math.nan


def variances(
    n: NDArray[np.float64], s: NDArray[np.float64], q: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return population variances from counts, sums and sums of squares, all about an origin.

    What is rounding, negative or not, is 0: a constant must be known as one. NaN without rows.

    Example:
        >>> variances(np.array([2.0]), np.array([0.2]), np.array([0.1**2 + 0.1**2]))
        array([0.])
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        square = q / n
        variance = square - (s / n) ** 2
    return np.where(variance <= NOISE * square, 0.0, variance)


def variance(n: float, s: float, q: float) -> float:
    """Return one population variance; see `variances`."""
    return float(variances(np.array(n), np.array(s), np.array(q)))
