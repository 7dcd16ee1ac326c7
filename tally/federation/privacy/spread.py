"""How often each value occurred, in a form that can be subtracted exactly for ever.

Exact while there are few values. Then bins whose width is a power of two and whose edges are
multiples of it: bins of twice the width are pairs of them, so that counts of different widths can
be brought together without error. A sketch of centroids, which describes a distribution better,
cannot be subtracted: its centroids are where the rows of both times drew them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tally.engine.sketch import Counts, Values

EXACT = 4096
"""Distinct values that are kept as they are."""

BINS = 2048


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """Counts by value, or by bin.

    Attributes:
        keys: (k,), ascending without repeats: the values, or the lower edges of bins.
        counts: (k,), never 0; negative only in a difference.
        width: of a bin; 0 while values are exact.
    """

    keys: Values
    counts: Counts
    width: float = 0.0

    @classmethod
    def empty(cls) -> Spread:
        """Return the counts of no rows."""
        return cls(np.zeros(0), np.zeros(0, np.int64))

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Spread:
        """Return the counts of values (n,), NaN where missing.

        Example:
            >>> spread = Spread.of(np.array([2.0, 1.0, np.nan, 2.0]))
            >>> spread.keys.tolist(), spread.counts.tolist()
            ([1.0, 2.0], [1, 2])
        """
        present = values[~np.isnan(values)] + 0.0  # -0.0 becomes 0.0
        return _summed(present, np.ones(len(present), np.int64), 0.0)._bounded()

    @property
    def rows(self) -> int:
        """How many rows were counted."""
        return int(self.counts.sum())

    def add(self, other: Spread) -> Spread:
        """Return the counts of both; the order and grouping of additions change nothing."""
        return self._combined(other, 1)._bounded()

    def less(self, other: Spread) -> Spread:
        """Return the difference, in which counts may be negative."""
        return self._combined(other, -1)

    def coarser(self, width: float) -> Spread:
        """Return the same in bins of this width, a power of two and not below the present one."""
        if width == self.width:
            return self
        return _summed(_bins(self.keys, width) * width, self.counts, width)

    def parts(self) -> tuple[Spread, Spread]:
        """Return what a difference has more and what it has less, both with positive counts."""
        more, less = self.counts > 0, self.counts < 0
        return (
            Spread(self.keys[more], self.counts[more], self.width),
            Spread(self.keys[less], -self.counts[less], self.width),
        )

    def _combined(self, other: Spread, sign: int) -> Spread:
        width = max(self.width, other.width)
        left, right = self.coarser(width), other.coarser(width)
        keys = np.concatenate([left.keys, right.keys])
        return _summed(keys, np.concatenate([left.counts, sign * right.counts]), width)

    def _bounded(self) -> Spread:
        if not len(self.keys) or (not self.width and len(self.keys) <= EXACT):
            return self
        ends = self.keys[[0, -1]]
        low, high = ends.tolist()
        width = self.width
        if not width:
            # Twice too fine, so that the loop finds the finest that is coarse enough.
            width = math.ldexp(1.0, math.frexp(high / BINS - low / BINS)[1] - 2)
        while np.ptp(_bins(ends, width)) >= BINS:
            width *= 2
        return self.coarser(width)


def _bins(keys: Values, width: float) -> Values:
    bins = np.floor(keys / width)
    # Below 0 but so close to it that the quotient is none: floor(-0.0) is not -1.
    return np.where((bins == 0) & (keys < 0), -1.0, bins) + 0.0


def _summed(keys: Values, counts: Counts, width: float) -> Spread:
    distinct, place = np.unique(keys, return_inverse=True)
    total = np.zeros(len(distinct), np.int64)
    np.add.at(total, place, counts)
    there = total != 0
    return Spread(distinct[there], total[there], width)
