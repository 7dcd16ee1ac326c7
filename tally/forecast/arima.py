"""ARIMA on seasonal differences, fitted by statsmodels; forecast by our own recursion.

The fitted model is written as one autoregression of the series itself, with the differences
multiplied out, so a stored model is a handful of arrays and needs no library.

Source: Brockwell and Davis, Time Series: Theory and Methods, 2nd ed., sections 5.3 and 9.5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tally.forecast.autoregression import modulus
from tally.forecast.base import Forecast, Model, OptionValue, State, Vector
from tally.forecast.intervals import normal_forecast
from tally.forecast.library import fitting
from tally.forecast.scaling import Scale
from tally.forecast.states import array

_LARGEST_ROOT = 1.001  # 500 steps make 1.6 of it


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
        shocks: what past innovations still add to the next `len(ma)` steps.
    """

    scale: Scale
    ar: Vector
    ma: Vector
    constant: float
    sigma: float
    last: Vector
    shocks: Vector

    def forecast(self, steps: int, levels: Sequence[float] = ()) -> Forecast:
        """Forecast the `steps` values after the last one seen."""
        inputs = np.full(steps, self.constant)
        known = min(steps, len(self.shocks))
        inputs[:known] += self.shocks[:known]
        mean = self.scale.values(_recursion(self.ar, self.last, inputs))
        if not levels:
            return normal_forecast(mean, np.zeros(steps), ())
        impulse = np.concatenate(([1.0], self.ma, np.zeros(steps)))[:steps]
        weights = _recursion(self.ar, np.zeros(len(self.ar)), impulse)
        growth = np.cumsum(weights**2)
        return normal_forecast(mean, self.scale.deviation(self.sigma * np.sqrt(growth)), levels)

    def state(self) -> State:
        """Return what `restore` needs."""
        s = self.scale
        return State(
            "arima",
            {
                "ar": self.ar,
                "ma": self.ma,
                "last": self.last,
                "shocks": self.shocks,
                "scale": np.array([s.size, s.centre, s.spread]),
                "numbers": np.array([self.constant, self.sigma]),
            },
            {},
        )


def _recursion(ar: Vector, last: Vector, inputs: Vector) -> Vector:
    """Return `x[t] = inputs[t] + sum(ar[i] * x[t-1-i])` for the steps after `last`."""
    # A seasonal difference leaves most lags at zero, and plain floats add in the same order on
    # every processor, which BLAS does not promise.
    terms = [(int(i) + 1, float(ar[i])) for i in np.flatnonzero(ar)]
    path = last.tolist()
    for value in inputs.tolist():
        path.append(value + sum(weight * path[-lag] for lag, weight in terms))
    return np.array(path[len(last) :])


@dataclass(frozen=True, slots=True)
class _Stationary:
    """An ARMA model of the differences; `shocks` and `sigma` as in `Arima`."""

    phi: Vector
    theta: Vector
    mean: float
    sigma: float
    shocks: Vector


def fit(values: Vector, period: int, options: Mapping[str, OptionValue]) -> Model:
    """Fit a series; see `tally.forecast.base.Fitter`.

    The differences have a mean only where `d` is 0: beyond that, it would be a trend that bends.
    """
    p, d, q = int(options["p"]), int(options["d"]), int(options["q"])
    scale, unit = Scale.of(values)
    season = period if options["seasonal_difference"] and 1 < period <= len(unit) // 2 else 0
    d = min(d, len(unit) - season - 1)
    differences = _differences(season, d)
    series = np.convolve(unit, differences, mode="valid")
    if len(series) < 3 * (p + q + 1) or series.min() == series.max():
        # Too short for the orders, or nothing left to explain: differences alone.
        model = _white(series, with_mean=d == 0)
    else:
        model = _library_fit(series, p, q, with_mean=d == 0)
    ar = -np.convolve(np.concatenate(([1.0], -model.phi)), differences)[1:]
    return Arima(
        scale,
        ar,
        model.theta,
        model.mean * float(1 - model.phi.sum()),
        model.sigma,
        unit[len(unit) - len(ar) :].copy(),
        model.shocks,
    )


def _differences(season: int, d: int) -> Vector:
    """Return the coefficients of `(1 - B**season) * (1 - B)**d`; season 0 is none."""
    result = np.array([1.0])
    if season:
        result = np.convolve(result, [1.0, *np.zeros(season - 1), -1.0])
    for _ in range(d):
        result = np.convolve(result, [1.0, -1.0])
    return result


def _white(series: Vector, *, with_mean: bool) -> _Stationary:
    mean = float(series.mean()) if with_mean else 0.0
    sigma = float(np.sqrt(np.mean((series - mean) ** 2)))
    return _Stationary(np.zeros(0), np.zeros(0), mean, sigma, np.zeros(0))


def _library_fit(series: Vector, p: int, q: int, *, with_mean: bool) -> _Stationary:
    # Imported here: it takes seconds, and restoring does not need it.
    from statsmodels.tools.sm_exceptions import ModelWarning

    advice = 'try a smaller "p" and "q", or give the period'
    with fitting(f"ARIMA({p},0,{q})", advice, ModelWarning):
        found = _estimate(series, p, q, "c" if with_mean else "n")
        parameters = np.asarray(found.params, dtype=np.float64)
        expected = np.asarray(found.forecast(q), dtype=np.float64) if q else np.zeros(0)
    mean = float(parameters[0]) if with_mean else 0.0
    phi, theta = parameters[with_mean : with_mean + p], parameters[with_mean + p : -1]
    # The filter's own forecasts hold also where it has not settled, as near an MA root of 1,
    # where recursions on the residuals would be off.
    path = np.concatenate([series[len(series) - p :], expected]) - mean
    shocks = np.array([path[p + i] - phi[::-1] @ path[i : p + i] for i in range(q)])
    return _Stationary(phi.copy(), theta.copy(), mean, float(np.sqrt(parameters[-1])), shocks)


def _estimate(series: Vector, p: int, q: int, trend: str) -> Any:
    """Return statsmodels' results; the first of three ways that succeeds, the fastest first.

    Innovations refuse what begins at the edge of stationarity, and the state space has no
    start inside it for a series without noise, such as an alternation.
    """
    from statsmodels.tsa.arima.model import ARIMA

    causes: list[Exception] = []
    for method, inside in (("innovations_mle", True), ("statespace", True), ("statespace", False)):
        try:
            model = ARIMA(series, order=(p, 0, q), trend=trend, enforce_stationarity=inside)
            found = model.fit(method=method)
        except (ValueError, ArithmeticError) as error:
            causes.append(error)
            continue
        if not np.all(np.isfinite(found.params)):
            causes.append(ArithmeticError("the likelihood has no maximum"))
        elif modulus(np.asarray(found.arparams, dtype=np.float64)) > _LARGEST_ROOT:
            causes.append(ArithmeticError("it grows without bound"))
        else:
            return found
    raise causes[-1]


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
        array(state, "shocks", len(ma)),
    )
