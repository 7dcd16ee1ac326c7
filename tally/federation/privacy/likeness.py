"""Three tests whether new rows look like those before, attribute by attribute.

A change that looks like what is known already tells little of the few rows in it. One that does
not, such as a single outlier among them, could be seen in the difference of two snapshots.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tally.engine.explore.p_values import t_two_sided
from tally.engine.sketch import Counts, Values
from tally.federation.privacy.spread import Spread

SIGNIFICANCE = 0.05
_KOLMOGOROV = 1.358  # sqrt(-ln(SIGNIFICANCE / 2) / 2), as it is prescribed


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Counted values.

    Attributes:
        values: (k,), ascending without repeats.
        counts: (k,), all positive.
    """

    values: Values
    counts: Counts

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Sample:
        """Return the sample of raw values (n,), none missing."""
        distinct, counts = np.unique(values, return_counts=True)
        return cls(distinct, counts.astype(np.int64))

    @classmethod
    def of_spread(cls, spread: Spread) -> Sample:
        """Return counted values as a sample; those of a bin are taken to be in its middle."""
        return cls(spread.keys + spread.width / 2, spread.counts)

    @property
    def rows(self) -> int:
        """How many values there are."""
        return int(self.counts.sum())

    @property
    def constant(self) -> bool:
        """Whether there are no two different values."""
        return len(self.values) < 2

    @property
    def mean(self) -> float:
        """The mean; NaN without values."""
        if not len(self.values):
            return math.nan
        first = self.values[0]  # about it, so that far values keep their digits
        return float(first + ((self.values - first) * self.counts).sum() / self.rows)

    @property
    def variance(self) -> float:
        """The variance of the population, exactly 0 of a constant; NaN without values."""
        if self.constant:
            return 0.0 if len(self.values) else math.nan
        return float((np.square(self.values - self.mean) * self.counts).sum() / self.rows)


@dataclass(frozen=True, slots=True)
class TTest:
    """Welch's test of equal means.

    Attributes:
        t, df: of Student's distribution; NaN where there is nothing to compute.
        p: two-sided.
        passed: whether the means may be equal.
    """

    t: float
    df: float
    p: float
    passed: bool


@dataclass(frozen=True, slots=True)
class Distance:
    """A distance of two distribution functions.

    Attributes:
        value: the distance; NaN where it is undefined.
        limit: what it must stay below.
        passed: whether it does, or does not have to.
    """

    value: float
    limit: float
    passed: bool


def t_test(one: Sample, two: Sample) -> TTest:
    """Test whether two means may be equal; samples of fewer than two values fail.

    Example:
        >>> found = t_test(Sample.of(np.arange(1.0, 101)), Sample.of(np.arange(51.0, 100, 2)))
        >>> round(found.t, 6), found.passed
        (-6.003802, False)
    """
    n, m = one.rows, two.rows
    if n < 2 or m < 2:
        return TTest(math.nan, math.nan, math.nan, passed=False)
    above = one.mean - two.mean
    s1, s2 = one.variance / n, two.variance / m
    if s1 == 0 and s2 == 0:
        return TTest(math.nan, math.nan, math.nan, passed=above == 0)
    if s1 == 0 or s2 == 0:  # of one mean against a number that is known
        df = float(n if s2 == 0 else m)
    else:
        df = (s1 + s2) ** 2 / (s1**2 / (n - 1) + s2**2 / (m - 1))
    t = above / math.sqrt(s1 + s2)
    p = t_two_sided(t, df)
    return TTest(t, df, p, passed=p >= SIGNIFICANCE)


def ks_test(one: Sample, two: Sample) -> Distance:
    """Test whether two distributions may be one, by Kolmogorov and Smirnov.

    Example:
        >>> found = ks_test(Sample.of(np.arange(1.0, 101)), Sample.of(np.arange(41.0, 66)))
        >>> round(found.value, 2), round(found.limit, 6), found.passed
        (0.4, 0.303658, False)
    """
    n, m = one.rows, two.rows
    if not n or not m:
        return Distance(math.nan, math.nan, passed=False)
    limit = _KOLMOGOROV * math.sqrt((n + m) / (n * m))
    _, gaps = _gaps(one, two)
    value = float(gaps.max())
    return Distance(value, limit, passed=value < limit)


def integral_test(one: Sample, two: Sample) -> Distance:
    """Test how much lies between two distribution functions, relative to both ranges.

    The absolute difference is integrated: the signed one is the difference of the means and no
    more. It does not have to pass where one sample is constant, and has no range.

    Example:
        >>> found = integral_test(Sample.of(np.arange(1.0, 101)), Sample.of(np.arange(7.0, 106, 2)))
        >>> round(found.value, 6), found.limit, found.passed
        (0.055838, 0.05, False)
    """
    m = two.rows
    limit = 0.2 if m <= 10 else 0.1 if m <= 25 else 0.05
    if one.constant or two.constant:
        return Distance(math.nan, limit, passed=True)
    values, gaps = _gaps(one, two)
    between = float((gaps[:-1] * np.diff(values)).sum())
    ranges = [float(each.values[-1] - each.values[0]) for each in (one, two)]
    value = between / math.sqrt(ranges[0]) / math.sqrt(ranges[1])
    return Distance(value, limit, passed=value < limit)


def _gaps(one: Sample, two: Sample) -> tuple[Values, Values]:
    """Return the values of both, and how far apart their distributions are from each one on."""
    values = np.union1d(one.values, two.values)
    return values, np.abs(_share_upto(one, values) - _share_upto(two, values))


def _share_upto(sample: Sample, values: Values) -> Values:
    upto = np.concatenate([[0], np.cumsum(sample.counts)])
    found: Values = upto[np.searchsorted(sample.values, values, side="right")] / sample.rows
    return found
