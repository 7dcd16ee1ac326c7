"""ARIMA on seasonal differences, fitted by statsmodels; forecast by our own recursion.

The fitted model is written as one autoregression of the series itself, with the differences
multiplied out, so a stored model is a handful of arrays and needs no library.

Source: Brockwell and Davis, Time Series: Theory and Methods, 2nd ed., sections 5.3 and 9.5.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tally.errors import FitFailed
from tally.forecast.base import Forecast, Model, OptionValue, State, Vector
from tally.forecast.intervals import normal_forecast
from tally.forecast.scaling import Scale
from tally.forecast.states import array


@dataclass(frozen=True, slots=True)
class Arima:
    """A fitted model; see `tally.forecast.base.Model`.

    `y[t] = constant + sum(ar[i] * y[t-1-i]) + e[t] + sum(ma[j] * e[t-1-j])`, in unit size.

    Attributes:
        scale: of the series.
        ar: with the differences multiplied out.
        ma: moving average coefficients.
        constant: added in each step.
        sigma: standard deviation of the innovations.
        last: the last `len(ar)` values, oldest first.
        innovations: the last `len(ma)` innovations, oldest first.
    """

    scale: Scale
    ar: Vector
    ma: Vector
    constant: float
    sigma: float
    last: Vector
    innovations: Vector

    def forecast(self, steps: int, levels: Sequence[float] = ()) -> Forecast:
        """Forecast the `steps` values after the last one seen."""
        unit = self._means(steps)
        if not levels:
            return normal_forecast(self.scale.values(unit), np.zeros(steps), ())
        growth = np.cumsum(self._weights(steps) ** 2)
        deviation = self.scale.deviation(self.sigma * np.sqrt(growth))
        return normal_forecast(self.scale.values(unit), deviation, levels)

    def _means(self, steps: int) -> Vector:
        order, errors = len(self.ar), len(self.ma)
        path = np.concatenate([self.last, np.zeros(steps)])
        known = np.concatenate([self.innovations, np.zeros(steps)])
        backward, errors_backward = self.ar[::-1].copy(), self.ma[::-1].copy()
        for step in range(steps):
            past = backward @ path[step : step + order]
            shocks = errors_backward @ known[step : step + errors] if step < errors else 0.0
            path[order + step] = self.constant + past + shocks
        return path[order:]

    def _weights(self, steps: int) -> Vector:
        """Return the psi weights of the MA(infinity) form."""
        order = len(self.ar)
        weights = np.zeros(order + steps)
        backward = self.ar[::-1].copy()
        for step in range(steps):
            moving = self.ma[step - 1] if 1 <= step <= len(self.ma) else 0.0
            own = 1.0 if step == 0 else moving
            weights[order + step] = own + backward @ weights[step : step + order]
        return weights[order:]

    def state(self) -> State:
        """Return what `restore` needs."""
        s = self.scale
        return State(
            "arima",
            {
                "ar": self.ar,
                "ma": self.ma,
                "last": self.last,
                "innovations": self.innovations,
                "scale": np.array([s.size, s.centre, s.spread]),
                "numbers": np.array([self.constant, self.sigma]),
            },
            {},
        )


def fit(values: Vector, period: int, options: Mapping[str, OptionValue]) -> Model:
    """Fit a series; see `tally.forecast.base.Fitter`."""
    p, d, q = int(options["p"]), int(options["d"]), int(options["q"])
    scale, unit = Scale.of(values)
    season = period if options["seasonal_difference"] and 1 < period <= len(unit) // 2 else 0
    differences = np.array([1.0])
    if season:
        differences = np.convolve(differences, [1.0, *np.zeros(season - 1), -1.0])
    for _ in range(d):
        differences = np.convolve(differences, [1.0, -1.0])
    series = np.convolve(unit, differences, mode="valid")
    if len(series) < 3 * (p + q + 1) or not np.any(series - series.mean()):
        # Too short for the orders, or nothing left to explain: differences alone.
        p, q, phi, theta = 0, 0, np.zeros(0), np.zeros(0)
        mean, residuals = float(series.mean()), series - series.mean()
        sigma = float(residuals.std())
    else:
        phi, theta, mean, sigma, residuals = _library_fit(series, p, q)
    full = -np.convolve(np.concatenate(([1.0], -phi)), differences)[1:]
    constant = mean * float(1 - phi.sum())
    order = len(full)
    if order > len(unit):
        raise FitFailed(f"ARIMA({p},{d},{q}) needs more than {len(unit)} values")
    return Arima(
        scale,
        np.ascontiguousarray(full),
        theta,
        constant,
        sigma,
        np.ascontiguousarray(unit[len(unit) - order :]),
        np.ascontiguousarray(residuals[len(residuals) - q :]),
    )


def _library_fit(series: Vector, p: int, q: int) -> tuple[Vector, Vector, float, float, Vector]:
    """Return AR and MA coefficients, mean, sigma, and the residuals."""
    # Imported here: it takes seconds, and restoring does not need it.
    from statsmodels.tsa.arima.model import ARIMA

    model = ARIMA(series, order=(p, 0, q), trend="c")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found: Any = model.fit(method="innovations_mle")
            except ValueError:
                # Five times as fast, but refuses what begins at the edge of stationarity.
                found = model.fit(method="statespace")
    except Exception as error:
        # Optimisers and linear algebra raise whatever they like on a series that does not fit.
        raise FitFailed(f"ARIMA({p},0,{q}) cannot be fitted: {error}") from error
    parameters = np.asarray(found.params, dtype=np.float64)
    if not np.all(np.isfinite(parameters)):
        raise FitFailed(f"ARIMA({p},0,{q}) cannot be fitted: the likelihood has no maximum")
    return (
        np.ascontiguousarray(parameters[1 : 1 + p]),
        np.ascontiguousarray(parameters[1 + p : 1 + p + q]),
        float(parameters[0]),
        float(np.sqrt(parameters[-1])),
        np.asarray(found.resid, dtype=np.float64),
    )


def restore(state: State) -> Model:
    """Return the model whose state this is; see `tally.forecast.base.Fitter`."""
    ar, ma = array(state, "ar", None), array(state, "ma", None)
    size, centre, spread = array(state, "scale", 3).tolist()
    constant, sigma = array(state, "numbers", 2).tolist()
    return Arima(
        Scale(size, centre, spread),
        ar,
        ma,
        constant,
        sigma,
        array(state, "last", len(ar)),
        array(state, "innovations", len(ma)),
    )
