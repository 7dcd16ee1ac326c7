"""Exponential smoothing with additive components, fitted by statsforecast.

Only the fitting is the library's; the recursions that forecast are ours, so a stored model
needs no library object. A season or error that grows with the level is better served by
fitting the logarithms.

Source: Hyndman, Koehler, Ord and Snyder, Forecasting with Exponential Smoothing, 2008, table 2.1
(recursions) and table 6.2 (variances of class 1).
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
from tally.forecast.states import array, next_season

# Of values; the library refuses fewer than its parameters and four more.
_FEWEST = 7
_FEWEST_WITH_TREND = 10
_FEWEST_WITH_SEASON = 12


@dataclass(frozen=True, slots=True)
class Ets:
    """A fitted model; see `tally.forecast.base.Model`.

    Attributes:
        scale: of the series; everything below is in unit size.
        level, slope: after the last value; slope 0 where there is no trend.
        season: the next `(m,)` seasonal effects; `(1,)` zero where there is none.
        alpha, beta, gamma: smoothing parameters as they enter the variance.
        phi: damping of the slope; 1 for none.
        sigma: standard deviation of the one-step errors.
    """

    scale: Scale
    level: float
    slope: float
    season: Vector
    alpha: float
    beta: float
    gamma: float
    phi: float
    sigma: float

    def forecast(self, steps: int, levels: Sequence[float] = ()) -> Forecast:
        """Forecast the `steps` values after the last one seen."""
        step = np.arange(1.0, steps + 1)
        damped = self._damped(step)
        season = self.season[np.arange(steps) % len(self.season)]
        mean = self.scale.values(self.level + damped * self.slope + season)
        if not levels:
            return normal_forecast(mean, np.zeros(steps), ())
        weights = self.alpha + self.beta * damped
        weights = weights + self.gamma * (step % len(self.season) == 0)
        growth = np.concatenate(([1.0], 1 + np.cumsum(weights**2)))[:steps]
        return normal_forecast(mean, self.scale.deviation(self.sigma * np.sqrt(growth)), levels)

    def _damped(self, step: Vector) -> Vector:
        """Return phi + phi**2 + ... + phi**step."""
        if self.phi == 1.0:
            return step
        return np.asarray(self.phi * (1 - self.phi**step) / (1 - self.phi))

    def state(self) -> State:
        """Return what `restore` needs."""
        s = self.scale
        numbers = [self.level, self.slope, self.alpha, self.beta, self.gamma, self.phi, self.sigma]
        return State(
            "ets",
            {
                "season": self.season,
                "scale": np.array([s.size, s.centre, s.spread]),
                "numbers": np.array(numbers),
            },
            {},
        )


def fit(values: Vector, period: int, options: Mapping[str, OptionValue]) -> Model:
    """Fit a series; see `tally.forecast.base.Fitter`."""
    return fit_ets(values, period, str(options["trend"]), str(options["season"]))


def fit_ets(values: Vector, period: int, trend: str, season: str) -> Ets:
    """Fit a series.

    Args:
        values: (t,) finite.
        period: steps in a season.
        trend: auto, none, additive or damped.
        season: auto, none or additive; auto tries both and keeps the smaller AICc.
    """
    scale, unit = Scale.of(values)
    if len(unit) < _FEWEST or scale.spread == 0.0:
        # Too short, or constant: simple smoothing of what there is.
        sigma = float(np.std(np.diff(unit))) if len(unit) > 1 else 0.0
        return Ets(scale, float(unit[-1]), 0.0, np.zeros(1), 1.0, 0.0, 0.0, 1.0, sigma)
    seasonal = period > 1 and len(unit) >= max(2 * period + 3, _FEWEST_WITH_SEASON)
    forms = {"none": ["N"], "additive": ["A"], "auto": ["N", "A"]}[season] if seasonal else ["N"]
    letter, damped = {
        "auto": ("Z", None),
        "none": ("N", False),
        "additive": ("A", False),
        "damped": ("A", True),
    }[trend if len(unit) >= _FEWEST_WITH_TREND else "none"]
    fits = [
        _library_fit(unit, period if form == "A" else 1, letter, form, damped) for form in forms
    ]
    return _from_library(scale, min(fits, key=lambda found: float(found["aicc"])))


def _library_fit(
    unit: Vector, period: int, trend: str, season: str, damped: bool | None
) -> dict[str, Any]:
    # Imported here: it takes seconds, and restoring does not need it.
    from statsforecast.models import AutoETS

    model = AutoETS(season_length=period, model=f"A{trend}{season}", damped=damped)
    with fitting("exponential smoothing", 'try "trend": "none" or "season": "none"'):
        return dict(model.fit(unit).model_)


def _from_library(scale: Scale, found: dict[str, Any]) -> Ets:
    trend, season, damped = found["components"][1:4]
    last = np.asarray(found["states"], dtype=np.float64)[-1]
    alpha, beta, gamma, phi = (0.0 if np.isnan(x) else float(x) for x in found["par"][:4])
    has_trend = trend != "N"
    effects = np.zeros(1)
    if season != "N":
        # The library keeps the newest effect first.
        effects = np.ascontiguousarray(last[1 + has_trend : 1 + has_trend + int(found["m"])][::-1])
    return Ets(
        scale,
        float(last[0]),
        float(last[1]) if has_trend else 0.0,
        effects,
        alpha,
        beta if has_trend else 0.0,
        gamma if season != "N" else 0.0,
        phi if damped == "D" else 1.0,
        float(np.sqrt(found["sigma2"])),
    )


def restore(state: State) -> Model:
    """Return the model whose state this is; see `tally.forecast.base.Fitter`."""
    return restore_ets(state)


def restore_ets(state: State) -> Ets:
    """Return the model whose state this is, as its own type."""
    size, centre, spread = array(state, "scale", 3).tolist()
    level, slope, alpha, beta, gamma, phi, sigma = array(state, "numbers", 7).tolist()
    return Ets(
        Scale(size, centre, spread),
        level,
        slope,
        next_season(state),
        alpha,
        beta,
        gamma,
        phi,
        sigma,
    )
