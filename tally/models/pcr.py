"""`pcr`: regression on principal components of the inputs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tally.engine.explore.pca import decomposed
from tally.errors import FitFailed, InvalidInput
from tally.models.base import Checkpoint, Floats, Outcome, Problem, Table, Value
from tally.models.descent import descend
from tally.models.linalg import SINGULAR
from tally.models.linear import (
    INTERCEPT,
    Regression,
    as_rule,
    described,
    quality,
    regression,
    squared_errors,
)
from tally.models.parameters import Parameters
from tally.models.penalties import Grid, Point, aicc, best, search
from tally.models.sized import scaling, sized, tables


@dataclass(frozen=True, slots=True)
class Pcr:
    """Options of `pcr`.

    Attributes:
        q: components of `qfirst`; None for the `full` kind, in which a lasso selects among inputs
            and components alike.
        only: whether sizes below `q` are left out.
        penalty: of the lasso.
        grid: of penalties, searched by AICc; None if `penalty` counts.
        standardize: components of correlations, not of covariances.
        sweeps, tolerance: of the descent.
        clip: negative predictions become 0.
    """

    q: int | None
    only: bool
    penalty: float
    grid: Grid | None
    standardize: bool
    sweeps: int
    tolerance: float
    clip: bool

    @classmethod
    def read(cls, parameters: Parameters) -> Pcr:
        """Return the options in these parameters."""
        full = parameters.choice("pcr_type", "qfirst", ("qfirst", "full")) == "full"
        parameters.flag("centerY")  # moves the intercept, which is free anyway
        searched = full and parameters.flag("aicc")
        if not full and not parameters.has("q"):
            raise InvalidInput("q", "is missing: the number of components")
        return cls(
            None if full else parameters.whole("q", 1, 1, parameters.inputs),
            not full and parameters.flag("oneq"),
            parameters.number("lambda", 1.0, low=0.0) if full else 0.0,
            Grid.read(parameters, math.nan) if searched else None,
            parameters.flag("standardize", True),
            parameters.whole("maxiter", 1000, 1, 1_000_000),
            parameters.number("tolerance", 1e-5, low=0.0, high=1.0),
            parameters.flag("clip_negative_predictions"),
        )

    def fit(self, problem: Problem) -> Outcome:
        """Fit on components."""
        given = regression(problem)
        inputs = given.inputs
        scale = inputs.scale if self.standardize else np.ones(len(inputs.scale))
        gram = inputs.covariance / np.outer(scale, scale)
        values, vectors = decomposed(gram)
        problem.checkpoint()
        rank = int((values > SINGULAR * values[0]).sum()) if values[0] > 0 else 0
        if rank == 0:
            raise FitFailed("no input varies: learn rows in which they differ")
        if self.q is not None and self.q > rank:
            raise FitFailed(
                f"{self.q} components, but the inputs have only {rank}: choose a smaller q"
            )
        values, vectors = values[: self.q or rank], vectors[:, : self.q or rank]
        cross = given.cross / scale
        if self.q is not None:
            return self._first(given, scale, values, vectors, cross)
        return self._full(given, scale, gram, values, vectors, cross, problem.checkpoint)

    def _first(
        self, given: Regression, scale: Floats, values: Floats, vectors: Floats, cross: Floats
    ) -> Outcome:
        parts = (vectors.T @ cross / values)[:, None] * vectors.T
        every = np.cumsum(parts, axis=0) / scale
        used = every[-1:] if self.only else every
        rule = sized(given, used, len(every) - len(used) + 1, self.clip)
        sse = squared_errors(given, every[-1])
        info: dict[str, Value] = {
            **described(rule.largest),
            **quality(given.n, sse, given.variance, len(every) + 1),
            "muy": given.mean,
        }
        found = tables(given, rule) | self._components(given, vectors)
        return Outcome(rule, given.n, info, found)

    def _full(
        self,
        given: Regression,
        scale: Floats,
        gram: Floats,
        values: Floats,
        vectors: Floats,
        cross: Floats,
        checkpoint: Checkpoint,
    ) -> Outcome:
        p, roots = len(gram), np.sqrt(values)
        # Inputs beside their components, each scaled to a variance of 1.
        corner = vectors * roots
        whole = np.block([[gram, corner], [corner.T, np.eye(len(values))]])
        both = np.concatenate([cross, vectors.T @ cross / roots])

        def solve(penalty: float, mix: float, start: Floats | None) -> Floats:
            return descend(
                whole,
                both,
                penalty,
                mix,
                start=start,
                sweeps=self.sweeps,
                tolerance=min(self.tolerance, 1e-10),
                unit=math.sqrt(given.variance),
                checkpoint=checkpoint,
            ).coefficients

        def folded(b: Floats) -> Floats:
            mapped: Floats = (b[:p] + vectors @ (b[p:] / roots)) / scale
            return mapped

        def criterion(penalty: float, mix: float, b: Floats) -> float:
            del penalty, mix
            sse = squared_errors(given, folded(b))
            return aicc(given.n, sse, 1 + int(np.count_nonzero(b)))

        found: dict[str, Table] = self._components(given, vectors)
        if self.grid is None:
            b = solve(self.penalty, 1.0, None)
            chosen = Point(self.penalty, 1.0, b, math.nan, int(np.count_nonzero(b)))
        else:
            penalties = self.grid.descending(float(np.abs(both).max()))
            points = search(penalties, np.ones(1), solve, criterion)
            chosen = best(points)
            found["aicc_vec"] = {"aicc_vec": np.array([point.criterion for point in points])}
            found["lambda_vec"] = {"lambda_vec": penalties}
        rule = as_rule(given, folded(chosen.coefficients), self.clip)
        sse = squared_errors(given, rule.coefficients)
        found["model"] = {
            "attribute": (*given.inputs.names, INTERCEPT),
            "coefficient": np.append(rule.coefficients, rule.intercept),
        }
        found |= scaling(given)
        info: dict[str, Value] = {
            **described(rule),
            **quality(given.n, sse, given.variance, chosen.used + 1),
            "lambda": chosen.penalty,
            "nonzero": chosen.used,
            "muy": given.mean,
        }
        return Outcome(rule, given.n, info, found)

    def _components(self, given: Regression, vectors: Floats) -> dict[str, Table]:
        columns = {str(k + 1): column.copy() for k, column in enumerate(vectors.T)}
        name = "Wtilde" if self.standardize else "W"
        return {name: {"attribute": given.inputs.names, **columns}}
