"""Contingency tables of binary attributes and categories."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tally.engine.explore.addressing import Category
from tally.engine.summary import Summary

Table = NDArray[np.float64]


def together(summary: Summary, rows: Sequence[int], columns: Sequence[int]) -> Table:
    """Return in how many rows both of each pair of binary attributes are 1, (rows, columns)."""
    # A binary attribute's origin is 0, so that the sum of products counts.
    i, j = np.array(rows, np.intp)[:, None], np.array(columns, np.intp)
    found: Table = summary.sums.pairs[np.maximum(i, j) + 1, np.minimum(i, j)]
    return found


def contingency(summary: Summary, one: Category, two: Category) -> Table:
    """Return how often each value of one went with each of the other, in the rows with both."""
    rows, columns = np.array(one.members, np.intp), np.array(two.members, np.intp)
    both = together(summary, one.members, two.members)
    groups, ones = summary.schema.group_of, summary.sums.s
    # All values of a category are present in the same rows: any one tells which.
    if one.plain:
        both = np.vstack([both, ones[columns, groups[rows[0]]][None, :] - both])
    if two.plain:
        of_one = ones[rows, groups[columns[0]]]
        if one.plain:
            pair = summary.pair(int(rows[0]), int(columns[0]))
            of_one = np.array([pair.px, pair.n - pair.px])
        both = np.column_stack([both, of_one - both.sum(axis=1)])
    return both
