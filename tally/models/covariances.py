"""Estimates of a covariance matrix that has more structure, or less noise, than the sample's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tally.errors import InvalidInput
from tally.models.base import Floats
from tally.models.linalg import Solver, Solving, solver
from tally.models.parameters import Parameters

THIKHONOV = "l2_reg_thinkhonov"
SHRINKAGE = "l2_reg_sig"
IDENTITY = "identity_mixture"
TRUNCATED = "eigen_trunc"
GRAPH = "graph_lasso"

_TUNINGS = ("", "oas", "rblw")
_MAX_RANK = 4096


@dataclass(frozen=True, slots=True)
class Estimator:
    """One of the estimates that have a formula.

    Attributes:
        kind: `l2_reg_thinkhonov`, `l2_reg_sig`, `identity_mixture` or `eigen_trunc`.
        penalty: what is added to the diagonal.
        alpha: the share of the target that is mixed in.
        tuning: how `l2_reg_sig` finds that share by itself; empty if it does not.
        q: eigenvalues that `eigen_trunc` keeps.

    Example:
        >>> estimator = Estimator.read(Parameters({"estimate_type": "identity_mixture"}))
        >>> estimator.estimate(np.array([[2.0, 1.0], [1.0, 3.0]]), 10)
        array([[1.9, 0.9],
               [0.9, 2.8]])
    """

    kind: str
    penalty: float = 1.0
    alpha: float = 0.1
    tuning: str = ""
    q: int = 1

    @classmethod
    def read(
        cls, parameters: Parameters, *, required: bool = True, graph: bool = True
    ) -> Estimator | None:
        """Return the estimate that is asked for; None for `graph_lasso` or none at all.

        Raises:
            InvalidInput: the type is unknown, missing or not for this family.
        """
        kinds = (THIKHONOV, SHRINKAGE, IDENTITY, TRUNCATED, GRAPH)
        kind = parameters.choice("estimate_type", "", kinds if required else ("", *kinds))
        if kind == GRAPH and not graph:
            raise InvalidInput("estimate_type", "graph_lasso is for covest alone")
        if kind == THIKHONOV:
            return cls(kind, penalty=parameters.number("lambda", 1.0, low=0.0))
        if kind == SHRINKAGE:
            tuning = parameters.choice("tuning_type", "", _TUNINGS)
            return cls(kind, alpha=parameters.number("alpha", 0.1, 0.0, 1.0), tuning=tuning)
        if kind == IDENTITY:
            return cls(kind, alpha=parameters.number("alpha", 0.1, 0.0, 1.0))
        if kind == TRUNCATED:
            if not parameters.has("q"):
                raise InvalidInput("q", "is missing: the eigenvalues that eigen_trunc keeps")
            return cls(kind, q=parameters.whole("q", 1, 1, _MAX_RANK))
        return None

    def estimate(self, covariance: Floats, n: float) -> Floats:
        """Return the estimate (p, p).

        Args:
            covariance: (p, p) of the sample.
            n: rows that it is from.
        """
        eye = np.eye(len(covariance))
        if self.kind == THIKHONOV:
            return covariance + self.penalty * eye
        if self.kind == TRUNCATED:
            values, vectors = np.linalg.eigh(covariance)
            values, vectors = values[-self.q :], vectors[:, -self.q :]
            truncated: Floats = (vectors * values) @ vectors.T
            return truncated
        share = self.share(covariance, n)
        level = 1.0 if self.kind == IDENTITY else float(np.trace(covariance)) / len(covariance)
        return (1 - share) * covariance + share * level * eye

    def share(self, covariance: Floats, n: float) -> float:
        """Return the share of the target that is mixed in, in [0, 1].

        Source: Chen, Wiesel, Eldar, Hero 2010, doi:10.1109/TSP.2010.2053029.
        """
        if not self.tuning:
            return self.alpha
        p = len(covariance)
        trace = float(np.trace(covariance))
        squares = float((covariance * covariance).sum())
        apart = squares - trace * trace / p
        if apart <= 0:  # a multiple of the identity already
            return 1.0
        if self.tuning == "oas":
            found = ((1 - 2 / p) * squares + trace**2) / ((n + 1 - 2 / p) * apart)
        else:
            found = ((n - 2) / n * squares + trace**2) / ((n + 2) * apart)
        return min(1.0, found)

    def solver(self, covariance: Floats, n: float, names: Sequence[str], how: Solving) -> Solver:
        """Return the estimate, ready to be solved with."""
        found = self.estimate(covariance, n)
        if self.kind == TRUNCATED:
            how = Solving(pseudo=True, tolerance=how.tolerance)
        return solver(found, names, how)
