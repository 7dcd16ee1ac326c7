"""How good a model's answers are: the table of metrics. A new one is a function and a line."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from tally.errors import InvalidInput
from tally.models.base import Floats

Column: TypeAlias = NDArray[Any]
"""One number or label for each row."""


class Task(Enum):
    """What a model is for; the value is what users write."""

    REGRESSION = "regression"
    BINARY = "binary_classification"
    MULTICLASS = "multiclass_classification"


@dataclass(frozen=True, slots=True)
class Metric:
    """One line of the table.

    Attributes:
        name: what users write.
        task: that it measures.
        measure: the truth of n rows, and a model's answers to them, into a number; NaN where it is
            not defined for these answers.
        rises: whether more is better.
        ranks: it wants what rows are ranked by, not what they are predicted to be.
    """

    name: str
    task: Task
    measure: Callable[[Column, Column], float]
    rises: bool = True
    ranks: bool = False

    def gain(self, value: float) -> float:
        """Return a value as more is better; minus infinity if it is not a number."""
        if math.isnan(value):
            return -math.inf
        return value if self.rises else -value


def auc(truth: Column, score: Column) -> float:
    """Return the chance that a row of class 1 scores above one of class 0; a tie counts half.

    Example:
        >>> auc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.4, 0.8]))
        0.875

    Source: Mann, Whitney 1947, doi:10.1214/aoms/1177730491.
    """
    ones = truth == 1
    positives, negatives = int(ones.sum()), int((~ones).sum())
    if not np.isfinite(score).all():
        return math.nan
    above = float(rankdata(score)[ones].sum()) - positives * (positives + 1) / 2
    return above / (positives * negatives)


def recall(truth: Column, found: Column) -> float:
    """Return the share of the rows of class 1 that are found."""
    hits, _, misses, _ = _counts(truth, found)
    return _share(hits, hits + misses)


def precision(truth: Column, found: Column) -> float:
    """Return the share of the rows found to be of class 1 that are; 0 if none is found."""
    hits, alarms, _, _ = _counts(truth, found)
    return _share(hits, hits + alarms)


def f1(truth: Column, found: Column) -> float:
    """Return the harmonic mean of precision and recall; 0 if nothing is hit.

    Example:
        >>> f1(np.array([1, 1, 0]), np.array([1, 0, 1]))
        0.5
    """
    hits, alarms, misses, _ = _counts(truth, found)
    return _share(2 * hits, 2 * hits + alarms + misses)


def mcc(truth: Column, found: Column) -> float:
    """Return Matthews' correlation of truth and answer; 0 if all answers are the same.

    Source: Matthews 1975, doi:10.1016/0005-2795(75)90109-9.
    """
    hits, alarms, misses, passes = _counts(truth, found)
    sides = (hits + alarms) * (hits + misses) * (passes + alarms) * (passes + misses)
    return _share(hits * passes - alarms * misses, math.sqrt(sides))


def rmse(truth: Column, found: Column) -> float:
    """Return the root of the mean squared error, in units of the target.

    Example:
        >>> rmse(np.array([0.0, 0.0]), np.array([3.0, 4.0]))
        3.5355339059327378
    """
    return _root(found - truth)


def r2(truth: Column, found: Column) -> float:
    """Return the share of the target's variance that is explained; negative if worse than none."""
    spread = float(((truth - truth.mean()) ** 2).sum())
    return 1 - float(((found - truth) ** 2).sum()) / spread


def rmslogp1e(truth: Column, found: Column) -> float:
    """Return the root of the mean squared difference of ln(1 + y); NaN if a y is -1 or less."""
    if not (found > -1).all():
        return math.nan
    return _root(np.log1p(found) - np.log1p(truth))


def weighted_f1(truth: Column, found: Column) -> float:
    """Return the mean of the classes' F1, each weighted by its rows.

    Example:
        >>> weighted_f1(np.array(["a", "a", "b", "b"]), np.array(["a", "a", "a", "a"]))
        0.3333333333333333
    """
    labels, rows = np.unique(truth, return_counts=True)
    each = [f1((truth == label).astype(int), (found == label).astype(int)) for label in labels]
    return float(np.dot(rows, each)) / len(truth)


def kappa(truth: Column, found: Column) -> float:
    """Return by how much more answers agree with the truth than chance would.

    Example:
        >>> kappa(np.array(["a", "a", "b", "b"]), np.array(["a", "b", "b", "b"]))
        0.5

    Source: Cohen 1960, doi:10.1177/001316446002000104.
    """
    agreed = float((truth == found).mean())
    labels = np.unique(np.concatenate([truth, found]))
    chance = sum(float((truth == label).mean() * (found == label).mean()) for label in labels)
    return _share(agreed - chance, 1 - chance)


_LINES = (
    Metric("auc", Task.BINARY, auc, ranks=True),
    Metric("recall", Task.BINARY, recall),
    Metric("precision", Task.BINARY, precision),
    Metric("mcc", Task.BINARY, mcc),
    Metric("f1", Task.BINARY, f1),
    Metric("rmse", Task.REGRESSION, rmse, rises=False),
    Metric("r2", Task.REGRESSION, r2),
    Metric("rmslogp1e", Task.REGRESSION, rmslogp1e, rises=False),
    Metric("mf1_w", Task.MULTICLASS, weighted_f1),
    Metric("mkappa", Task.MULTICLASS, kappa),
)

METRICS: Mapping[str, Metric] = {line.name: line for line in _LINES}


def names(task: Task) -> tuple[str, ...]:
    """Return the metrics of a task; the first is the default."""
    return tuple(line.name for line in _LINES if line.task is task)


def check_truth(metric: Metric, truth: Column, target: str) -> None:
    """Return if rows with this truth can tell models apart.

    Raises:
        InvalidInput: they cannot; names the target.
    """
    if not len(truth):
        raise InvalidInput("dataframe", f"no row has a value of the target [{target}]")
    if metric.task is Task.BINARY and not np.isin(truth, (0, 1)).all():
        odd = truth[~np.isin(truth, (0, 1))][0]
        raise InvalidInput("dataframe", f"[{target}] is {odd:g} in a row; it must be 0 or 1")
    if metric.name not in ("rmse", "rmslogp1e") and len(np.unique(truth)) < 2:
        raise InvalidInput(
            "dataframe", f"[{target}] is {truth[0]} in every row: {metric.name} needs two values"
        )
    if metric.name == "rmslogp1e" and not (truth > -1).all():
        raise InvalidInput(
            "sml_model_assessment_type",
            f"rmslogp1e takes the logarithm of 1 + [{target}], which is {truth.min():g} in a row",
        )


def unit(metric: Metric, truth: Column) -> float:
    """Return the size of a difference of this metric that means something."""
    if metric.name != "rmse":
        return 1.0
    return _root(np.asarray(truth - truth.mean(), float)) or 1.0


def _root(errors: Floats) -> float:
    return math.sqrt(float((errors**2).mean()))


def _counts(truth: Column, found: Column) -> tuple[int, int, int, int]:
    """Return true positives, false positives, false negatives and true negatives."""
    positive, answered = truth == 1, found == 1
    hits = int((positive & answered).sum())
    alarms, misses = int(answered.sum()) - hits, int(positive.sum()) - hits
    return hits, alarms, misses, len(truth) - hits - alarms - misses


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0
