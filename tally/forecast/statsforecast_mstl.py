"""Season and trend by LOESS (statsforecast's MSTL); the rest continued by exponential smoothing.

Source: Bandara, Hyndman and Bergmeir 2021, arXiv:2107.13462.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tally.forecast.base import Forecast, Model, OptionValue, State, Vector
from tally.forecast.intervals import finite, normal_forecast
from tally.forecast.library import fitting
from tally.forecast.scaling import Scale
from tally.forecast.states import array, next_season
from tally.forecast.statsforecast_ets import Ets, fit_ets, restore_ets


@dataclass(frozen=True, slots=True)
class Mstl:
    """A fitted model; see `tally.forecast.base.Model`.

    Attributes:
        scale: of the series; everything below is in unit size.
        season: the last season's effects, `(period,)`, in the order of the next steps.
        rest: the model of the series without them.
    """

    scale: Scale
    season: Vector
    rest: Ets

    def forecast(self, steps: int, levels: Sequence[float] = ()) -> Forecast:
        """Forecast the `steps` values after the last one seen."""
        rest = self.rest.forecast(steps, levels)
        season = self.season[np.arange(steps) % len(self.season)]
        mean = self.scale.values(rest.mean + season)
        point = normal_forecast(mean, np.zeros(steps), ())
        return Forecast(
            point.mean,
            {level: finite(self.scale.values(b + season)) for level, b in rest.lower.items()},
            {level: finite(self.scale.values(b + season)) for level, b in rest.upper.items()},
        )

    def state(self) -> State:
        """Return what `restore` needs."""
        rest = self.rest.state()
        arrays = {f"rest.{name}": found for name, found in rest.arrays.items()}
        s = self.scale
        scale = np.array([s.size, s.centre, s.spread])
        return State("mstl", {**arrays, "season": self.season, "scale": scale}, {})


def fit(values: Vector, period: int, options: Mapping[str, OptionValue]) -> Model:
    """Fit a series; see `tally.forecast.base.Fitter`."""
    scale, unit = Scale.of(values)
    season = np.zeros(1)
    if period > 1 and len(unit) > 2 * period:
        effects = _seasonal(unit, period)
        season, unit = effects[-period:], unit - effects
    return Mstl(scale, np.ascontiguousarray(season), fit_ets(unit, 1, "auto", "none"))


def _seasonal(unit: Vector, period: int) -> Vector:
    from statsforecast.mstl import mstl

    with fitting("the season", "give its period, or period 1 for none"):
        parts = mstl(unit, period)
    return np.asarray(parts["seasonal"], dtype=np.float64)


def restore(state: State) -> Model:
    """Return the model whose state this is; see `tally.forecast.base.Fitter`."""
    prefix = "rest."
    arrays = {
        name.removeprefix(prefix): found
        for name, found in state.arrays.items()
        if name.startswith(prefix)
    }
    size, centre, spread = array(state, "scale", 3).tolist()
    scale = Scale(size, centre, spread)
    return Mstl(scale, next_season(state), restore_ets(State("ets", arrays, {})))
