"""`exploresvd`, `exploresvdfs`: singular values of the covariances, and a subset without zeros."""

from __future__ import annotations

import math

import numpy as np

from tally.engine.explore.addressing import several
from tally.engine.explore.context import Context, Source
from tally.engine.explore.correlation import Matrix, correlations, covariances, varying

SINGULAR = 1e-8
"""Smallest over largest singular value of a correlation matrix from which on it is singular."""


def singular_values(source: Source, context: Context) -> list[tuple[float, str]]:
    """Return the singular values of the inputs' population covariances, descending.

    The k-th value stands beside the k-th input; it does not belong to it. Equal values are told
    apart in their last digit. No inputs stand for all attributes.

    Raises:
        InvalidInput: there is no such attribute, or it is there twice.
    """
    named = several(source.summary.schema, context)
    return _paired(covariances(source.summary, list(named.values())), list(named))


def singular_values_of_subset(source: Source, context: Context) -> list[tuple[float, str]]:
    """Return the same of those inputs that none before them determine.

    In the order of the inputs, each is kept if the correlation matrix of those kept so far and
    itself is not singular; constant ones never are.

    Raises:
        InvalidInput: there is no such attribute, or it is there twice.
    """
    named = several(source.summary.schema, context)
    labels, indexes = list(named), list(named.values())
    kept = varying(source.summary, indexes)
    if kept:
        matrix = correlations(source.summary, [indexes[k] for k in kept])
        kept = [kept[k] for k in independent(matrix)]
    used = [indexes[k] for k in kept]
    return _paired(covariances(source.summary, used), [labels[k] for k in kept])


def independent(matrix: Matrix) -> list[int]:
    """Return which rows of a correlation matrix (k, k) make one that is not singular.

    A row whose addition leaves the matrix no longer positive definite is left out, too: where
    cells are missing, correlations may contradict each other.

    Example:
        >>> independent(np.array([[1.0, -1.0, 0.5], [-1.0, 1.0, -0.5], [0.5, -0.5, 1.0]]))
        [0, 2]
    """
    # Eigenvalues for each row would take k^4. Instead, the inverse of the Cholesky factor grows
    # row by row, and with it the trace of the inverse matrix, which bounds the smallest
    # eigenvalue from below. Only where that does not decide are eigenvalues computed.
    kept: list[int] = []
    inverse = np.zeros_like(matrix)  # of the factor
    norm = 0.0  # that of the inverse matrix is at most this
    for row in range(len(matrix)):
        k = len(kept)
        part = inverse[:k, :k] @ matrix[kept, row]
        left = float(matrix[row, row] - part @ part)
        if left <= SINGULAR:  # the smallest eigenvalue is not above it, the largest not below 1
            continue
        weights = part @ inverse[:k, :k]
        bound = norm + (1 + float(weights @ weights)) / left
        if 1 / bound < SINGULAR * (k + 1):
            values = np.linalg.eigvalsh(matrix[np.ix_([*kept, row], [*kept, row])])
            if values[0] < SINGULAR * values[-1]:
                continue
            bound = 1 / float(values[0])
        norm = bound
        inverse[k, :k], inverse[k, k] = -weights / math.sqrt(left), 1 / math.sqrt(left)
        kept.append(row)
    return kept


def _paired(matrix: Matrix, labels: list[str]) -> list[tuple[float, str]]:
    if not labels:
        return []
    # Of a symmetric matrix they are the magnitudes of the eigenvalues.
    values = np.sort(np.abs(np.linalg.eigvalsh(matrix)))[::-1]
    values[values <= len(values) * np.finfo(float).eps * values[0]] = 0.0
    for k in range(len(values) - 2, -1, -1):
        if values[k] <= values[k + 1]:
            values[k] = np.nextafter(values[k + 1], np.inf)
    return list(zip(values.tolist(), labels, strict=True))
