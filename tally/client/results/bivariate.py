"""Pairs of attributes, and all correlations of a project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tally.client.results.grid import Grid, Shown, red_blue

_PLACES = 2
_NUMBERS = (
    "covariance",
    "correlation",
    "count",
    "total",
    "mean",
    "variance",
    "stddev",
    "low_95",
    "high_95",
)


@dataclass(frozen=True, slots=True)
class Bivariate(Shown):
    """An attribute x beside another, y; NaN where there is no such number.

    Attributes:
        x, y: their names.
        covariance, correlation: over the rows that have both.
        count, total, mean, variance, stddev: of x where y is 1, if y is binary: how many rows,
            and their sum, mean and so on. Otherwise each row counts y times.
        low_95, high_95: the conditional mean lies between them with 95 % confidence.
    """

    x: str
    y: str
    covariance: float
    correlation: float
    count: float
    total: float
    mean: float
    variance: float
    stddev: float
    low_95: float
    high_95: float

    @classmethod
    def of(cls, x: str, y: str, told: Mapping[str, float]) -> Bivariate:
        """Return it as the server tells it."""
        keys = (
            "covar",
            "linCorr",
            "condCount",
            "condSum",
            "condMean",
            "condVariance",
            "condStddev",
            "biCi95Down",
            "biCi95Up",
        )
        return cls(x, y, *(told.get(key, float("nan")) for key in keys))

    def _title(self) -> str:
        return f"{self.x} beside {self.y}"

    def _grid(self) -> Grid:
        rows = tuple((name, getattr(self, name)) for name in _NUMBERS)
        return Grid(("", self.x), rows)


@dataclass(frozen=True, slots=True)
class Correlations(Shown):
    """The linear correlation of every pair.

    Attributes:
        names: of the attributes.
        values: a row for each, with a number for each; symmetric, 1 on the diagonal (NaN where
            an attribute is constant).

    Example:
        >>> told = Correlations(("x", "y"), ((1.0, -0.5), (-0.5, 1.0)))
        >>> print(told)
               x      y
        x   1.00  -0.50
        y  -0.50   1.00
        >>> told["x", "y"]
        -0.5
        >>> told.strongest(1)
        (('x', 'y', -0.5),)
    """

    names: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]

    def __getitem__(self, pair: tuple[str, str]) -> float:
        """Return the correlation of two attributes."""
        x, y = (self.names.index(name) for name in pair)
        return self.values[x][y]

    def strongest(self, number: int = 10) -> tuple[tuple[str, str, float], ...]:
        """Return the pairs with the largest correlations, whichever sign they have."""
        pairs = [
            (x, y, self.values[i][j])
            for i, x in enumerate(self.names)
            for j, y in enumerate(self.names[:i])
        ]
        known = [(y, x, value) for x, y, value in pairs if value == value]  # not NaN
        return tuple(sorted(known, key=lambda pair: -abs(pair[2]))[:number])

    def _grid(self) -> Grid:
        rows = tuple(
            (name, *(_shown(value) for value in row))
            for name, row in zip(self.names, self.values, strict=True)
        )
        shades = tuple(("", *map(red_blue, row)) for row in self.values)
        return Grid(("", *self.names), rows, shades)


def _shown(value: float) -> str:
    return f"{value:.{_PLACES}f}" if value == value else "-"
