"""Means and scatters of classes, from binary targets or from the partitions of a project."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tally.engine.summary import Summary
from tally.errors import FitFailed
from tally.models.base import Floats, Problem
from tally.models.moments import Sample, sample

RESERVED = ("res", "resZ", "Prob", "prob1")
"""Keys of answers, which no class may be called."""

_APART = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Classes:
    """What discriminants of several classes need.

    Attributes:
        labels: of the k classes.
        counts: (k,) rows of each.
        means: (k, p).
        mean: (p,) of all rows.
        scatter: (p, p) of the rows about the means of their classes, not divided.
        total: (p,) variances of all rows.
    """

    labels: tuple[str, ...]
    counts: Floats
    means: Floats
    mean: Floats
    scatter: Floats
    total: Floats

    @property
    def n(self) -> float:
        """Rows."""
        return float(self.counts.sum())


def classes(problem: Problem) -> Classes:
    """Return the classes of a problem: those of its targets, or else its partitions.

    Raises:
        FitFailed: there are fewer than two, or the targets leave rows out or overlap.
    """
    return _of_targets(problem) if problem.targets else _of_partitions(problem)


def parts(problem: Problem) -> dict[str, Sample]:
    """Return the moments of the inputs in each partition that has rows, in order of its value.

    Raises:
        FitFailed: there are fewer than two, or one lacks an input.
    """
    found = {}
    for value, summary in present(problem).items():
        found[value] = sample(summary, places(summary, problem.names, value))
    return found


def present(problem: Problem) -> dict[str, Summary]:
    """Return the partitions that have rows, in order of their values.

    Raises:
        FitFailed: there are fewer than two.
    """
    partitions = problem.statistics.partitions
    found = {v: s for v, s in sorted(partitions.items()) if s.counts().any()}
    if len(found) < 2:
        column = problem.statistics.partition_column
        raise FitFailed(
            f"the partition column [{column}] has {len(found)} values with rows, 2 are needed:"
            " learn rows of another class"
        )
    check_labels(tuple(found))
    return found


def places(summary: Summary, names: tuple[str, ...], label: str) -> list[int]:
    """Return where these attributes stand in a partition.

    Raises:
        FitFailed: it has never seen one of them.
    """
    for name in names:
        if name not in summary.schema.index:
            raise FitFailed(
                f"class [{label}] has no value of attribute [{name}]: learn rows of it that have"
                " one, or leave the attribute out"
            )
    return [summary.schema.index[name] for name in names]


def check_labels(labels: tuple[str, ...]) -> None:
    """Refuse classes whose names are keys of the answers.

    Raises:
        FitFailed: one is.
    """
    for label in labels:
        if label in RESERVED:
            raise FitFailed(f"class [{label}] is called like a key of the answer: rename it")


def label(problem: Problem, target: int) -> str:
    """Return what the class of a binary target is called: its category's value, or its name."""
    schema = problem.statistics.summary.schema
    base, name = schema.bases[target], schema.names[target]
    return name if base is None else name[len(base) + 1 :]


def check_targets(problem: Problem) -> tuple[str, ...]:
    """Return what the classes of several binary targets are called.

    Raises:
        FitFailed: a class has no rows or all, rows are of no class or of several.
    """
    found = sample(problem.statistics.summary, problem.targets)
    labels = tuple(label(problem, i) for i in problem.targets)
    check_labels(labels)
    shares = found.mean
    for name, share in zip(labels, shares, strict=True):
        if not 0 < share < 1:
            raise FitFailed(
                f"class [{name}] has {share:.0%} of the rows: learn rows of it and of others, or"
                " leave it out of the targets"
            )
    if abs(float(shares.sum()) - 1) > _APART:
        raise FitFailed(
            f"the targets {list(labels)} add up to {shares.sum():.6g} in the mean row, not to 1:"
            " each row must be of one class; add the target that is missing"
        )
    overlap = found.covariance + np.outer(shares, shares)
    np.fill_diagonal(overlap, 0.0)
    if np.abs(overlap).max() > _APART:
        raise FitFailed(f"the targets {list(labels)} overlap: each row must be of one class")
    return labels


def _of_targets(problem: Problem) -> Classes:
    p = len(problem.inputs)
    both = sample(problem.statistics.summary, (*problem.inputs, *problem.targets))
    labels = check_targets(problem)
    shares, cross = both.mean[p:], both.covariance[:p, p:]
    means = both.mean[:p] + (cross / shares).T
    scatter = both.n * (both.covariance[:p, :p] - (cross / shares) @ cross.T)
    total = both.covariance.diagonal()[:p].copy()
    return Classes(labels, both.n * shares, means, both.mean[:p], scatter, total)


def _of_partitions(problem: Problem) -> Classes:
    found = parts(problem)
    samples = list(found.values())
    counts = np.array([one.n for one in samples])
    means = np.array([one.mean for one in samples])
    n = float(counts.sum())
    offset = means[0]  # about which means that lie close together are averaged
    mean = offset + counts @ (means - offset) / n
    scatter = sum((one.n * one.covariance for one in samples), np.zeros((len(mean),) * 2))
    between = (counts[:, None] * (means - mean) ** 2).sum(axis=0)
    total = (scatter.diagonal() + between) / n
    return Classes(tuple(found), counts, means, mean, scatter, total)
