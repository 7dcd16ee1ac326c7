"""Finds how many steps a season has, when the user does not say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tally.forecast.base import Vector
from tally.forecast.scaling import Scale

CALENDAR = (4, 5, 7, 12, 24, 48, 52, 60, 96, 144, 168, 288, 365, 1440, 8766)
"""Seasons that clocks and calendars make; one close to what the data says is taken instead."""

_SIGNIFICANCE = 1e-4
_MAX_VALUES = 200_000  # the newest; more would not change the answer


def find_period(values: Vector, natural: Sequence[int] = CALENDAR) -> int:
    """Return the number of steps in a season; 1 where the series shows none.

    The largest peak of the periodogram, after an AR(1) is filtered out so that a wandering
    series does not look seasonal, must pass Fisher's test, repeat at least twice and show in the
    autocorrelation; a calendar season within 4 % of it explains nearly as much and is preferred.

    Args:
        values: (t,) finite, equally spaced.
        natural: seasons to prefer.

    Example:
        >>> find_period(np.tile([5.0, 1.0, 2.0, 1.0, 1.0, 0.0, 9.0], 20))
        7

    Source: Brockwell and Davis, Time Series: Theory and Methods, 2nd ed., section 10.2.
    """
    unit = Scale.of(values[-_MAX_VALUES:])[1]
    rows = len(unit)
    if rows < 8:
        return 1
    time = np.linspace(-1, 1, rows)
    unit = unit - unit.mean() - time * (unit @ time) / (time @ time)
    energy = unit @ unit
    if energy <= 1e-20 * rows:
        return 1
    phi = float(np.clip(unit[1:] @ unit[:-1] / energy, 0.0, 0.98))
    # Without the last value the difference wraps nowhere; the filter keeps every frequency.
    power = np.abs(np.fft.rfft(unit[1:] - phi * unit[:-1])) ** 2
    power[:2] = 0.0  # the mean, and what is seen only once
    peak = int(power.argmax())
    if _fisher(power[2:]) > _SIGNIFICANCE:
        return 1
    correlation = _autocorrelation(unit)
    base = (rows - 1) / peak
    # The peak may be a harmonic of a sharp season, so its multiples are asked too.
    candidates = [m * base for m in (1, 2, 3, 4, 5, 6) if m * base <= rows / 2]
    scores = [_peak_near(correlation, period) for period in candidates]
    if not scores or max(scores) < 2 / np.sqrt(rows):
        return 1
    chosen = next(p for p, s in zip(candidates, scores, strict=True) if s >= 0.85 * max(scores))
    return _preferred(chosen, correlation, natural)


def _fisher(power: Vector) -> float:
    """Return the first term of Fisher's bound on the chance that noise has such a peak."""
    share = float(power.max() / power.sum())
    count = len(power)
    return float(count * (1 - share) ** (count - 1))


def _autocorrelation(unit: Vector) -> Vector:
    rows = len(unit)
    spectrum = np.abs(np.fft.rfft(unit, 2 * rows)) ** 2
    covariances = np.fft.irfft(spectrum)[:rows]
    # Divided by the number of products, so that a long season is not punished for its length.
    return np.asarray(covariances / covariances[0] * rows / np.arange(rows, 0, -1))


def _peak_near(correlation: Vector, period: float) -> float:
    reach = max(1, round(0.02 * period))
    centre = round(period)
    return float(correlation[max(2, centre - reach) : centre + reach + 1].max(initial=-1.0))


def _preferred(period: float, correlation: Vector, natural: Sequence[int]) -> int:
    near = [n for n in natural if abs(n - period) <= max(0.5, 0.04 * period)]
    near = [n for n in near if 2 * n <= len(correlation)]
    if near:
        return min(near, key=lambda n: abs(n - period))
    reach = max(1, round(0.02 * period))
    low = max(2, round(period) - reach)
    return low + int(correlation[low : round(period) + reach + 1].argmax())
