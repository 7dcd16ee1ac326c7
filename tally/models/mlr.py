"""`mlr`: ordinary least squares, with everything that is known of its coefficients.

Solved by Cholesky on the correlations: there, units and offsets of the attributes cost no digits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tally.errors import FitFailed
from tally.models.base import Floats, Outcome, Problem, Table, Value
from tally.models.linalg import EPSILON, Solving, conditioning, solver
from tally.models.linear import (
    INTERCEPT,
    Regression,
    as_rule,
    coefficient_table,
    described,
    quality,
    regression,
    squared_errors,
    too_few,
)
from tally.models.parameters import Parameters


@dataclass(frozen=True, slots=True)
class Mlr:
    """Options of `mlr`.

    Attributes:
        solving: how singular inputs are met.
        alpha: intervals miss with this probability.
        clip: negative predictions become 0.
    """

    solving: Solving
    alpha: float
    clip: bool

    @classmethod
    def read(cls, parameters: Parameters) -> Mlr:
        """Return the options in these parameters."""
        return cls(
            Solving.read(parameters),
            parameters.number("alpha", 0.05, low=1e-12, high=1.0),
            parameters.flag("clip_negative_predictions"),
        )

    def fit(self, problem: Problem) -> Outcome:
        """Fit by least squares."""
        given = regression(problem)
        inputs, n = given.inputs, given.n
        p = len(inputs.names)
        if n < p + 2 and not self.solving.pseudo:
            raise FitFailed(too_few(n, p + 2, p))
        problem.checkpoint()
        solved = solver(inputs.covariance, inputs.names, self.solving)
        problem.checkpoint()
        df = n - solved.rank - 1
        if df < 1:
            raise FitFailed(too_few(n, solved.rank + 2, solved.rank))
        coefficients = solved.solve(given.cross)
        rule = as_rule(given, coefficients, self.clip)
        sse = squared_errors(given, coefficients)
        inverse = solved.inverse()
        errors = _standard_errors(given, inverse, sse / df)
        rounding = _rounding(given, inverse, coefficients)
        info: dict[str, Value] = {
            **described(rule),
            **quality(n, sse, given.variance, solved.rank + 1),
            "sigma2": sse / df,
            "df": df,
            **conditioning(solved),
            "rank": solved.rank,
        }
        table: Table = coefficient_table(
            (*inputs.names, INTERCEPT),
            np.append(coefficients, rule.intercept),
            errors,
            df,
            self.alpha,
        )
        return Outcome(rule, n, info, {"coefficients": {**table, "rounding": rounding}})


def _standard_errors(given: Regression, inverse: Floats, sigma2: float) -> Floats:
    """Return the standard errors of the coefficients and of the intercept (p + 1,).

    Args:
        given: the moments.
        inverse: (p, p) of the inputs' covariances.
        sigma2: variance of the errors.
    """
    n, m = given.n, given.inputs.mean
    variances = inverse.diagonal() / n
    intercept = 1 / n + float(m @ inverse @ m) / n
    found: Floats = np.sqrt(sigma2 * np.maximum(np.append(variances, intercept), 0.0))
    return found


def _rounding(given: Regression, inverse: Floats, coefficients: Floats) -> Floats:
    """Return about how far rounding may have moved each coefficient, and the intercept (p + 1,).

    Sums carry errors of a last digit or so of what the attributes spread over; this is what
    becomes of them to first order.
    """
    inputs, spread = given.inputs, math.sqrt(given.variance)
    reach = np.abs(inverse) @ inputs.scale
    moved = EPSILON * reach * (spread + float(np.abs(coefficients) @ inputs.scale))
    last = EPSILON * abs(given.mean) + float(np.abs(inputs.mean) @ moved)
    found: Floats = np.append(moved, last)
    return found
