"""Covariances and correlations of many attributes, whatever is missing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tally.engine.explore.arithmetic import variances
from tally.engine.summary import Summary

Matrix = NDArray[np.float64]


def covariances(summary: Summary, indexes: Sequence[int]) -> Matrix:
    """Return the population covariances (k, k), each over the rows with both attributes.

    0 for two that were never seen together: what nothing is known of is taken as unrelated.
    """
    found, _ = summary.covariance(indexes)
    return np.where(np.isfinite(found), found, 0.0)


def correlations(summary: Summary, indexes: Sequence[int]) -> Matrix:
    """Return the linear correlations (k, k), as `bi` has them, with 1 on the diagonal.

    The variances of a pair are those of the rows with both. 0 where one of them is 0, and for two
    that were never seen together.
    """
    i = np.array(indexes, np.intp)
    spread = np.sqrt(_variances(summary, i))
    scale = spread * spread.T
    found = np.zeros_like(scale)
    np.divide(covariances(summary, indexes), scale, out=found, where=scale > 0)
    np.clip(found, -1.0, 1.0, out=found)
    np.fill_diagonal(found, 1.0)
    return found


def varying(summary: Summary, indexes: Sequence[int]) -> list[int]:
    """Return the positions in `indexes` of the attributes that are not constant."""
    return np.flatnonzero(is_varying(summary, indexes)).tolist()


def is_varying(summary: Summary, indexes: Sequence[int]) -> NDArray[np.bool_]:
    """Return which attributes have two different values (k,)."""
    moments = [summary.moments(i) for i in indexes]
    n, s1, s2 = np.array([(m.n, m.s1, m.s2) for m in moments], float).reshape(-1, 3).T
    return variances(n, s1, s2) > 0


def _variances(summary: Summary, i: NDArray[np.intp]) -> Matrix:
    """Return for each pair the variance of the first over the rows with both (k, k)."""
    sums, groups, rank = summary.sums, summary.schema.group_of[i], summary.schema.rank[i]
    n = sums.n[np.ix_(groups, groups)]
    s = sums.s[np.ix_(i, groups)]
    q = s.copy()  # of a binary attribute
    continuous = rank >= 0
    q[continuous] = sums.q[np.ix_(rank[continuous], groups)]
    with np.errstate(invalid="ignore"):
        return np.nan_to_num(variances(n, s, q))
