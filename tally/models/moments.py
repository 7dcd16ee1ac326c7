"""Means and covariances of a model's attributes, whatever is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tally.engine.explore.correlation import is_varying
from tally.engine.summary import Summary
from tally.errors import FitFailed
from tally.models.base import Flags, Floats


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """The first two moments of some attributes.

    Attributes:
        names: of the k attributes.
        n: the fewest rows that any two of them have in common.
        mean: (k,) each over the rows in which it is present.
        covariance: (k, k) of the population, each over the rows with both; positive semidefinite.
        varies: (k,) whether an attribute has two different values.
        scale: (k,) standard deviations; 1 where an attribute does not vary.
        clipped: whether missing cells made covariances that contradict each other, which were
            then replaced by the nearest that do not.
    """

    names: tuple[str, ...]
    n: float
    mean: Floats
    covariance: Floats
    varies: Flags
    scale: Floats
    clipped: bool = False

    @property
    def correlation(self) -> Floats:
        """(k, k) with 1 on the diagonal, and 0 beside it for an attribute that does not vary."""
        found: Floats = self.covariance / np.outer(self.scale, self.scale)
        np.fill_diagonal(found, 1.0)
        return found

    def of(self, positions: Sequence[int]) -> Sample:
        """Return the moments of some of the attributes."""
        at = np.array(positions, np.intp)
        return Sample(
            tuple(self.names[k] for k in positions),
            self.n,
            self.mean[at],
            self.covariance[np.ix_(at, at)],
            self.varies[at],
            self.scale[at],
            self.clipped,
        )


def sample(summary: Summary, indexes: Sequence[int]) -> Sample:
    """Return the moments of these attributes.

    Raises:
        FitFailed: two of them were never seen in one row.
    """
    names = tuple(summary.schema.names[i] for i in indexes)
    covariance, counts = summary.covariance(indexes)
    n = float(counts.min())
    if n <= 0:
        i, j = np.unravel_index(int(counts.argmin()), counts.shape)
        raise FitFailed(_never_together(names[i], names[j]))
    moments = [summary.moments(i) for i in indexes]
    mean = np.array([m.origin + m.s1 / m.n for m in moments])
    varies = is_varying(summary, indexes)
    covariance[~varies] = 0.0
    covariance[:, ~varies] = 0.0
    scale = np.sqrt(np.where(varies, covariance.diagonal(), 1.0))
    clipped = False
    if counts.max() > n:
        covariance, clipped = _semidefinite(covariance, scale)
    return Sample(names, n, mean, covariance, varies, scale, clipped)


def _semidefinite(covariance: Floats, scale: Floats) -> tuple[Floats, bool]:
    """Return the covariances with negative eigenvalues set to 0, and whether there were any.

    Those of the correlations: of covariances, the result would depend on the units. The variances
    stay as they are.
    """
    outer = np.outer(scale, scale)
    values, vectors = np.linalg.eigh(covariance / outer)
    if values[0] >= -len(values) * np.finfo(float).eps * values[-1]:
        return covariance, False
    kept: Floats = (vectors * np.maximum(values, 0.0)) @ vectors.T
    size = np.sqrt(np.maximum(kept.diagonal(), np.finfo(float).tiny))
    wanted = np.sqrt(covariance.diagonal()) / (size * scale)
    return kept * np.outer(wanted, wanted) * outer, True


def _never_together(one: str, other: str) -> str:
    if one == other:
        return f"attribute [{one}] has no value in any row: learn rows that have it"
    return (
        f"attributes [{one}] and [{other}] have no row in common: learn rows that have both, or"
        " leave one of them out"
    )
