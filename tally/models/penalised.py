"""`ridge`, `lasso`, `elasticnet`: least squares that shrink, and select, coefficients.

Minimise |y - b0 - Xb|^2/(2n) + lambda [(1 - eta)/2 |b|^2 + eta |b|_1]; the intercept is free. With
`standardize`, the penalty is on coefficients of inputs divided by their standard deviations.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tally.errors import FitFailed, InvalidInput
from tally.models.base import Checkpoint, Floats, Outcome, Problem, Table, Value
from tally.models.descent import descend, effective_parameters
from tally.models.linalg import solver
from tally.models.linear import (
    INTERCEPT,
    Regression,
    as_rule,
    coefficient_table,
    described,
    quality,
    regression,
)
from tally.models.parameters import Parameters
from tally.models.penalties import Grid, Point, aicc, as_path, as_table, best, search


@dataclass(frozen=True, slots=True)
class Penalised:
    """Options of the three.

    Attributes:
        penalty, mix: `lambda` and `eta`.
        grid: of penalties, searched by AICc in place of those; None if they count.
        mixes: (k,) searched with it.
        standardize: penalise standardised coefficients.
        debias: fit those that are not 0 again without a penalty.
        sweeps, tolerance: of the descent.
        alpha: intervals miss with this probability.
        clip: negative predictions become 0.
        given: all parameters: those named after an input are where its coefficient begins.
    """

    penalty: float
    mix: float
    grid: Grid | None
    mixes: tuple[float, ...]
    standardize: bool
    debias: bool
    sweeps: int
    tolerance: float
    alpha: float
    clip: bool
    given: Mapping[str, str]

    fixed: ClassVar[float | None] = None
    """The mix of a family that has no choice."""

    @classmethod
    def read(cls, parameters: Parameters) -> Penalised:
        """Return the options in these parameters."""
        # `alpha` is the penalty of a ridge elsewhere.
        ridge = cls.fixed == 0 and parameters.has("alpha") and not parameters.has("lambda")
        penalty = parameters.number("alpha" if ridge else "lambda", 0.01, low=0.0)
        mix = parameters.number("eta", 0.5, 0.0, 1.0) if cls.fixed is None else cls.fixed
        parameters.flag("centerY")  # moves the intercept, which is free anyway
        searched = parameters.flag("aicc")
        return cls(
            penalty,
            mix,
            Grid.read(parameters) if searched else None,
            cls._mixes(parameters) if searched else (mix,),
            parameters.flag("standardize", True),
            parameters.flag("debias"),
            parameters.whole("maxiter", 1000, 1, 1_000_000),
            parameters.number("tolerance", 1e-5, low=0.0, high=1.0),
            0.05 if ridge else parameters.number("alpha", 0.05, low=1e-12, high=1.0),
            parameters.flag("clip_negative_predictions"),
            parameters.given,
        )

    @classmethod
    def _mixes(cls, parameters: Parameters) -> tuple[float, ...]:
        if cls.fixed is not None:
            return (cls.fixed,)
        low = parameters.number("min_eta", 0.0, 0.0, 1.0)
        high = parameters.number("max_eta", 1.0, 0.0, 1.0)
        if high < low:
            raise InvalidInput("max_eta", f"{high:g} is below min_eta {low:g}")
        count = parameters.whole("num_eta", 11, 1, 1000)
        return tuple(np.linspace(low, high, count).tolist())

    def fit(self, problem: Problem) -> Outcome:
        """Fit with one pair of penalties, or with those that AICc prefers."""
        given = regression(problem)
        if given.n < 2:
            raise FitFailed("one row is too few: learn at least 2")
        scaled = _Scaled.of(given, self.standardize, problem.checkpoint)
        tables: dict[str, Table] = {}
        info: dict[str, Value] = {}
        if self.grid is None:
            start = self._start(scaled, given.inputs.names)
            b, done = self._solve(scaled, self.penalty, self.mix, start)
            chosen = Point(self.penalty, self.mix, b, math.nan, int(np.count_nonzero(b)))
            info["converged"] = done
            if not done:
                info["warning"] = (
                    f"the descent did not come to its end in {self.sweeps} sweeps: "
                    "raise maxiter or lambda"
                )
        else:
            points = self._searched(scaled, self.grid)
            chosen = best(points)
            tables["aicc_path"] = as_table(points)
            tables |= as_path(points, chosen.mix, given.inputs.names)
            info["aicc_value"] = chosen.criterion
        problem.checkpoint()
        b, ridge = chosen.coefficients, chosen.penalty * (1 - chosen.mix)
        if self.debias:
            b, ridge = scaled.refitted(b), 0.0
        rule = as_rule(given, b / scaled.scale, self.clip)
        k = 1 + effective_parameters(scaled.gram, b, ridge)
        sse = scaled.squared_errors(b)
        problem.checkpoint()
        info |= {
            **described(rule),
            **quality(given.n, sse, given.variance, k),
            "lambda": chosen.penalty,
            "eta": chosen.mix,
            "nonzero": chosen.used,
            "effective_parameters": k,
        }
        tables["coefficients"] = coefficient_table(
            (*given.inputs.names, INTERCEPT),
            np.append(rule.coefficients, rule.intercept),
            _standard_errors(scaled, b, ridge, sse, k),
            given.n - k,
            self.alpha,
        )
        constant = {
            name: "constant"
            for name, varies in zip(given.inputs.names, given.inputs.varies, strict=True)
            if not varies
        }
        return Outcome(rule, given.n, info, tables, constant)

    def _solve(
        self, scaled: _Scaled, penalty: float, mix: float, start: Floats | None
    ) -> tuple[Floats, bool]:
        if mix == 0:
            return scaled.ridge(penalty), True
        found = descend(
            scaled.gram,
            scaled.cross,
            penalty,
            mix,
            start=start,
            sweeps=self.sweeps,
            tolerance=min(self.tolerance, 1e-10),
            unit=math.sqrt(scaled.given.variance),
            checkpoint=scaled.checkpoint,
        )
        return found.coefficients, found.converged

    def _searched(self, scaled: _Scaled, grid: Grid) -> list[Point]:
        n = scaled.given.n
        values, vectors = np.linalg.eigh(scaled.gram)
        values = np.maximum(values, 0.0)
        turned = vectors.T @ scaled.cross

        def solve(penalty: float, mix: float, start: Floats | None) -> Floats:
            scaled.checkpoint()
            if mix == 0:  # all penalties share one decomposition
                shrunk: Floats = vectors @ (turned / (values + penalty))
                return shrunk
            return self._solve(scaled, penalty, mix, start)[0]

        def criterion(penalty: float, mix: float, b: Floats) -> float:
            ridge = penalty * (1 - mix)
            k = 1 + effective_parameters(scaled.gram, b, ridge)
            return aicc(n, scaled.squared_errors(b), k)

        largest = float(np.abs(scaled.cross).max())
        return search(grid.descending(largest), np.array(self.mixes), solve, criterion)

    def _start(self, scaled: _Scaled, names: tuple[str, ...]) -> Floats | None:
        first = {name: self.given[name] for name in names if name in self.given}
        if not first:
            return None
        read = Parameters(first)
        weights = [read.number(name, 0.0) if name in first else 0.0 for name in names]
        return np.array(weights) * scaled.scale


class Ridge(Penalised):
    """Options of `ridge`."""

    __slots__ = ()
    fixed = 0.0


class Lasso(Penalised):
    """Options of `lasso`."""

    __slots__ = ()
    fixed = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class _Scaled:
    """The moments as they are penalised.

    Attributes:
        given: in the units of the attributes.
        scale: (p,) by which inputs are divided.
        gram: (p, p) their covariances then.
        cross: (p,) their covariances with the target.
        checkpoint: of the fit.
    """

    given: Regression
    scale: Floats
    gram: Floats
    cross: Floats
    checkpoint: Checkpoint

    @classmethod
    def of(cls, given: Regression, standardize: bool, checkpoint: Checkpoint) -> _Scaled:
        inputs = given.inputs
        if standardize:
            gram, cross = inputs.correlation, given.cross / inputs.scale
            return cls(given, inputs.scale, gram, cross, checkpoint)
        ones = np.ones(len(inputs.scale))
        return cls(given, ones, inputs.covariance, given.cross, checkpoint)

    def ridge(self, penalty: float) -> Floats:
        matrix = self.gram + penalty * np.eye(len(self.gram))
        return solver(matrix, self.given.inputs.names).solve(self.cross)

    def refitted(self, b: Floats) -> Floats:
        used = np.flatnonzero(b)
        found = np.zeros_like(b)
        if len(used):
            names = [self.given.inputs.names[k] for k in used]
            found[used] = solver(self.gram[np.ix_(used, used)], names).solve(self.cross[used])
        return found

    def squared_errors(self, b: Floats) -> float:
        fitted = float(2 * b @ self.cross - b @ self.gram @ b)
        return max(0.0, self.given.n * (self.given.variance - fitted))


def _standard_errors(scaled: _Scaled, b: Floats, ridge: float, sse: float, k: float) -> Floats:
    """Return standard errors in the units of the attributes, that of the intercept last (p + 1,).

    They are those of a ridge on the coefficients that are not 0, as if those had been chosen
    beforehand; NaN for the others.
    """
    n, used = scaled.given.n, np.flatnonzero(b)
    found = np.full(len(b) + 1, math.nan)
    if n - k <= 0:
        return found
    sigma2 = sse / (n - k)
    gram = scaled.gram[np.ix_(used, used)]
    inverse = np.linalg.pinv(gram + ridge * np.eye(len(used)), hermitian=True)
    scale = scaled.scale[used]
    variances = sigma2 / n * (inverse @ gram @ inverse) / np.outer(scale, scale)
    found[used] = np.sqrt(np.maximum(variances.diagonal(), 0.0))
    m = scaled.given.inputs.mean[used]
    found[-1] = math.sqrt(sigma2 / n + max(0.0, float(m @ variances @ m)))
    return found
