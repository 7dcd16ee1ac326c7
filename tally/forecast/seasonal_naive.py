"""The forecast to beat: what was one season ago.

Source: Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 3rd ed., sections 5.2
and 5.5 (its intervals).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tally.forecast.base import Forecast, Model, OptionValue, State, Vector
from tally.forecast.intervals import normal_forecast
from tally.forecast.scaling import Scale
from tally.forecast.states import array, next_season


@dataclass(frozen=True, slots=True)
class SeasonalNaive:
    """A fitted model; see `tally.forecast.base.Model`.

    Attributes:
        season: the last season, `(period,)`, or the whole series if it is shorter.
        size, sigma: of the error after one season, `size * sigma` in the units of the series;
            two factors, since the error may be larger than any float64.
    """

    season: Vector
    size: float
    sigma: float

    def forecast(self, steps: int, levels: Sequence[float] = ()) -> Forecast:
        """Forecast the `steps` values after the last one seen."""
        step = np.arange(steps)
        mean = self.season[step % len(self.season)]
        with np.errstate(over="ignore"):
            seasons_ahead = step // len(self.season) + 1.0
            deviation = self.size * (self.sigma * np.sqrt(seasons_ahead))
        return normal_forecast(mean, deviation, levels)

    def state(self) -> State:
        """Return what `restore` needs."""
        error = np.array([self.size, self.sigma])
        return State("seasonal_naive", {"season": self.season, "error": error}, {})


def fit(values: Vector, period: int, options: Mapping[str, OptionValue]) -> Model:
    """Fit a series; see `tally.forecast.base.Fitter`."""
    season = np.array(values[-period:])
    scale, _ = Scale.of(values)
    sized = values / scale.size
    errors = sized[period:] - sized[:-period]
    if len(errors) == 0:  # no season is repeated: the spread of the values stands in
        errors = sized - scale.centre
    return SeasonalNaive(season, scale.size, float(np.sqrt(np.mean(errors**2))))


def restore(state: State) -> Model:
    """Return the model whose state this is; see `tally.forecast.base.Fitter`."""
    size, sigma = array(state, "error", 2).tolist()
    return SeasonalNaive(next_season(state), size, sigma)
