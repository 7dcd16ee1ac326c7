"""The functions that contracts may call, each a value of a summary; NaN where undefined."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from tally.engine.explore.arithmetic import divide, root
from tally.engine.explore.bivariate import associated
from tally.engine.explore.samples import Sample
from tally.engine.rows import BINARY, CONTINUOUS
from tally.engine.summary import Summary

NUMBER = CONTINUOUS + BINARY
"""The types of an argument that may be any attribute."""

Value: TypeAlias = Callable[[Summary, tuple[int, ...]], float]


@dataclass(frozen=True, slots=True)
class Function:
    """What a function takes, and what it is.

    Attributes:
        arguments: for each argument, the letters of the types that it may have.
        value: for a summary and the indexes of the arguments, which have these types.
        percentage: whether the value is a share from 0 to 100.
    """

    arguments: tuple[str, ...]
    value: Value
    percentage: bool = False


def value_of(function: str, features: tuple[str, ...], summary: Summary) -> float:
    """Return the value of a call; NaN for whatever cannot be called so.

    Example:
        >>> value_of("MEAN", ("x",), Summary.empty())
        nan
    """
    known, schema = FUNCTIONS.get(function), summary.schema
    if known is None or len(known.arguments) != len(features):
        return math.nan
    indexes = []
    for feature, types in zip(features, known.arguments, strict=True):
        i = schema.index.get(feature)
        if i is None or schema.types[i] not in types:
            return math.nan
        indexes.append(i)
    return known.value(summary, tuple(indexes))


def _everywhere(summary: Summary, of: tuple[int, ...]) -> Sample:
    return Sample.of(summary, of[0])


def _where(value: int) -> Callable[[Summary, tuple[int, ...]], Sample]:
    return lambda summary, of: Sample.where(summary, of[0], of[1], value)


def _described(
    sample: Callable[[Summary, tuple[int, ...]], Sample], arguments: tuple[str, ...], prefix: str
) -> dict[str, Function]:
    """Return count, mean and the variances of a sample, under names that begin so."""
    values: Mapping[str, Callable[[Sample], float]] = {
        "COUNT": lambda of: of.n,
        "MEAN": lambda of: of.mean if of.n else math.nan,
        "VARIANCE": lambda of: of.variance,
        "STDDEV": lambda of: root(of.variance),
        "VARIANCE_UNBIASED": lambda of: of.unbiased,
        "STDDEV_UNBIASED": lambda of: root(of.unbiased),
    }

    def function(of_sample: Callable[[Sample], float]) -> Function:
        return Function(arguments, lambda summary, of: of_sample(sample(summary, of)))

    return {prefix + name: function(of_sample) for name, of_sample in values.items()}


def _covariance(summary: Summary, of: tuple[int, ...]) -> float:
    return associated(summary.pair(*of))["covar"]


def _correlation(summary: Summary, of: tuple[int, ...]) -> float:
    return associated(summary.pair(*of))["linCorr"]


def _ones(value: int) -> Value:
    def ones(summary: Summary, of: tuple[int, ...]) -> float:
        pair = summary.pair(*of)
        return pair.c if value else pair.px - pair.c

    return ones


def _mean(value: int, scale: float = 1.0) -> Value:
    def mean(summary: Summary, of: tuple[int, ...]) -> float:
        pair = summary.pair(*of)
        rows, ones = (pair.py, pair.c) if value else (pair.n - pair.py, pair.px - pair.c)
        return scale * (pair.origin_x + divide(ones, rows))

    return mean


_CONDITION, _FLAGS = (NUMBER, BINARY), (BINARY, BINARY)

FUNCTIONS: Mapping[str, Function] = {
    **_described(_everywhere, (NUMBER,), ""),
    "COVAR": Function((NUMBER, NUMBER), _covariance),
    "LINCORR": Function((NUMBER, NUMBER), _correlation),
    **_described(_where(1), _CONDITION, "COND_"),
    **_described(_where(0), _CONDITION, "COMPL_COND_"),
    "NUM_OCCURENCE_WHEN_TRUE": Function(_FLAGS, _ones(1)),
    "NUM_OCCURENCE_WHEN_FALSE": Function(_FLAGS, _ones(0)),
    "PCT_OF_TRUE": Function(_FLAGS, _mean(1, 100.0), percentage=True),
    "PCT_OF_FALSE": Function(_FLAGS, _mean(0, 100.0), percentage=True),
    "MEAN_WHEN_TRUE": Function(_CONDITION, _mean(1)),
    "MEAN_WHEN_FALSE": Function(_CONDITION, _mean(0)),
}
"""By name, in upper case. The spelling `OCCURENCE` is that of the API."""
