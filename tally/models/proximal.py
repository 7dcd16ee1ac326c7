"""`lsvr` and `lsvm`: proximal support vector machines, one linear system each.

Both minimise nu/2 |Xw - gamma e - d|^2 + (|w|^2 + gamma^2)/2, with d the target, or 1 and -1 for
its classes. Solving the second row of the system for gamma leaves one in w alone, made of
centred sums: with k = n/(1 + n nu), (I/nu + nC + k mm') w = nc + k m d̄, gamma = n nu (m'w - d̄)/
(1 + n nu). The raw sums of the textbook form would lose the digits of an offset.

Source: Fung, Mangasarian 2001, doi:10.1145/502512.502527.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tally.models.base import Answers, Floats, Outcome, Problem, Table, Value
from tally.models.linalg import solver
from tally.models.linear import Linear, Regression, regression, weighted
from tally.models.parameters import Parameters


@dataclass(frozen=True, slots=True, eq=False)
class Margin:
    """A row is of class 1 where w x - gamma is above 0.

    Attributes:
        weights: (p,) w.
        center: (p,) means of the inputs.
        level: w x - gamma there.
    """

    weights: Floats
    center: Floats
    level: float

    keys = ("res", "resZ")
    shown = ("res", "resZ")
    scores = ("resZ",)

    def answer(self, x: Floats) -> dict[str, Answers]:
        """Answer rows (n, p)."""
        found = self.level + weighted(x - self.center, self.weights)
        return {"res": (found > 0).astype(np.int64), "resZ": found}


@dataclass(frozen=True, slots=True)
class Proximal:
    """Options of both.

    Attributes:
        nu: the weight of errors against that of large coefficients.
        clip: negative predictions become 0; of `lsvr` only.
    """

    nu: float
    clip: bool

    classes: ClassVar[bool] = False

    @classmethod
    def read(cls, parameters: Parameters) -> Proximal:
        """Return the options in these parameters."""
        nu = parameters.number("sml_model_svm_nu", 1.0, low=1e-12, high=1e12)
        return cls(nu, not cls.classes and parameters.flag("clip_negative_predictions"))

    def fit(self, problem: Problem) -> Outcome:
        """Solve the system."""
        given = regression(problem)
        mean, cross = given.mean, given.cross
        if self.classes:  # 2t - 1
            mean, cross = 2 * mean - 1, 2 * cross
        weights, gamma, level = _solved(given, mean, cross, self.nu)
        center = given.inputs.mean
        info: dict[str, Value] = {
            "svmNu": self.nu,
            "svmGamma": gamma,
            "svmOmegas": ",".join(repr(float(w)) for w in weights),
            "rows": given.n,
        }
        table: Table = {"attribute": given.inputs.names, "coefficient": weights}
        if self.classes:
            return Outcome(Margin(weights, center, level), given.n, info, {"coefficients": table})
        rule = Linear(weights, center, level, self.clip)
        return Outcome(rule, given.n, info, {"coefficients": table})


class Lsvr(Proximal):
    """Options of `lsvr`."""

    __slots__ = ()


class Lsvm(Proximal):
    """Options of `lsvm`."""

    __slots__ = ()
    classes = True


def _solved(
    given: Regression, mean: float, cross: Floats, nu: float
) -> tuple[Floats, float, float]:
    """Return w (p,), gamma, and w x - gamma at the means."""
    n, m = given.n, given.inputs.mean
    p, share = len(m), n / (1 + n * nu)
    matrix = n * given.inputs.covariance + share * np.outer(m, m) + np.eye(p) / nu
    weights = solver(matrix, given.inputs.names).solve(n * cross + share * m * mean)
    projected = float(m @ weights)
    gamma = n * nu * (projected - mean) / (1 + n * nu)
    # m'w - gamma, in which almost all of both cancels.
    level = (projected + n * nu * mean) / (1 + n * nu)
    return weights, gamma, level
