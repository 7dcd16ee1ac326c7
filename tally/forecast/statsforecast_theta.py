"""The theta method, fitted by statsforecast; forecast by our own recursion.

Source: Fiorucci, Pellegrini, Louzada, Petropoulos and Koehler 2016,
doi:10.1016/j.ijforecast.2016.02.005.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tally.forecast.base import Forecast, Model, OptionValue, State, Vector
from tally.forecast.intervals import normal_forecast
from tally.forecast.library import fitting
from tally.forecast.scaling import Scale
from tally.forecast.states import array, count, next_season

_FEWEST = 8


@dataclass(frozen=True, slots=True)
class Theta:
    """A fitted model; see `tally.forecast.base.Model`.

    Attributes:
        scale: of the series; everything below is in unit size.
        rows: how many values were fitted.
        dynamic: whether intercept and slope go on being updated (DSTM, DOTM).
        level, mean, intercept, slope: after the last value.
        alpha, theta: parameters.
        sigma: standard deviation of the one-step errors.
        season: effects of the next `(m,)` steps, added.
    """

    scale: Scale
    rows: int
    dynamic: bool
    level: float
    mean: float
    intercept: float
    slope: float
    alpha: float
    theta: float
    sigma: float
    season: Vector

    def forecast(self, steps: int, levels: Sequence[float] = ()) -> Forecast:
        """Forecast the `steps` values after the last one seen."""
        unit = self._recursion(steps) + self.season[np.arange(steps) % len(self.season)]
        growth = 1 + np.arange(steps) * self.alpha**2
        deviation = self.scale.deviation(self.sigma * np.sqrt(growth))
        return normal_forecast(self.scale.values(unit), deviation, levels)

    def _recursion(self, steps: int) -> Vector:
        level, mean, intercept, slope = self.level, self.mean, self.intercept, self.slope
        share = 1 - 1 / self.theta
        result = np.empty(steps)
        for step in range(steps):
            row = self.rows + step
            decay = (1 - self.alpha) ** row
            line = intercept * decay + slope * (1 - decay * (1 - self.alpha)) / self.alpha
            value = level + share * line
            result[step] = value
            level = self.alpha * value + (1 - self.alpha) * level
            if self.dynamic:
                slope = ((row - 1) * slope + 6 * (value - mean) / (row + 1)) / (row + 2)
                mean = (row * mean + value) / (row + 1)
                intercept = mean - slope * (row + 2) / 2
        return result

    def state(self) -> State:
        """Return what `restore` needs."""
        s = self.scale
        numbers = [
            self.level,
            self.mean,
            self.intercept,
            self.slope,
            self.alpha,
            self.theta,
            self.sigma,
        ]
        arrays = {
            "season": self.season,
            "numbers": np.array(numbers),
            "scale": np.array([s.size, s.centre, s.spread]),
        }
        return State("theta", arrays, {"rows": self.rows, "dynamic": self.dynamic})


def fit(values: Vector, period: int, options: Mapping[str, OptionValue]) -> Model:
    """Fit a series; see `tally.forecast.base.Fitter`."""
    scale, unit = Scale.of(values)
    if len(unit) < _FEWEST or scale.spread == 0.0:
        last = float(unit[-1])
        sigma = float(np.std(np.diff(unit))) if len(unit) > 1 else 0.0
        # With theta 1 the line has no share: this repeats the last value.
        return Theta(scale, len(unit), False, last, last, 0.0, 0.0, 1.0, 1.0, sigma, np.zeros(1))
    seasonal = period > 1 and len(unit) >= 2 * period
    found = _library_fit(unit, period if seasonal else 1, str(options["model"]))
    level, mean, intercept, slope = (float(x) for x in found["states"][-1][:4])
    effects = np.zeros(1)
    if found.get("decompose", False):
        effects = np.asarray(found["seas_forecast"]["mean"], dtype=np.float64)
    residuals = np.asarray(found["residuals"], dtype=np.float64)[3:]
    return Theta(
        scale,
        len(unit),
        str(found["modeltype"]).startswith("D"),
        level,
        mean,
        intercept,
        slope,
        float(found["par"]["alpha"]),
        float(found["par"]["theta"]),
        float(residuals.std(ddof=1)),
        np.ascontiguousarray(effects),
    )


def _library_fit(unit: Vector, period: int, model: str) -> dict[str, Any]:
    from statsforecast.models import AutoTheta

    # Additive: unit size has negative values, for which a product means nothing.
    fitter = AutoTheta(
        season_length=period,
        decomposition_type="additive",
        model=None if model == "auto" else model,
    )
    with fitting("the theta method", 'try "model": "STM", or period 1'):
        return dict(fitter.fit(unit).model_)


def restore(state: State) -> Model:
    """Return the model whose state this is; see `tally.forecast.base.Fitter`."""
    size, centre, spread = array(state, "scale", 3).tolist()
    level, mean, intercept, slope, alpha, theta, sigma = array(state, "numbers", 7).tolist()
    return Theta(
        Scale(size, centre, spread),
        count(state, "rows", 1),
        bool(count(state, "dynamic", 0)),
        level,
        mean,
        intercept,
        slope,
        alpha,
        theta,
        sigma,
        next_season(state),
    )
