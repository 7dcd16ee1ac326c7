"""The rule that all linear regressions predict by, and what they tell of their coefficients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tally.engine.explore.p_values import t_quantile, t_two_sided
from tally.errors import FitFailed
from tally.models.base import Answers, Floats, Problem, Table, Value
from tally.models.moments import Sample, sample

INTERCEPT = "intercept"


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """y = level + (x - center) b: about the means, an offset of 1e9 costs no digits.

    Attributes:
        coefficients: (p,) b.
        center: (p,) means of the inputs.
        level: the prediction there.
        clip: whether negative predictions become 0.
    """

    coefficients: Floats
    center: Floats
    level: float
    clip: bool = False

    keys = ("res",)
    shown = ("res",)
    scores = ("res",)

    @property
    def intercept(self) -> float:
        """The prediction where all inputs are 0."""
        return self.level - math.fsum(self.coefficients * self.center)

    def answer(self, x: Floats) -> dict[str, Answers]:
        """Answer rows (n, p)."""
        found = self.level + weighted(x - self.center, self.coefficients)
        return {"res": np.maximum(found, 0.0) if self.clip else found}


@dataclass(frozen=True, slots=True, eq=False)
class Regression:
    """The moments of a regression.

    Attributes:
        inputs: moments of the inputs.
        target: name of the target.
        cross: (p,) covariances of inputs and target.
        mean, variance: of the target.
    """

    inputs: Sample
    target: str
    cross: Floats
    mean: float
    variance: float

    @property
    def n(self) -> float:
        """Rows."""
        return self.inputs.n


def regression(problem: Problem) -> Regression:
    """Return the moments of a problem with one target; not to be written to, fits share them.

    Raises:
        FitFailed: the target is constant, or two attributes have no row in common.
    """
    return problem.shared(_regression)


def _regression(problem: Problem) -> Regression:
    both = sample(problem.statistics.summary, (*problem.inputs, problem.targets[0]))
    p = len(problem.inputs)
    if not both.varies[p]:
        raise FitFailed(constant_target(problem.target, both.mean[p], both.n))
    return Regression(
        both.of(range(p)),
        problem.target,
        both.covariance[:p, p],
        float(both.mean[p]),
        float(both.covariance[p, p]),
    )


def constant_target(name: str, value: float, n: float) -> str:
    """Return the refusal of a target without variance."""
    return (
        f"target [{name}] is {value:g} in all {n:g} rows: learn rows in which it differs, or choose"
        " another target"
    )


def too_few(n: float, needed: int, p: int) -> str:
    """Return the refusal of too few rows."""
    return (
        f"{n:g} rows are too few for {p} inputs, {needed} are needed: learn more rows, choose fewer"
        " inputs, or a family that shrinks, such as ridge"
    )


def weighted(x: Floats, weights: Floats) -> Floats:
    """Return x w (n,), each row the same to the last bit whatever rows are beside it."""
    found: Floats = np.einsum("np,p->n", x, weights)
    return found


def coefficient_table(
    names: Sequence[str], values: Floats, errors: Floats, df: float, alpha: float
) -> Table:
    """Return the table of coefficients, with what is known of each.

    Args:
        names: of the coefficients.
        values: (k,).
        errors: (k,) standard errors; NaN where there is none.
        df: degrees of freedom of their t.
        alpha: the intervals miss with this probability.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = values / errors
    half = t_quantile(1 - alpha / 2, df) * errors
    return {
        "attribute": tuple(names),
        "coefficient": values,
        "std.error": errors,
        "scores": scores,
        "p.values": np.array([t_two_sided(float(t), df) for t in scores]),
        "ci.low": values - half,
        "ci.high": values + half,
    }


def quality(n: float, sse: float, variance: float, parameters: float) -> dict[str, Value]:
    """Return how well a regression fits the rows that it was made from.

    Args:
        n: rows.
        sse: sum of squared errors.
        variance: of the target, divided by n.
        parameters: coefficients with the intercept, or effective degrees of freedom.
    """
    mse = sse / n
    likelihood = math.nan if mse <= 0 else -n / 2 * (math.log(2 * math.pi * mse) + 1)
    return {
        "rows": n,
        "sse": sse,
        "rmse": math.sqrt(mse),
        "r2": 1 - mse / variance,
        "aic": 2 * parameters - 2 * likelihood,
    }


def squared_errors(problem: Regression, coefficients: Floats) -> float:
    """Return the sum of squared errors of any coefficients, at least 0."""
    inputs = problem.inputs
    z = np.where(inputs.varies, coefficients * inputs.scale, 0.0)
    fitted = 2 * z @ (problem.cross / inputs.scale) - z @ inputs.correlation @ z
    return max(0.0, problem.n * (problem.variance - float(fitted)))


def as_rule(problem: Regression, coefficients: Floats, clip: bool) -> Linear:
    """Return the rule with these coefficients, which goes through the means."""
    return Linear(coefficients, problem.inputs.mean, problem.mean, clip)


def described(rule: Linear) -> dict[str, Value]:
    """Return the coefficients as the information that every regression has."""
    return {
        "model": ",".join(repr(float(b)) for b in rule.coefficients),
        "model_bias": rule.intercept,
    }
