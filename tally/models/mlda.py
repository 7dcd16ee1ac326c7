"""`mlda`: linear discriminants of several classes that share one covariance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tally.errors import FitFailed
from tally.models.base import Answers, Floats, Outcome, Problem, Value
from tally.models.classes import classes
from tally.models.linalg import Solving, conditioning, solver
from tally.models.linear import too_few, weighted
from tally.models.parameters import Parameters


@dataclass(frozen=True, slots=True, eq=False)
class Linears:
    """A row is of the class whose linear discriminant is largest.

    Attributes:
        labels: of the k classes.
        weights: (k, p) of what tells the classes apart.
        levels: (k,) of it at the center.
        shared: (p,) weights of what all discriminants have in common.
        base: of that, at the center.
        center: (p,) the mean of all rows.
    """

    labels: tuple[str, ...]
    weights: Floats
    levels: Floats
    shared: Floats
    base: float
    center: Floats

    @property
    def keys(self) -> tuple[str, ...]:
        """`res`, the classes, and the largest discriminant."""
        return ("res", *self.labels, "resZ")

    @property
    def shown(self) -> tuple[str, ...]:
        """`res` and the classes."""
        return ("res", *self.labels)

    @property
    def scores(self) -> tuple[str, ...]:
        """The classes."""
        return self.labels

    def answer(self, x: Floats) -> dict[str, Answers]:
        """Answer rows (n, p)."""
        offsets = x - self.center
        apart = self.levels[:, None] + np.einsum("np,kp->kn", offsets, self.weights)
        common = self.base + weighted(offsets, self.shared)
        best = apart.argmax(axis=0)
        found: dict[str, Answers] = {"res": tuple(self.labels[k] for k in best)}
        found |= {name: row + common for name, row in zip(self.labels, apart, strict=True)}
        found["resZ"] = apart.max(axis=0, initial=-math.inf) + common
        return found


@dataclass(frozen=True, slots=True)
class Mlda:
    """Options of `mlda`.

    Attributes:
        solving: how singular inputs are met.
    """

    solving: Solving

    @classmethod
    def read(cls, parameters: Parameters) -> Mlda:
        """Return the options in these parameters."""
        return cls(Solving.read(parameters))

    def fit(self, problem: Problem) -> Outcome:
        """Fit the discriminants."""
        found = classes(problem)
        n, k, p = found.n, len(found.labels), len(problem.inputs)
        needed = k + (1 if self.solving.pseudo else p)
        if n < needed:
            raise FitFailed(too_few(n, needed, p))
        within = solver(
            found.scatter / (n - k),
            problem.names,
            self.solving,
            found.total * n / (n - k),
            " within the classes",
        )
        differences = found.means - found.mean
        weights = within.solve(differences.T).T
        shared = within.solve(found.mean)
        levels = np.log(found.counts / n) - np.einsum("kp,kp->k", weights, differences) / 2
        base = float(shared @ found.mean) / 2
        rule = Linears(found.labels, weights, levels, shared, base, found.mean)
        columns = {name: row + shared for name, row in zip(found.labels, weights, strict=True)}
        info: dict[str, Value] = {
            "model": ",".join(found.labels),
            "rows": n,
            **conditioning(within),
        }
        tables = {"coefficients": {"attribute": problem.names, **columns}}
        return Outcome(rule, n, info, tables)
