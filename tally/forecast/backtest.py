"""What a family would have said at earlier moments of the series, against what then came."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tally.errors import FitFailed
from tally.forecast import seasonal_naive
from tally.forecast.base import Model, Vector
from tally.forecast.scores import Backtest, Scores

LEVELS = (80.0, 95.0)
MAX_ORIGINS = 4
MAX_HORIZON = 1000

Fit = Callable[[Vector], Model]


def moments(rows: int, period: int) -> tuple[list[int], int]:
    """Return where the training parts end, and how many steps are forecast from each.

    Up to four moments, one horizon apart, the last one a horizon before the end; a horizon is a
    season where the series has five of them, else a fifth of the series. Each training part has
    at least half of the values, and two seasons where the series has three.

    Example:
        >>> moments(3650, 365)
        ([2190, 2555, 2920, 3285], 365)
    """
    horizon = period if period > 1 and rows >= 5 * period else max(1, rows // 5)
    horizon = min(horizon, MAX_HORIZON)
    least = max(4, rows // 2, 2 * period if rows >= 3 * period else 0)
    ends = [rows - k * horizon for k in range(MAX_ORIGINS, 0, -1)]
    return [end for end in ends if end >= least], horizon


def backtest(values: Vector, period: int, fit: Fit) -> Backtest:
    """Return how well `fit` forecasts the series from earlier moments of it.

    Args:
        values: (t,) the whole series.
        period: steps in a season, 1 for none.
        fit: takes a training part, the first values of the series.
    """
    ends, horizon = moments(len(values), period)
    if not ends:
        note = f"{len(values)} values are too few for a backtest"
        return Backtest(Scores(), Scores(), None, 0, horizon, note)
    try:
        model = _score(values, period, ends, horizon, fit)
    except FitFailed as error:
        note = f"a part of the series could not be fitted: {error}"
        return Backtest(Scores(), Scores(), None, len(ends), horizon, note)
    naive = _score(values, period, ends, horizon, lambda part: seasonal_naive.fit(part, period, {}))
    if not naive.mae or model.mae is None:
        note = "the seasonal naive forecast makes no error that skill could be measured against"
        return Backtest(model, naive, None, len(ends), horizon, note)
    return Backtest(model, naive, _finite(1 - model.mae / naive.mae), len(ends), horizon)


def _score(values: Vector, period: int, ends: list[int], horizon: int, fit: Fit) -> Scores:
    size = float(np.abs(values).max()) or 1.0
    errors: list[Vector] = []
    scaled: list[float] = []
    inside: dict[float, list[np.ndarray[tuple[int], np.dtype[np.bool_]]]] = {
        level: [] for level in LEVELS
    }
    for end in ends:
        training, truth = values[:end], values[end : end + horizon]
        forecast = fit(training).forecast(len(truth), LEVELS)
        error = np.abs(truth / size - forecast.mean / size)
        errors.append(error)
        step = period if end > period else 1
        usual = float(np.abs(training[step:] / size - training[:-step] / size).mean())
        if usual > 0:
            scaled.append(float(error.mean()) / usual)
        for level in LEVELS:
            within = (truth >= forecast.lower[level]) & (truth <= forecast.upper[level])
            inside[level].append(within)
    every = np.concatenate(errors)
    return Scores(
        mae=_finite(size * float(every.mean())),
        rmse=_finite(size * float(np.sqrt(np.mean(every**2)))),
        mase=_finite(float(np.mean(scaled))) if len(scaled) == len(ends) else None,
        coverage={f"{level:g}": float(np.concatenate(inside[level]).mean()) for level in LEVELS},
    )


def _finite(number: float) -> float | None:
    return number if np.isfinite(number) else None
