"""Finds how many steps a season has, when the user does not say."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache

import numpy as np

from tally.forecast.base import Vector
from tally.forecast.scaling import Scale

CALENDAR = (4, 5, 7, 12, 24, 48, 52, 60, 96, 144, 168, 288, 365, 1440, 8766)
"""Seasons that clocks and calendars make; one close to what the data says is taken instead."""

_MAX_VALUES = 50_000  # the newest; more would not change the answer
_FEWEST = 8
_MARGIN = 8.0  # that the gain must exceed, since many seasons are tried
_CLOSE = 0.04  # how far, relatively, a calendar season may be from what the data says
_ROUNDING = 1e-24  # share of the energy below which errors are rounding


def find_period(values: Vector, natural: Sequence[int] = CALENDAR) -> int:
    """Return the number of steps in a season; 1 where the series shows none.

    A season is worth its coefficients if it lowers the Bayesian information criterion of a line
    with autoregressive errors. Judging by the errors of that autoregression keeps a random
    walk, whose spectrum has huge slow waves, from looking seasonal. Asked are the calendar's
    seasons and those that the largest peaks of periodogram and autocorrelation suggest; each as a
    wave, as four harmonics, and as free effects.

    Args:
        values: (t,) finite, equally spaced.
        natural: seasons to ask first, and to prefer to others within 4 %.

    Example:
        >>> find_period(np.tile([5.0, 1.0, 2.0, 1.0, 1.0, 0.0, 9.0], 20))
        7

    Source: Schwarz 1978, doi:10.1214/aos/1176344136.
    """
    scale, unit = Scale.of(values[-_MAX_VALUES:])
    rows = len(unit)
    if rows < _FEWEST or scale.spread == 0.0:
        return 1
    time = np.linspace(-1, 1, rows)
    unit = unit - unit.mean() - time * (unit @ time) / (time @ time)
    energy = float(unit @ unit)
    # What is left of a line is rounding, which may well be periodic.
    rounding = 16 * np.finfo(np.float64).eps * (1 + abs(scale.centre) / scale.spread)
    if energy <= rows * rounding**2:
        return 1
    order = _order(unit, energy)
    alone = _ar_errors(unit, order)
    floor = _ROUNDING * energy

    def worth(season: Vector, freedom: int) -> float:
        ratio = alone / max(floor, _ar_errors(unit - season, order))
        # Fewer rows than there are: else a short series looks seasonal one time in ten.
        return max(0, rows - freedom - order - 2) * math.log(ratio) - freedom * math.log(rows)

    @cache
    def gain(period: int) -> float:
        return max(worth(season, freedom) for season, freedom in _seasons(unit, period))

    asked = {*natural, *_from_spectrum(unit), *_from_correlation(unit)}
    asked = {period for period in asked if 2 <= period <= rows // 2}
    best = _climb(max(asked, key=gain, default=2), rows // 2, gain)
    if gain(best) <= _MARGIN:
        return 1
    near = [n for n in asked.intersection(natural) if abs(n - best) <= max(1.0, _CLOSE * best)]
    near = [n for n in near if gain(n) > max(_MARGIN, 0.5 * gain(best))]
    return min(near, key=lambda n: (abs(n - best), n), default=best)


def _seasons(unit: Vector, period: int) -> Iterator[tuple[Vector, int]]:
    """Yield the season as one wave, four harmonics and free effects, with their numbers."""
    place = np.arange(len(unit)) % period
    effects = np.bincount(place, unit) / np.bincount(place)
    spectrum = np.fft.rfft(effects)
    for harmonics in (1, 4):
        if 2 * harmonics < period - 1:
            smooth = np.fft.irfft(
                np.where(np.arange(len(spectrum)) <= harmonics, spectrum, 0), period
            )
            yield smooth[place], 2 * harmonics
    yield effects[place], period - 1


def _order(unit: Vector, energy: float) -> int:
    """Return the order of the autoregression that a season has to beat.

    A slow series may have momentum, which only an AR(2) follows; but an AR(2) follows a noiseless
    wave as well, so that then an AR(1) must do.
    """
    slow = float(unit[1:] @ unit[:-1]) > 0.9 * energy
    return 2 if slow and _ar_errors(unit, 2) > 1e-12 * energy else 1


def _ar_errors(series: Vector, order: int) -> float:
    """Return the sum of squared one-step errors of an AR(1) or AR(2).

    The AR(2) is fitted to value and last difference, which are less alike than two values.
    """
    difference = np.diff(series)
    target, level, slope = difference[1:], series[1:-1], difference[:-1]
    level_energy = float(level @ level)
    if level_energy == 0:
        return float(target @ target)
    target = target - level * (level @ target / level_energy)
    if order == 2:
        slope = slope - level * (level @ slope / level_energy)
        slope_energy = float(slope @ slope)
        if slope_energy > 0:
            target = target - slope * (slope @ target / slope_energy)
    return float(target @ target)


def _from_spectrum(unit: Vector) -> Iterator[int]:
    """Yield the seasons around the largest peaks of the periodogram, and their multiples.

    A sharp season may have its largest peak at a harmonic.
    """
    rows = len(unit)
    # The difference whitens: without it slow movements hide every season.
    power = np.abs(np.fft.rfft(np.diff(unit))) ** 2
    power[:2] = 0.0  # the mean, and what is seen only once
    for peak in _largest_peaks(power, 4):
        for multiple in (1, 2, 3):
            low, high = multiple * rows / (peak + 0.5), multiple * rows / (peak - 0.5)
            yield from (round(x) for x in np.linspace(low, high, 7))


def _from_correlation(unit: Vector) -> Iterator[int]:
    rows = len(unit)
    spectrum = np.abs(np.fft.rfft(np.diff(unit), 2 * rows)) ** 2
    correlation = np.fft.irfft(spectrum)[: rows // 2 + 1]
    yield from _largest_peaks(correlation, 6)


def _largest_peaks(heights: Vector, count: int) -> list[int]:
    """Return the places of the highest local maxima, except at 0."""
    padded = np.concatenate((heights, [-np.inf]))
    inner = padded[1:-1]
    peaks = np.flatnonzero((inner >= padded[:-2]) & (inner >= padded[2:])) + 1
    return [int(p) for p in peaks[np.argsort(-heights[peaks], kind="stable")][:count]]


def _climb(period: int, longest: int, gain: Callable[[int], float]) -> int:
    """Return the season at the top of the hill that `period` is on, within a few steps."""
    for _ in range(20):
        beside = [p for p in (period - 1, period + 1) if 2 <= p <= longest]
        following = max(beside, key=gain, default=period)
        if gain(following) <= gain(period):
            break
        period = following
    return period
