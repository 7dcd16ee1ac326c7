"""`mqda`: quadratic discriminants of classes that each have a covariance of their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tally.errors import FitFailed
from tally.models.base import Answers, Floats, Outcome, Problem, Value
from tally.models.classes import parts
from tally.models.linalg import Solving, solver
from tally.models.linear import too_few
from tally.models.parameters import Parameters


@dataclass(frozen=True, slots=True, eq=False)
class Quadratics:
    """A row is of the class whose discriminant is largest.

    Attributes:
        labels: of the k classes.
        means: (k, p).
        whitening: (k, p, p) F with F'F the inverse of the class's covariance.
        levels: (k,) the discriminant at the mean of the class.
    """

    labels: tuple[str, ...]
    means: Floats
    whitening: Floats
    levels: Floats

    @property
    def keys(self) -> tuple[str, ...]:
        """`res` and the classes."""
        return ("res", *self.labels)

    @property
    def shown(self) -> tuple[str, ...]:
        """The same."""
        return self.keys

    @property
    def scores(self) -> tuple[str, ...]:
        """The classes."""
        return self.labels

    def answer(self, x: Floats) -> dict[str, Answers]:
        """Answer rows (n, p)."""
        found = np.empty((len(self.labels), len(x)))
        for k in range(len(self.labels)):
            white = np.einsum("np,qp->nq", x - self.means[k], self.whitening[k])
            found[k] = self.levels[k] - np.einsum("nq,nq->n", white, white) / 2
        best = found.argmax(axis=0)
        answers: dict[str, Answers] = {"res": tuple(self.labels[k] for k in best)}
        return answers | dict(zip(self.labels, found, strict=True))


@dataclass(frozen=True, slots=True)
class Mqda:
    """Options of `mqda`.

    Attributes:
        solving: how singular inputs are met.
    """

    solving: Solving

    @classmethod
    def read(cls, parameters: Parameters) -> Mqda:
        """Return the options in these parameters."""
        return cls(Solving.read(parameters))

    def fit(self, problem: Problem) -> Outcome:
        """Fit the discriminants."""
        found = parts(problem)
        n, p = sum(one.n for one in found.values()), len(problem.inputs)
        whitening, levels = [], []
        for label, one in found.items():
            problem.checkpoint()
            needed = 2 if self.solving.pseudo else p + 1
            if one.n < needed:
                raise FitFailed(f"class [{label}]: {too_few(one.n, needed, p)}")
            spread = one.covariance * (one.n / (one.n - 1))
            where = f" within class [{label}]"
            # What does not vary within a class at all is 0 against any variance.
            solved = solver(spread, one.names, self.solving, where=where)
            square = np.zeros((p, p))  # ranks may differ between classes
            square[: solved.rank] = solved.whitening()
            whitening.append(square)
            levels.append(np.log(one.n / n) - solved.log_determinant / 2)
        rule = Quadratics(
            tuple(found),
            np.array([one.mean for one in found.values()]),
            np.array(whitening),
            np.array(levels),
        )
        info: dict[str, Value] = {"model": ",".join(found), "rows": n}
        means = {label: one.mean for label, one in found.items()}
        return Outcome(rule, n, info, {"means": {"attribute": problem.names, **means}})
