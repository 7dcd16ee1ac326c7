"""Prophet: a trend that bends at changepoints, and Fourier seasons.

The fitted parameters are read out, and forecast by our own formulas: a stored model needs no
library. Prophet wants dates; a step stands for a minute there, since its dates end in 2262.

Source: Taylor and Letham 2018, doi:10.1080/00031305.2017.1380080; the variance of the trend is
that of its compound Poisson process of Laplace rate changes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from tally.errors import CorruptState
from tally.forecast.base import Forecast, Model, OptionValue, State, Vector
from tally.forecast.intervals import normal_forecast
from tally.forecast.library import fitting
from tally.forecast.scaling import Scale
from tally.forecast.states import array, count

_FEWEST = 4
_STEPS_IN_A_DAY = 1440


@dataclass(frozen=True, slots=True)
class ProphetModel:
    """A fitted model; see `tally.forecast.base.Model`.

    Attributes:
        scale: of the series; everything below is in unit size.
        rows: how many values were fitted.
        period: steps in a season.
        level, slope: of the trend after its last changepoint, with time from 0 at the first
            value to 1 at the last.
        weights: of the Fourier pairs, sine before cosine.
        sigma: standard deviation of the observations around trend and season.
        change: variance of a rate change times the changepoints in one unit of time.
    """

    scale: Scale
    rows: int
    period: int
    level: float
    slope: float
    weights: Vector
    sigma: float
    change: float

    def forecast(self, steps: int, levels: Sequence[float] = ()) -> Forecast:
        """Forecast the `steps` values after the last one seen."""
        step = np.arange(self.rows, self.rows + steps)
        time = step / max(1, self.rows - 1)
        unit = self.level + self.slope * time
        for pair in range(len(self.weights) // 2):
            angle = 2 * np.pi * (((pair + 1) * step) % self.period) / self.period
            unit = unit + self.weights[2 * pair] * np.sin(angle)
            unit = unit + self.weights[2 * pair + 1] * np.cos(angle)
        ahead = time - 1
        deviation = np.sqrt(self.sigma**2 + self.change * ahead**3 / 3)
        return normal_forecast(self.scale.values(unit), self.scale.deviation(deviation), levels)

    def state(self) -> State:
        """Return what `restore` needs."""
        s = self.scale
        return State(
            "prophet",
            {
                "weights": self.weights,
                "scale": np.array([s.size, s.centre, s.spread]),
                "numbers": np.array([self.level, self.slope, self.sigma, self.change]),
            },
            {"rows": self.rows, "period": self.period},
        )


def fit(values: Vector, period: int, options: Mapping[str, OptionValue]) -> Model:
    """Fit a series; see `tally.forecast.base.Fitter`."""
    scale, unit = Scale.of(values)
    rows = len(unit)
    if rows < _FEWEST or scale.spread == 0.0:
        sigma = float(unit.std())
        return ProphetModel(scale, rows, 1, float(unit.mean()), 0.0, np.zeros(0), sigma, 0.0)
    pairs = 0
    if period > 1 and rows >= 1.5 * period:
        pairs = min(int(options["fourier_order"]), (period - 1) // 2)
    found = _library_fit(unit, period, pairs, options)
    delta = found.params["delta"].mean(axis=0)
    changes = np.asarray(found.changepoints_t, dtype=np.float64)
    slope = float(found.params["k"].mean() + delta.sum())
    level = float(found.params["m"].mean() - changes @ delta[: len(changes)])
    size = float(found.y_scale)
    rate = float(np.mean(np.abs(delta)))
    growth = 2 * rate**2 * len(changes) if options["growth"] == "linear" else 0.0
    beta = np.asarray(found.params["beta"].mean(axis=0), dtype=np.float64) * size
    return ProphetModel(
        scale,
        rows,
        max(1, period),
        level * size,
        slope * size if options["growth"] == "linear" else 0.0,
        np.ascontiguousarray(beta) if pairs else np.zeros(0),
        float(found.params["sigma_obs"].mean()) * size,
        growth * size**2,
    )


def _library_fit(unit: Vector, period: int, pairs: int, options: Mapping[str, OptionValue]) -> Any:
    with _quiet_loggers():
        # Imported here: they take seconds, and restoring does not need them.
        import pandas
        from prophet import Prophet

        model = Prophet(
            growth="flat" if options["growth"] == "flat" else "linear",
            changepoint_prior_scale=float(options["changepoint_prior_scale"]),
            yearly_seasonality=False,
            weekly_seasonality=False,
            daily_seasonality=False,
            uncertainty_samples=0,
            scaling="absmax",
        )
        if pairs:
            model.add_seasonality("season", period=period / _STEPS_IN_A_DAY, fourier_order=pairs)
        dates = pandas.to_datetime(np.arange(len(unit)), unit="m")
        with fitting("prophet", 'try a smaller "changepoint_prior_scale"'):
            return model.fit(pandas.DataFrame({"ds": dates, "y": unit}), seed=1)


@contextmanager
def _quiet_loggers() -> Iterator[None]:
    """Keep what the libraries log to the terminal, on import and by Stan, out of our own log."""
    loggers = [logging.getLogger(name) for name in ("prophet.plot", "prophet", "cmdstanpy")]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        # Not their level, which they set themselves when imported.
        logger.disabled = True
    try:
        yield
    finally:
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled


def restore(state: State) -> Model:
    """Return the model whose state this is; see `tally.forecast.base.Fitter`."""
    size, centre, spread = array(state, "scale", 3).tolist()
    level, slope, sigma, change = array(state, "numbers", 4).tolist()
    weights = array(state, "weights", None)
    if len(weights) % 2:
        raise CorruptState(f"prophet: array 'weights' has {len(weights)} values, not pairs")
    return ProphetModel(
        Scale(size, centre, spread),
        count(state, "rows", 1),
        count(state, "period", 1),
        level,
        slope,
        weights,
        sigma,
        change,
    )
