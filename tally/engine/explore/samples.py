"""Count, mean and variance of an attribute, in all rows or where a binary one has a value."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tally.engine.explore.arithmetic import divide, variance
from tally.engine.summary import Summary


@dataclass(frozen=True, slots=True)
class Sample:
    """What tests need to know of a sample.

    Attributes:
        n: rows.
        origin, offset: the mean is their sum; apart, they keep the digits of small differences
            between large means.
        variance: of the population, divided by n.
    """

    n: float
    origin: float
    offset: float
    variance: float

    @classmethod
    def of(cls, summary: Summary, i: int) -> Sample:
        """Return the sample of all values of attribute `i`."""
        m = summary.moments(i)
        return cls._about(m.origin, m.n, m.s1, m.s2)

    @classmethod
    def where(cls, summary: Summary, i: int, j: int, value: int = 1) -> Sample:
        """Return the sample of `i` over the rows in which the binary `j` is 1, or 0."""
        p = summary.pair(i, j)
        if value:
            return cls._about(p.origin_x, p.py, p.c, p.e_xy)
        return cls._about(p.origin_x, p.n - p.py, p.px - p.c, p.qx - p.e_xy)

    @classmethod
    def _about(cls, origin: float, n: float, s: float, q: float) -> Sample:
        if n == 0:
            return cls(0.0, origin, math.nan, math.nan)
        return cls(n, origin, s / n, variance(n, s, q))

    @property
    def mean(self) -> float:
        """The mean."""
        return self.origin + self.offset

    @property
    def unbiased(self) -> float:
        """The variance divided by n - 1."""
        return divide(self.variance * self.n, self.n - 1)

    def mean_above(self, other: Sample) -> float:
        """Return the difference of the means."""
        return (self.origin - other.origin) + (self.offset - other.offset)
