"""The default family: linear trend, Fourier pairs of the season, autoregressive residuals.

All by least squares, so a fit of ten years of days takes milliseconds. On the shipped series it
beats the seasonal ARIMA of the original by a third (`docs/forecasting.md`).

Source: Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 3rd ed., section 10.5
(dynamic harmonic regression).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tally.forecast.autoregression import continue_ar, fit_ar, innovations, variance_growth
from tally.forecast.base import Forecast, Model, OptionValue, State, Vector
from tally.forecast.intervals import normal_forecast
from tally.forecast.scaling import Scale
from tally.forecast.states import array, number

_RIDGE_PER_ROW = 1e-10  # makes the solution unique where columns are nearly collinear


@dataclass(frozen=True, slots=True)
class HarmonicAr:
    """A fitted model; see `tally.forecast.base.Model`.

    Attributes:
        scale: of the series; everything below is in unit size.
        rows: how many values were fitted; the forecast begins after them.
        period, pairs, trend: which columns `weights` belong to.
        weights: of the regression, `(1 + trend + 2 * pairs,)`.
        ar: coefficients of the residuals' autoregression.
        last: the last `len(ar)` residuals, oldest first.
        sigma: standard deviation of the innovations.
        slope_error: standard error of the trend's weight, which widens the intervals of far steps.
    """

    scale: Scale
    rows: int
    period: int
    pairs: int
    trend: bool
    weights: Vector
    ar: Vector
    last: Vector
    sigma: float
    slope_error: float

    def forecast(self, steps: int, levels: Sequence[float] = ()) -> Forecast:
        """Forecast the `steps` values after the last one seen."""
        times = np.arange(self.rows, self.rows + steps)
        columns = design(times, self.rows, self.period, self.pairs, self.trend)
        # Not `columns @ weights`: BLAS may round differently for another number of rows.
        unit = np.einsum("tj,j->t", columns, self.weights)
        unit = unit + continue_ar(self.last, self.ar, steps)
        if not levels:
            return normal_forecast(self.scale.values(unit), np.zeros(steps), ())
        variance = self.sigma**2 * variance_growth(self.ar, steps)
        if self.trend:
            variance = variance + (self.slope_error * columns[:, 1]) ** 2
        deviation = self.scale.deviation(np.sqrt(variance))
        return normal_forecast(self.scale.values(unit), deviation, levels)

    def state(self) -> State:
        """Return what `restore` needs."""
        scale = self.scale
        return State(
            "harmonic_ar",
            {
                "weights": self.weights,
                "ar": self.ar,
                "last": self.last,
                "scale": np.array([scale.size, scale.centre, scale.spread]),
                "errors": np.array([self.sigma, self.slope_error]),
            },
            {"rows": self.rows, "period": self.period, "pairs": self.pairs, "trend": self.trend},
        )


def fit(values: Vector, period: int, options: Mapping[str, OptionValue]) -> Model:
    """Fit a series; see `tally.forecast.base.Fitter`."""
    rows = len(values)
    scale, unit = Scale.of(values)
    pairs = _affordable_pairs(rows, period, int(options["pairs"]))
    trend = bool(options["trend"]) and rows >= 10
    columns = design(np.arange(rows), rows, period, pairs, trend)
    gram = columns.T @ columns
    gram[np.diag_indices_from(gram)] += _RIDGE_PER_ROW * rows
    weights: Vector = np.linalg.solve(gram, columns.T @ unit).astype(np.float64)
    residuals = unit - columns @ weights
    ar = fit_ar(residuals, int(options["ar_order"]))
    errors = innovations(residuals, ar)
    freedom = max(1, len(errors) - len(weights) - len(ar))
    sigma = float(np.sqrt(errors @ errors / freedom))
    slope_error = 0.0
    if trend:
        # Autocorrelated residuals make the ordinary standard error too small by the ratio of
        # the long-run to the innovation variance, 1 / (1 - sum(ar))**2.
        inflation = 1 / max(1e-3, abs(1 - float(ar.sum())))
        slope_error = float(sigma * inflation * np.sqrt(np.linalg.inv(gram)[1, 1]))
    last = residuals[rows - len(ar) :]
    return HarmonicAr(scale, rows, period, pairs, trend, weights, ar, last, sigma, slope_error)


def restore(state: State) -> Model:
    """Return the model whose state this is; see `tally.forecast.base.Fitter`."""
    pairs, trend = int(number(state, "pairs")), bool(number(state, "trend"))
    ar = array(state, "ar", None)
    size, centre, spread = array(state, "scale", 3).tolist()
    sigma, slope_error = array(state, "errors", 2).tolist()
    return HarmonicAr(
        Scale(size, centre, spread),
        int(number(state, "rows")),
        int(number(state, "period")),
        pairs,
        trend,
        array(state, "weights", 1 + trend + 2 * pairs),
        ar,
        array(state, "last", len(ar)),
        sigma,
        slope_error,
    )


def design(
    times: np.ndarray[tuple[int], np.dtype[np.int64]],
    rows: int,
    period: int,
    pairs: int,
    trend: bool,
) -> Vector:
    """Return the regression's columns at some times: `(t, 1 + trend + 2 * pairs)`.

    The trend runs from -0.5 to 0.5 over the `rows` fitted values. Phases are taken modulo the
    period first, so a far step loses no digits.
    """
    columns = [np.ones(len(times))]
    if trend:
        columns.append((times + 0.5) / rows - 0.5)
    for pair in range(1, pairs + 1):
        angle = 2 * np.pi * ((pair * times) % period) / period
        columns += [np.cos(angle), np.sin(angle)]
    return np.column_stack(columns)


def _affordable_pairs(rows: int, period: int, wanted: int) -> int:
    """Return how many pairs the series supports: below the period's half, and with rows to spare.

    A season seen less than once and a half cannot be told from a trend.
    """
    if period < 2 or rows < 1.5 * period:
        return 0
    return max(0, min(wanted, (period - 1) // 2, (rows - 4) // 4))
