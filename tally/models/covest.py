"""`covest`: estimates of the covariances of many attributes from few rows. It predicts nothing."""

from __future__ import annotations

from dataclasses import dataclass

from tally.errors import FitFailed
from tally.models.base import Answers, Floats, Outcome, Problem, Value
from tally.models.covariances import Estimator
from tally.models.graph_lasso import GraphLasso, as_table
from tally.models.moments import sample
from tally.models.parameters import Parameters


@dataclass(frozen=True, slots=True)
class Nothing:
    """The rule of models that do not predict."""

    keys: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    scores: tuple[str, ...] = ()

    def answer(self, x: Floats) -> dict[str, Answers]:
        """Answer nothing."""
        del x
        return {}


@dataclass(frozen=True, slots=True)
class Covest:
    """Options of `covest`.

    Attributes:
        estimator: one that has a formula; None for `graph`.
        graph: the graphical lasso.
        ddof: subtracted from the rows that covariances are divided by.
    """

    estimator: Estimator | None
    graph: GraphLasso | None
    ddof: int

    @classmethod
    def read(cls, parameters: Parameters) -> Covest:
        """Return the options in these parameters."""
        estimator = Estimator.read(parameters)
        graph = GraphLasso.read(parameters) if estimator is None else None
        return cls(estimator, graph, parameters.whole("ddof", 0, 0, 1))

    def fit(self, problem: Problem) -> Outcome:
        """Estimate the covariances."""
        found = sample(problem.statistics.summary, problem.inputs)
        n, names = found.n, found.names
        if n <= self.ddof + 1:
            raise FitFailed(f"{n:g} rows are too few: learn at least {self.ddof + 2}")
        covariance = found.covariance * (n / (n - self.ddof))
        if self.estimator is None:
            assert self.graph is not None, "one of the two is asked for"
            for name, varies in zip(names, found.varies, strict=True):
                if not varies:
                    raise FitFailed(f"attribute [{name}] is constant: leave it out")
            told, tables = self.graph.estimate(covariance, n, names, problem.checkpoint)
            return Outcome(Nothing(), n, {**told, "rows": n}, tables)
        info: dict[str, Value] = {"rows": n}
        if self.estimator.kind == "l2_reg_sig":
            info["alpha"] = self.estimator.share(covariance, n)
        estimate = self.estimator.estimate(covariance, n)
        return Outcome(Nothing(), n, info, {"cxx_est": as_table(names, estimate)})
