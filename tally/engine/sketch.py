"""Counted values brought down to fewer centroids, and rows taken out of centroids again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

CENTROIDS = 4096
"""Distinct values kept as they are, and centroids kept beyond."""

Values = NDArray[np.float64]
Counts = NDArray[np.int64]


def union(
    left: Values, left_counts: Counts, values: Values, counts: Counts
) -> tuple[Values, Counts]:
    """Return the counts of both sides by value.

    Args:
        left, values: (k,) and (m,), each ascending without repeats.
        left_counts, counts: (k, w) and (m, w).

    Example:
        >>> one = np.ones((2, 1), np.int64)
        >>> merged, counts = union(np.array([1.0, 3.0]), one, np.array([2.0, 3.0]), one)
        >>> merged.tolist(), counts[:, 0].tolist()
        ([1.0, 2.0, 3.0], [1, 1, 2])
    """
    if not len(left):
        return values, counts
    at = np.searchsorted(left, values)
    known = left[np.minimum(at, len(left) - 1)] == values
    if known.all():
        total = left_counts.copy()
        total[at] += counts
        return left, total
    # Each value goes behind those of the left before it and the new ones before it.
    new = ~known
    before = np.cumsum(new) - new
    place = at + before
    here = np.ones(len(left) + int(new.sum()), bool)
    here[place[new]] = False
    merged = np.empty(len(here))
    merged[here], merged[place[new]] = left, values[new]
    total = np.zeros((len(here), counts.shape[1]), np.int64)
    total[here] = left_counts
    total[place] += counts
    return merged, total


def compress(values: Values, counts: Counts, size: int = CENTROIDS) -> tuple[Values, Counts]:
    """Return at most `size` centroids: nearest neighbours merged first, into their mean.

    Two neighbours merge only if together they hold at most 2/size of all rows: otherwise the
    dense middle of a wide distribution would fall into one centroid, and with it the median. Such
    a pair always exists: fewer than `size` pairs can be heavier than that.

    Args:
        values: (k,), ascending without repeats.
        counts: (k, w); the rows of all columns together are a centroid's weight.

    Example:
        >>> ones = np.ones((4, 1), np.int64)
        >>> values, counts = compress(np.array([0.0, 4.0, 5.0, 9.0]), ones, 3)
        >>> values.tolist(), counts[:, 0].tolist()
        ([0.0, 4.5, 9.0], [1, 2, 1])
    """
    if len(values) <= size:
        return values, counts
    weight = counts.sum(axis=1)
    most = 2 * weight.sum() / size
    starts = np.arange(len(values))  # of each centroid, among the rows of `counts`
    while (excess := len(values) - size) > 0:
        light = weight[:-1] + weight[1:] <= most
        # Halved before the difference, which is finite then, also from -1e308 to 1e308.
        gap = np.where(light, np.diff(values / 2), np.inf)
        chosen = np.zeros(len(gap), bool)
        chosen[np.argpartition(gap, excess - 1)[:excess]] = True
        left = _every_second(chosen & light)
        right = left + 1
        share = weight[left] / (weight[left] + weight[right])
        mean = values[left] * share + values[right] * (1 - share)
        merged, sums = values.copy(), weight.copy()
        merged[left] = np.clip(mean, values[left], values[right])
        sums[left] += weight[right]
        kept = np.ones(len(values), bool)
        kept[right] = False
        values, weight, starts = merged[kept], sums[kept], starts[kept]
    return values, sum_runs(counts, starts)


def sum_runs(counts: Counts, starts: NDArray[np.intp]) -> Counts:
    """Return the sums of runs of rows of counts (k, w), which begin at `starts`.

    Example:
        >>> sum_runs(np.array([[1, 0], [2, 1], [3, 0]]), np.array([0, 2])).tolist()
        [[3, 1], [3, 0]]
    """
    # As a product with a sparse matrix: 20 times as fast as `np.add.reduceat` with 200 columns.
    k = len(counts)
    ends = np.append(starts, k)
    runs = sparse.csr_array((np.ones(k, np.int64), np.arange(k), ends), shape=(len(starts), k))
    return np.asarray(runs @ counts)


def take_out(values: Values, counts: Counts, gone: Values, gone_counts: Counts) -> Counts:
    """Return one column of counts less those of `gone`, each taken from the nearest centroid left.

    A centroid gives what it has; the rest comes from the next nearest. More than all leaves zeros.

    Args:
        values, counts: (k,) each.
        gone, gone_counts: (m,) each.

    Example:
        >>> counts = np.array([1, 2, 5])
        >>> take_out(np.array([0.0, 4.0, 9.0]), counts, np.array([3.0]), np.array([4])).tolist()
        [0, 0, 4]
    """
    left = counts.copy()
    if gone_counts.sum() >= left.sum():
        return np.zeros_like(left)
    owed, owed_counts = gone[gone_counts > 0], gone_counts[gone_counts > 0]
    while owed_counts.sum():
        full = np.flatnonzero(left)
        at = full[_nearest(values[full], owed)]
        asked = np.bincount(at, weights=owed_counts, minlength=len(left)).astype(np.int64)
        given = np.minimum(asked, left)
        left -= given
        rest = asked - given
        short = np.flatnonzero(rest)
        owed, owed_counts = values[short], rest[short]
    return left


def _every_second(chosen: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the 1st, 3rd, ... of each run of chosen pairs: neighbouring pairs share a member."""
    index = np.arange(len(chosen))
    start = np.maximum.accumulate(np.where(chosen, 0, index + 1))
    return np.flatnonzero(chosen & ((index - start) % 2 == 0))


def _nearest(sorted_values: Values, wanted: Values) -> NDArray[np.intp]:
    above = np.searchsorted(sorted_values, wanted).clip(1, max(len(sorted_values) - 1, 1))
    if len(sorted_values) == 1:
        return np.zeros(len(wanted), np.intp)
    below = above - 1
    nearer_below = wanted - sorted_values[below] <= sorted_values[above] - wanted
    return np.where(nearer_below, below, above)
