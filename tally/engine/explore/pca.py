"""`explorepca`: the directions in which the attributes vary most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tally.engine.explore.addressing import several
from tally.engine.explore.context import Context, Source
from tally.engine.explore.correlation import Matrix, correlations, covariances, varying
from tally.errors import InvalidInput

MAX_COMPONENTS = 100

_TIE = 1e-9


@dataclass(frozen=True, slots=True)
class Components:
    """Principal components, the largest first.

    Attributes:
        names: of the attributes, as the question called them.
        values: (k,) eigenvalues.
        vectors: (k, attributes), one unit vector a row; its largest entry is positive.
        total: the sum of all eigenvalues, also of those that were cut off.
    """

    names: tuple[str, ...]
    values: Matrix
    vectors: Matrix
    total: float


def principal_components(source: Source, context: Context, explained: float = 1.0) -> Components:
    """Return the leading components of the inputs' correlation matrix.

    No inputs stand for all attributes; constant ones are left out. With `pca_use_covariance`,
    of the covariance matrix. At most `pcaNumDimension` of them, and never more than 100.

    Args:
        source: the project.
        context: the question.
        explained: the share of the total that is enough, in (0, 1].

    Raises:
        InvalidInput: a share or number is out of range, or an attribute unknown or there twice.
    """
    named, most = wanted(source, context, explained)
    indexes = list(named.values())
    kept = varying(source.summary, indexes)
    names = tuple(np.array(list(named), object)[kept])
    used = [indexes[k] for k in kept]
    if not used:
        return Components((), np.zeros(0), np.zeros((0, 0)), 0.0)
    whole = covariances if context.flag("pca_use_covariance") else correlations
    values, vectors = decomposed(whole(source.summary, used))
    total = float(values.sum())
    k = min(most, enough(values, explained))
    return Components(names, values[:k], vectors[:, :k].T, total)


def wanted(source: Source, context: Context, explained: float) -> tuple[dict[str, int], int]:
    """Return the attributes by what they are called, and how many components there are at most.

    Arguments and errors are those of `principal_components`; no numbers are looked at.
    """
    if not 0 < explained <= 1:
        raise InvalidInput("explainedCovariance", f"{explained:g} is not in (0, 1]")
    most = context.whole(1, MAX_COMPONENTS, "pcaNumDimension") or MAX_COMPONENTS
    return several(source.summary.schema, context), most


def decomposed(matrix: Matrix) -> tuple[Matrix, Matrix]:
    """Return eigenvalues, descending, and eigenvectors as columns, each with one sign.

    What is zero but for rounding is 0. The entry of largest magnitude is positive; of several as
    large, the first.
    """
    values, vectors = np.linalg.eigh(matrix)
    values, vectors = values[::-1], vectors[:, ::-1]
    size = np.abs(values)
    values = np.where(size <= len(values) * np.finfo(float).eps * size.max(), 0.0, values)
    entries = np.abs(vectors)
    largest = (entries >= entries.max(axis=0) * (1 - _TIE)).argmax(axis=0)
    signs = np.sign(vectors[largest, np.arange(len(values))])
    return values, vectors * signs


def enough(values: Matrix, share: float) -> int:
    """Return how many of the descending eigenvalues reach this share of their sum.

    Example:
        >>> enough(np.array([3.0, 0.6, 0.4, 0.0]), 0.9), enough(np.array([2.0, 0.0]), 1.0)
        (2, 2)
    """
    if share >= 1:
        return len(values)
    reached = np.cumsum(values) >= share * values.sum()
    return int(reached.argmax()) + 1 if reached.any() else len(values)
