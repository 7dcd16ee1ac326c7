"""`lda`: the direction that tells the rows with a target of 1 from the others.

Everything comes from means and covariances of inputs and target: with c the covariances of the
inputs with the target and t its mean, the class means are m + c/t and m - c/(1 - t), and the
scatter within the classes is C - cc'/(t(1 - t)). That is defined for a target that is not 0 or 1,
too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tally.errors import FitFailed
from tally.models.base import Answers, Floats, Outcome, Problem, Table, Value
from tally.models.covariances import Estimator
from tally.models.linalg import Solver, Solving, conditioning, solver
from tally.models.linear import Regression, regression, too_few, weighted
from tally.models.parameters import Parameters


@dataclass(frozen=True, slots=True, eq=False)
class Discriminant:
    """A row is of class 1 where its projection lies above the point between the class means.

    Attributes:
        weights: (p,) the direction.
        center: (p,) the point between the class means.
        threshold: its projection, `z0`.
        unbalanced: what the projection must exceed it by if rare classes are to be rare; NaN
            where the target has no two classes.
        below: whether the mean of class 1 projects below the threshold.
    """

    weights: Floats
    center: Floats
    threshold: float
    unbalanced: float
    below: bool

    shown = ("resZ", "res", "normZ")
    scores = ("normZ",)

    @property
    def keys(self) -> tuple[str, ...]:
        """What each row is answered with."""
        keys = ("res", "normZ", "resZ", "z0", "z1LTz0", "z1GTz0", "resU")
        return keys[:-1] if math.isnan(self.unbalanced) else keys

    def answer(self, x: Floats) -> dict[str, Answers]:
        """Answer rows (n, p)."""
        above = weighted(x - self.center, self.weights)
        n = len(x)
        found: dict[str, Answers] = {
            "res": (above > 0).astype(np.int64),
            "normZ": sigmoid(above / (abs(self.threshold) or 1.0)),
            "resZ": above + self.threshold,
            "z0": np.full(n, self.threshold),
            "z1LTz0": (_truth(self.below),) * n,
            "z1GTz0": (_truth(not self.below),) * n,
        }
        if not math.isnan(self.unbalanced):
            found["resU"] = (above > self.unbalanced).astype(np.int64)
        return found


@dataclass(frozen=True, slots=True)
class Lda:
    """Options of `lda`.

    Attributes:
        solving: how singular inputs are met.
        estimator: of the scatter within the classes; None for its plain one.
    """

    solving: Solving
    estimator: Estimator | None

    @classmethod
    def read(cls, parameters: Parameters) -> Lda:
        """Return the options in these parameters."""
        estimator = Estimator.read(parameters, required=False, graph=False)
        return cls(Solving.read(parameters), estimator)

    def fit(self, problem: Problem) -> Outcome:
        """Fit the direction."""
        given = regression(problem)
        n, p, share = given.n, len(given.inputs.names), given.mean
        if share * (1 - share) == 0:
            raise FitFailed(
                f"target [{given.target}] has mean {share:g}: both classes must have rows"
            )
        if n < p + 2 and self.estimator is None and not self.solving.pseudo:
            raise FitFailed(too_few(n, p + 2, p))
        if n <= 2:
            raise FitFailed(too_few(n, 3, p))
        difference = given.cross / (share * (1 - share))
        within = self._within(given, difference)
        weights = within.solve(difference)
        rule = _rule(given, difference, weights)
        distance = math.sqrt(max(0.0, float(weights @ difference)))
        info: dict[str, Value] = {
            "model": ",".join(repr(float(w)) for w in weights),
            "distance": distance,
            "z0": rule.threshold,
            "z1LTz0": rule.below,
            "OverallContribution": distance,
            "z": _in_r(problem.inputs, weights),
            "rows": n,
            **conditioning(within),
        }
        table: Table = {"attribute": given.inputs.names, "coefficient": weights}
        return Outcome(rule, n, info, {"coefficients": table})

    def _within(self, given: Regression, difference: Floats) -> Solver:
        n = given.n
        scatter = given.inputs.covariance - np.outer(given.cross, difference)
        scatter *= n / (n - 2)
        names = given.inputs.names
        if self.estimator is not None:
            return self.estimator.solver(scatter, n, names, self.solving)
        variances = given.inputs.covariance.diagonal() * n / (n - 2)
        return solver(scatter, names, self.solving, variances, " within the classes")


def sigmoid(values: Floats) -> Floats:
    """Return 1/(1 + exp(-values)) without overflow."""
    small = np.exp(-np.abs(values))
    found: Floats = np.where(values >= 0, 1.0, small) / (1 + small)
    return found


def _rule(given: Regression, difference: Floats, weights: Floats) -> Discriminant:
    share = given.mean
    center = given.inputs.mean + difference * (0.5 - share)
    both = 0 < share < 1
    return Discriminant(
        weights,
        center,
        math.fsum(weights * center),
        math.log((1 - share) / share) if both else math.nan,
        below=bool(float(weights @ difference) < 0),
    )


def _in_r(indexes: tuple[int, ...], weights: Floats) -> str:
    """Return the direction as a line of R, in the order of the attributes' indexes."""
    values = [f"{weights[k]:.6g}" for k in np.argsort(np.array(indexes), kind="stable")]
    return f'"l0 <- c({" ,".join(values)} )\\n"'


def _truth(value: bool) -> str:
    return "true" if value else "false"
