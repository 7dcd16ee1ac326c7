"""The graphical lasso: which pairs of attributes matter to each other beside all others.

Maximises ln det T - tr(ST) - penalty * sum of |T_ij| off the diagonal, over precision matrices T.

Source: Friedman, Hastie, Tibshirani 2008, doi:10.1093/biostatistics/kxm045.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tally.errors import FitFailed
from tally.models.base import Checkpoint, Floats, Table, Value, nothing
from tally.models.descent import FINE, descend
from tally.models.parameters import Parameters
from tally.models.penalties import Grid

_SHRUNK = 0.95
_ZERO = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A solution.

    Attributes:
        covariance: (p, p) the estimate.
        precision: (p, p) its inverse, with exact zeros.
        columns: (p, p) column j has the lasso coefficients of attribute j on the others.
        converged: whether the last round changed nothing that matters.
    """

    covariance: Floats
    precision: Floats
    columns: Floats
    converged: bool

    @property
    def edges(self) -> int:
        """Pairs of attributes whose precision is not 0."""
        return int(np.count_nonzero(np.triu(self.precision, 1)))


@dataclass(frozen=True, slots=True)
class GraphLasso:
    """Options of the graphical lasso.

    Attributes:
        penalty: `lambda`.
        grid: of penalties, searched by the extended BIC; None if `penalty` counts.
        gamma: how much that BIC prefers few edges.
        rounds, tolerance: of the descent.
    """

    penalty: float
    grid: Grid | None
    gamma: float
    rounds: int
    tolerance: float

    @classmethod
    def read(cls, parameters: Parameters) -> GraphLasso:
        """Return the options in these parameters."""
        tuned = parameters.choice("tuning_type", "", ("", "ebic")) == "ebic"
        tolerance = parameters.number("tolerance", 1e-5, low=0.0, high=1.0)
        parameters.number("tolerance_lasso", 0.1 * tolerance, low=0.0, high=1.0)
        return cls(
            parameters.number("lambda", 1.0, low=0.0),
            Grid.read(parameters, math.nan) if tuned else None,
            parameters.number("gamma", 0.5, 0.0, 1.0) if tuned else 0.5,
            parameters.whole("maxiter", 1000, 1, 1_000_000),
            tolerance,
        )

    def estimate(
        self,
        sample: Floats,
        n: float,
        names: tuple[str, ...],
        checkpoint: Checkpoint = nothing,
    ) -> tuple[dict[str, Value], dict[str, Table]]:
        """Return what is to be told of the estimate, and its matrices."""
        tables: dict[str, Table] = {}
        penalty = self.penalty
        if self.grid is None:
            found = solve(sample, penalty, self.rounds, self.tolerance, checkpoint=checkpoint)
        else:
            apart = sample - np.diag(sample.diagonal())
            penalties = self.grid.descending(float(np.abs(apart).max()))
            best = math.inf
            values, start = [], None
            for each in penalties.tolist():
                start = solve(sample, each, self.rounds, self.tolerance, start, checkpoint)
                values.append(self._criterion(sample, n, start))
                if values[-1] < best:
                    best, penalty, found = values[-1], each, start
            tables["ebic_vec"] = {"ebic_vec": np.array(values)}
            tables["lambda_vec"] = {"lambda_vec": penalties}
        matrices = {"cxx_est": found.covariance, "theta": found.precision, "B": found.columns}
        for name, matrix in matrices.items():
            tables[name] = as_table(names, matrix)
        info: dict[str, Value] = {
            "lambda": penalty,
            "edges": found.edges,
            "converged": found.converged,
        }
        return info, tables

    def _criterion(self, sample: Floats, n: float, found: Graph) -> float:
        e, p = found.edges, len(sample)
        log_determinant = float(np.linalg.slogdet(found.precision)[1])
        misfit = float((sample * found.precision).sum()) - log_determinant
        return n * misfit + e * math.log(n) + 4 * self.gamma * e * math.log(p)


def solve(
    sample: Floats,
    penalty: float,
    rounds: int,
    tolerance: float,
    start: Graph | None = None,
    checkpoint: Checkpoint = nothing,
) -> Graph:
    """Return the maximum.

    Args:
        sample: (p, p) covariances S, with a positive diagonal.
        penalty: of the entries off the diagonal.
        rounds: over the columns, at most.
        tolerance: stop where no entry of the estimate changes by this share of the largest.
        start: a solution for another penalty.
        checkpoint: called before each column.

    Raises:
        FitFailed: the penalty is too small for a singular S.
    """
    p = len(sample)
    # A little less than S off the diagonal: positive definite also where S is singular.
    estimate = sample * _SHRUNK
    np.fill_diagonal(estimate, sample.diagonal())
    columns = np.zeros((p, p))
    if start is not None:
        estimate, columns = start.covariance.copy(), start.columns.copy()
    unit = float(sample.diagonal().max())
    limit = min(tolerance, FINE) * unit
    converged = False
    for _ in range(rounds):
        change = 0.0
        for j in range(p):
            checkpoint()
            others = np.arange(p) != j
            gram = estimate[np.ix_(others, others)]
            found = descend(
                gram,
                sample[others, j],
                penalty,
                1.0,
                start=columns[others, j],
                unit=math.sqrt(float(sample[j, j])),
            ).coefficients
            covariances = gram @ found
            change = max(change, float(np.abs(covariances - estimate[others, j]).max(initial=0.0)))
            columns[others, j] = found
            estimate[others, j] = covariances
            estimate[j, others] = covariances
        if change <= limit:
            converged = True
            break
    return Graph(estimate, _precision(sample, estimate, columns, penalty), columns, converged)


def as_table(names: tuple[str, ...], matrix: Floats) -> Table:
    """Return a matrix (p, p) with the attributes' names on both sides."""
    columns = {name: column.copy() for name, column in zip(names, matrix.T, strict=True)}
    return {"attribute": names, **columns}


def _precision(sample: Floats, estimate: Floats, columns: Floats, penalty: float) -> Floats:
    left = sample.diagonal() - np.einsum("ij,ij->j", estimate, columns)
    if (left <= _ZERO * sample.diagonal()).any():
        raise FitFailed(
            f"the covariances are singular and lambda {penalty:g} is too small to mend that: give a"
            " larger one, or learn more rows"
        )
    found: Floats = -columns / left
    np.fill_diagonal(found, 1 / left)
    zero = (found == 0) | (found.T == 0)
    found = (found + found.T) / 2
    found[zero] = 0.0
    return found
