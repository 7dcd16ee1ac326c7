"""Which penalties are tried, and which of them the data support."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from tally.errors import FitFailed, InvalidInput
from tally.models.base import Floats, Table
from tally.models.parameters import Parameters

_MAX_POWER = 100.0
_MAX_POINTS = 10_000
_MOST_OF_PATH = 20_000


@dataclass(frozen=True, slots=True)
class Grid:
    """Penalties to try, log-spaced, ends included.

    Attributes:
        low, high: powers of ten; NaN as `high` for the least that sets all coefficients to 0.
        count: of them.
    """

    low: float
    high: float
    count: int

    @classmethod
    def read(cls, parameters: Parameters, high: float = 3.0) -> Grid:
        """Return the grid that these parameters ask for.

        Raises:
            InvalidInput: it ends before it begins.
        """
        low = parameters.number("min_lambda_power", -10.0, -_MAX_POWER, _MAX_POWER)
        top = parameters.number("max_lambda_power", high, -_MAX_POWER, _MAX_POWER, nan=True)
        if top < low:
            raise InvalidInput("max_lambda_power", f"{top:g} is below min_lambda_power {low:g}")
        return cls(low, top, parameters.whole("num_lambda", 100, 1, _MAX_POINTS))

    def descending(self, largest: float) -> Floats:
        """Return the penalties (count,), the largest first.

        Args:
            largest: the least penalty that sets all coefficients to 0.
        """
        high = self.high
        if math.isnan(high):
            high = max(self.low, math.log10(largest)) if largest > 0 else self.low
        found: Floats = np.logspace(self.low, high, self.count)[::-1]
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """One pair of penalties, and what came of it.

    Attributes:
        penalty, mix: `lambda` and `eta`.
        coefficients: (p,).
        criterion: smaller is better; infinite where it is not defined.
        used: coefficients that are not 0.
    """

    penalty: float
    mix: float
    coefficients: Floats
    criterion: float
    used: int


Solve = Callable[[float, float, Floats | None], Floats]
Criterion = Callable[[float, float, Floats], float]


def search(penalties: Floats, mixes: Floats, solve: Solve, criterion: Criterion) -> list[Point]:
    """Return all points, by mix and then by descending penalty, each begun where the last ended.

    Args:
        penalties: descending.
        mixes: of the two kinds of penalty.
        solve: from a penalty, a mix and a start to coefficients.
        criterion: from a penalty, a mix and coefficients to what is minimised.
    """
    return list(_points(penalties, mixes, solve, criterion))


def best(points: list[Point]) -> Point:
    """Return the point of the smallest criterion; of several, that of the largest penalty.

    Raises:
        FitFailed: it is defined for none.
    """
    found = min(points, key=lambda point: (point.criterion, -point.penalty))
    if not math.isfinite(found.criterion):
        raise FitFailed(
            "no penalty leaves enough rows for the AICc: learn more rows, or give lambda and eta"
        )
    return found


def aicc(n: float, sse: float, k: float) -> float:
    """Return Akaike's criterion for `k` parameters, corrected for few rows.

    Infinite unless n - k - 1 > 0.
    """
    if n - k - 1 <= 0:
        return math.inf
    fit = n * math.log(sse / n) if sse > 0 else -math.inf
    return fit + 2 * k + 2 * k * (k + 1) / (n - k - 1)


def as_table(points: list[Point]) -> Table:
    """Return the points as a table."""
    return {
        "lambda": np.array([point.penalty for point in points]),
        "eta": np.array([point.mix for point in points]),
        "aicc": np.array([point.criterion for point in points]),
        "nonzero": np.array([float(point.used) for point in points]),
    }


def as_path(points: list[Point], mix: float, names: tuple[str, ...]) -> dict[str, Table]:
    """Return the coefficients of the points with one mix, as they are penalised.

    Nothing where these are more than 20,000 numbers: the tables of a model are read as a whole.
    """
    along = [point for point in points if point.mix == mix]
    if len(along) * len(names) > _MOST_OF_PATH:
        return {}
    found = np.array([point.coefficients for point in along])
    return {
        "path_lambda": {"lambda": np.array([point.penalty for point in along])},
        "path": dict(zip(names, np.ascontiguousarray(found.T), strict=True)),
    }


def _points(
    penalties: Floats, mixes: Floats, solve: Solve, criterion: Criterion
) -> Iterator[Point]:
    for mix in mixes.tolist():
        b: Floats | None = None
        for penalty in penalties.tolist():
            b = solve(penalty, mix, b)
            yield Point(penalty, mix, b, criterion(penalty, mix, b), int(np.count_nonzero(b)))
