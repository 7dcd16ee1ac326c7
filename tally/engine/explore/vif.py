"""`vif`: how much of each attribute the others tell already."""

from __future__ import annotations

import math

import numpy as np

from tally.engine.explore.addressing import several
from tally.engine.explore.context import Context, Source
from tally.engine.explore.correlation import Matrix, correlations, varying

LARGEST_CORRELATION = 0.9999
"""Two attributes that are multiples of each other would make the matrix singular."""

_NOTHING = 1e-10  # of a vector's squared length: rounding


def variance_inflation(source: Source, context: Context) -> dict[str, float]:
    """Return the variance inflation factor of each input among the inputs.

    No inputs stand for all attributes. A constant one has none (NaN), and does not affect the
    others; one that several others determine exactly has an infinite one.

    Raises:
        InvalidInput: there is no such attribute, or it is there twice.
    """
    named = several(source.summary.schema, context)
    indexes = list(named.values())
    kept = varying(source.summary, indexes)
    factors = np.full(len(indexes), math.nan)
    if kept:
        matrix = correlations(source.summary, [indexes[k] for k in kept])
        factors[kept] = inverse_diagonal(_clipped(matrix))
    return dict(zip(named, factors.tolist(), strict=True))


def inverse_diagonal(matrix: Matrix) -> Matrix:
    """Return the diagonal of the inverse of a symmetric matrix (k, k).

    Infinite for what takes part in an exact dependency; what does not, keeps its value.

    Example:
        >>> inverse_diagonal(np.array([[2.0, 0, 0], [0, 1, 1], [0, 1, 1]]))
        array([0.5, inf, inf])
    """
    values, vectors = np.linalg.eigh(matrix)
    squares = vectors**2
    size = np.abs(values)
    zero = size <= len(values) * np.finfo(float).eps * size.max()
    inverse = squares[:, ~zero] @ (1 / values[~zero])
    dependent = squares[:, zero].sum(axis=1) > _NOTHING
    return np.where(dependent, np.inf, inverse)


def _clipped(matrix: Matrix) -> Matrix:
    clipped = np.clip(matrix, -LARGEST_CORRELATION, LARGEST_CORRELATION)
    np.fill_diagonal(clipped, 1.0)
    return clipped
