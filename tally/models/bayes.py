"""`bayes`: naive Bayes, with normal inputs where they are continuous and coins where binary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tally.engine.explore.samples import Sample
from tally.engine.rows import BINARY
from tally.engine.summary import Summary
from tally.errors import FitFailed
from tally.models.base import Answers, Floats, Outcome, Problem, Value
from tally.models.classes import check_targets, places, present
from tally.models.linear import constant_target
from tally.models.parameters import Parameters

FLOOR = 1e-12
"""The least variance within a class."""


@dataclass(frozen=True, slots=True, eq=False)
class Bayes:
    """A row is of the class of the largest posterior.

    Attributes:
        labels: of the k classes.
        single: whether they are 0 and 1 of one target, in that order.
        prior: (k,) logarithms.
        means, variances: (k, p) of the continuous inputs; 0 and 1 for binary ones.
        ones, zeros: (k, p) logarithms of the probabilities of a binary input to be 1 and 0; 0 for
            continuous ones.
        binary: (p,) 1 for binary inputs, 0 for others.
    """

    labels: tuple[str, ...]
    single: bool
    prior: Floats
    means: Floats
    variances: Floats
    ones: Floats
    zeros: Floats
    binary: Floats

    @property
    def keys(self) -> tuple[str, ...]:
        """The class, its posterior, and that of 1 if there is one target."""
        return ("res", "Prob", "prob1") if self.single else ("res", "Prob")

    @property
    def shown(self) -> tuple[str, ...]:
        """The same."""
        return self.keys

    @property
    def scores(self) -> tuple[str, ...]:
        """The posterior of 1, or of the class."""
        return ("prob1",) if self.single else ("Prob",)

    def answer(self, x: Floats) -> dict[str, Answers]:
        """Answer rows (n, p)."""
        likelihood = self._likelihood(x)
        posterior = _shares(likelihood)
        best = likelihood.argmax(axis=0)
        highest = posterior.max(axis=0)
        if self.single:
            return {"res": best.astype(np.int64), "Prob": highest, "prob1": posterior[1]}
        return {"res": tuple(self.labels[k] for k in best), "Prob": highest}

    def posterior(self, x: Floats) -> Floats:
        """Return the posterior of each class (k, n) for rows (n, p)."""
        return _shares(self._likelihood(x))

    def _likelihood(self, x: Floats) -> Floats:
        """Return the logarithm of prior and likelihood (k, n)."""
        likelihood = np.empty((len(self.labels), len(x)))
        continuous = 1 - self.binary
        for k in range(len(self.labels)):
            offsets = x - self.means[k]
            normal = offsets**2 / self.variances[k] + np.log(2 * np.pi * self.variances[k])
            coin = x * self.ones[k] + (1 - x) * self.zeros[k]
            each = np.where(continuous, -normal / 2, coin)
            likelihood[k] = self.prior[k] + each.sum(axis=1)
        return likelihood


@dataclass(frozen=True, slots=True)
class NaiveBayes:
    """Options of `bayes`.

    Attributes:
        laplace: rows added to each value of a binary input in each class.
    """

    laplace: float

    @classmethod
    def read(cls, parameters: Parameters) -> NaiveBayes:
        """Return the options in these parameters."""
        parameters.flag("use_log_likelihood", True)  # logarithms are summed either way
        return cls(parameters.number("laplace_factor", 1.0, low=0.0))

    def fit(self, problem: Problem) -> Outcome:
        """Take the moments of each input in each class."""
        found = _classes(problem)
        summary = problem.statistics.summary
        binary = np.array([summary.schema.types[i] == BINARY for i in problem.inputs])
        counts = np.array([[one.n for one in row] for row in found.values()])
        means = np.array([[one.mean for one in row] for row in found.values()])
        variances = np.array([[one.variance for one in row] for row in found.values()])
        ones = (means * counts + self.laplace) / (counts + 2 * self.laplace)
        ones = np.where(binary, ones, 0.5)
        with np.errstate(divide="ignore"):
            logs = np.log(ones), np.log1p(-ones)
        sizes = _sizes(problem, tuple(found))
        rule = Bayes(
            tuple(found),
            single=len(problem.targets) == 1,
            prior=np.log(sizes / sizes.sum()),
            means=np.where(binary, 0.0, means),
            variances=np.where(binary, 1.0, np.maximum(variances, FLOOR)),
            ones=np.where(binary, np.maximum(logs[0], _NEVER), 0.0),
            zeros=np.where(binary, np.maximum(logs[1], _NEVER), 0.0),
            binary=binary.astype(np.float64),
        )
        rows = float(counts.sum(axis=0).min())
        info: dict[str, Value] = {"model": ",".join(found), "rows": rows}
        names = problem.names
        tables = {
            "priors": {"class": tuple(found), "prior": sizes / sizes.sum()},
            "means": {"attribute": names, **dict(zip(found, means, strict=True))},
            "variances": {"attribute": names, **dict(zip(found, variances, strict=True))},
        }
        return Outcome(rule, rows, info, tables)


def _shares(likelihood: Floats) -> Floats:
    """Return what share of the sum each class has, without overflow."""
    found: Floats = np.exp(likelihood - likelihood.max(axis=0))
    found /= found.sum(axis=0)
    return found


_NEVER = -700.0
"""The logarithm of the least probability: 0 times infinity is no number."""


def _classes(problem: Problem) -> dict[str, list[Sample]]:
    """Return the inputs in each class."""
    summary, inputs, targets = problem.statistics.summary, problem.inputs, problem.targets
    if not targets:
        found = {}
        for value, part in present(problem).items():
            at = places(part, problem.names, value)
            found[value] = [Sample.of(part, i) for i in at]
    elif len(targets) == 1:
        _check_both(problem, summary)
        found = {
            str(value): [Sample.where(summary, i, targets[0], value) for i in inputs]
            for value in (0, 1)
        }
    else:
        labels = check_targets(problem)
        found = {
            name: [Sample.where(summary, i, target) for i in inputs]
            for name, target in zip(labels, targets, strict=True)
        }
    for label, samples in found.items():
        _check_rows(problem, label, samples)
    return found


def _check_rows(problem: Problem, label: str, samples: Sequence[Sample]) -> None:
    for name, one in zip(problem.names, samples, strict=True):
        if one.n <= 0:
            raise FitFailed(
                f"class [{label}] has no value of attribute [{name}]: learn rows of it that have"
                " one, or leave the attribute out"
            )


def _sizes(problem: Problem, labels: tuple[str, ...]) -> Floats:
    summary, targets = problem.statistics.summary, problem.targets
    if not targets:
        parts = present(problem)
        return np.array([float(parts[value].counts().max()) for value in labels])
    moments = [summary.moments(target) for target in targets]
    ones = [m.n * m.origin + m.s1 for m in moments]
    if len(targets) == 1:
        return np.array([moments[0].n - ones[0], ones[0]])
    return np.array(ones)


def _check_both(problem: Problem, summary: Summary) -> None:
    m = summary.moments(problem.targets[0])
    ones = m.s1 + m.n * m.origin
    if not 0 < ones < m.n:
        raise FitFailed(constant_target(problem.target, ones / m.n if m.n else 0.0, m.n))
