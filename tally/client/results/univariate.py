"""Moments of single attributes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tally.client.results.grid import Grid, Shown


@dataclass(frozen=True, slots=True)
class Univariate:
    """The moments of one attribute; NaN where there is no such number.

    Attributes:
        name: of the attribute.
        count: of rows that have it.
        mean, variance, stddev: of the rows as the whole population.
        skewness, kurtosis: kurtosis as excess over the normal distribution.
        stderr: of the mean.
        margin_95: the mean is known to this, up or down, with 95 % confidence.
        minimum, maximum, median: where the project keeps histograms.
    """

    name: str
    count: float
    mean: float
    variance: float
    stddev: float
    skewness: float
    kurtosis: float
    stderr: float
    margin_95: float
    minimum: float
    maximum: float
    median: float

    @classmethod
    def of(cls, name: str, told: Mapping[str, float]) -> Univariate:
        """Return it as the server tells it."""
        keys = (
            "count",
            "mean",
            "variance",
            "stddev",
            "skewness",
            "kurtosis",
            "stderr",
            "meanMarginErrorC95",
            "min",
            "max",
            "median",
        )
        return cls(name, *(told.get(key, float("nan")) for key in keys))


@dataclass(frozen=True, slots=True)
class Description(Shown):
    """The moments of several attributes, as a table.

    Example:
        >>> moments = {"count": 2.0, "mean": 1.5, "stddev": 0.5}
        >>> print(Description((Univariate.of("x", moments),)))
        attribute  count  mean  stddev  skewness  kurtosis  min  median  max
        x              2   1.5     0.5         -         -    -       -    -
    """

    attributes: tuple[Univariate, ...]

    def __iter__(self) -> Iterator[Univariate]:
        return iter(self.attributes)

    def __len__(self) -> int:
        return len(self.attributes)

    def __getitem__(self, name: str) -> Univariate:
        """Return the moments of one attribute."""
        for each in self.attributes:
            if each.name == name:
                return each
        raise KeyError(name)

    def _grid(self) -> Grid:
        columns = ("attribute", "count", "mean", "stddev", "skewness", "kurtosis")
        rows = tuple(
            (
                each.name,
                each.count,
                each.mean,
                each.stddev,
                each.skewness,
                each.kurtosis,
                each.minimum,
                each.median,
                each.maximum,
            )
            for each in self.attributes
        )
        return Grid((*columns, "min", "median", "max"), rows)
