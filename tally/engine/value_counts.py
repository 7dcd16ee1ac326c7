"""How often each value of one attribute occurred: exact while they are few, then a sketch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tally.engine.distribution import Distribution
from tally.engine.sketch import CENTROIDS, Counts, Values, compress, sum_runs, take_out, union

_NOTHING = np.array([[np.inf], [-np.inf]])  # the extremes of no rows


@dataclass(frozen=True, slots=True)
class ValueCounts:
    """Counts by value, in one or more columns of rows: all of them, or those under a condition.

    Up to a bound the values are exact: sums of counts, so that merging is commutative and
    associative and forgetting undoes learning, to the last row. Beyond, they are the centroids
    of a sketch, whose row count is still exact, and whose extremes are those of every row
    learned since it was last empty.

    Attributes:
        values: (k,), ascending without repeats.
        counts: (k, columns); no row of it is zero.
        extremes: (2, columns) lowest and highest of a sketch; None while the values are exact.
    """

    values: Values
    counts: Counts
    extremes: Values | None = None

    @classmethod
    def empty(cls, columns: int = 1) -> ValueCounts:
        """Return the counts of no rows."""
        return cls(np.zeros(0), np.zeros((0, columns), np.int64))

    @classmethod
    def of_binary(cls, counts: Counts) -> ValueCounts:
        """Return counts (2, columns) of zeros and ones."""
        there = counts.any(axis=1)
        return cls(np.array([0.0, 1.0])[there], counts[there])

    @property
    def size_bytes(self) -> int:
        """Bytes that the arrays take."""
        return self.values.nbytes + self.counts.nbytes

    def add(self, other: ValueCounts, bound: int = CENTROIDS) -> ValueCounts:
        """Return the counts of both, as a sketch of `bound` centroids where that is exceeded."""
        values, counts = union(self.values, self.counts, other.values, other.counts)
        extremes = None
        if len(values) > bound or self.extremes is not None or other.extremes is not None:
            extremes = _wider(self._extremes(), other._extremes())
        return ValueCounts(*compress(values, counts, bound), extremes)

    def subtract(self, other: ValueCounts) -> ValueCounts:
        """Return the counts without those of `other`; what was never counted is passed over."""
        if self.extremes is None:
            at = np.searchsorted(self.values, other.values)
            known = np.isin(other.values, self.values)
            left = self.counts.copy()
            left[at[known]] = np.maximum(left[at[known]] - other.counts[known], 0)
        else:
            left = np.column_stack(
                [
                    take_out(self.values, self.counts[:, j], other.values, other.counts[:, j])
                    for j in range(self.counts.shape[1])
                ]
            )
        there = left.any(axis=1)
        extremes = None  # empty again is exact again
        if self.extremes is not None and there.any():
            extremes = np.where(left.any(axis=0), self.extremes, _NOTHING)
        return ValueCounts(self.values[there], left[there], extremes)

    def bounded(self, bound: int) -> ValueCounts:
        """Return the same with at most `bound` values."""
        if len(self.values) <= bound:
            return self
        return ValueCounts(*compress(self.values, self.counts, bound), self._extremes())

    def columns(self, kept: Sequence[int]) -> ValueCounts:
        """Return the columns at these indexes; -1 stands for a new one, of zeros."""
        index = np.asarray(kept, np.intp)
        blank = np.zeros((len(self.values), 1), np.int64)
        counts = np.hstack([self.counts, blank])[:, index]
        there = counts.any(axis=1)
        extremes = None
        if self.extremes is not None and there.any():
            extremes = np.hstack([self.extremes, _NOTHING])[:, index]
        return ValueCounts(self.values[there], counts[there], extremes)

    def distribution(self, column: int = 0) -> Distribution:
        """Return what one column says."""
        extremes = None
        if self.extremes is not None:
            extremes = (float(self.extremes[0, column]), float(self.extremes[1, column]))
        return Distribution.of(self.values, self.counts[:, column], extremes)

    def _extremes(self) -> Values:
        if self.extremes is not None:
            return self.extremes
        there = self.counts > 0
        if not len(there):
            return np.repeat(_NOTHING, there.shape[1], axis=1)
        first, last = there.argmax(axis=0), -1 - there[::-1].argmax(axis=0)
        found = np.vstack([self.values[first], self.values[last]])
        return np.where(there.any(axis=0), found, _NOTHING)


def count_values(values: Values, under: Counts) -> tuple[ValueCounts, ValueCounts]:
    """Count the values of one column of rows, and those of the rows under each condition.

    Args:
        values: (n,), NaN where missing.
        under: (n, columns), 1 where the row meets the condition, else 0.

    Example:
        >>> every, given = count_values(np.array([2.0, 1.0, 2.0]), np.array([[1], [0], [1]]))
        >>> every.values.tolist(), every.counts[:, 0].tolist()
        ([1.0, 2.0], [1, 2])
        >>> given.values.tolist(), given.counts[:, 0].tolist()
        ([2.0], [2])
    """
    order = np.argsort(values)
    ordered = values[order] + 0.0  # -0.0 becomes 0.0
    present = int(np.searchsorted(ordered, np.nan))  # NaN comes last
    ordered = ordered[:present]
    if not present:
        return ValueCounts.empty(), ValueCounts.empty(under.shape[1])
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    distinct = ordered[starts]
    every = np.diff(np.append(starts, present)).astype(np.int64)[:, None]
    given = np.zeros((len(distinct), 0), np.int64)
    if under.shape[1]:
        given = under[order[:present]]
        if len(starts) < present:
            given = sum_runs(given, starts)
    there = given.any(axis=1)
    return ValueCounts(distinct, every), ValueCounts(distinct[there], given[there])


def _wider(left: Values, right: Values) -> Values:
    return np.vstack([np.minimum(left[0], right[0]), np.maximum(left[1], right[1])])
