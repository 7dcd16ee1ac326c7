"""Our recursions against the libraries' own forecasts from the same fit."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from tally.forecast.base import Vector
from tally.forecast.families import defaults
from tally.forecast.fitting import load
from tally.forecast.scaling import Scale
from tally.forecast.statsforecast_ets import Ets, fit_ets
from tests.extras.conftest import need


def seasonal(rows: int = 160) -> Vector:
    rng = np.random.default_rng(11)
    time = np.arange(rows)
    noise = rng.normal(size=rows)
    return np.asarray(20 + 0.1 * time + 4 * np.sin(2 * np.pi * time / 12) + noise)


@pytest.mark.parametrize("trend", ["none", "additive"])
@pytest.mark.parametrize("season", ["none", "additive"])
def test_ets_forecasts_what_statsforecast_does(trend: str, season: str) -> None:
    need("ets")
    from statsforecast.models import AutoETS

    values = seasonal()
    scale, unit = Scale.of(values)
    form = f"A{'N' if trend == 'none' else 'A'}{'N' if season == 'none' else 'A'}"
    period = 12 if season == "additive" else 1
    theirs = AutoETS(season_length=period, model=form, damped=False).fit(unit)
    ours = load("ets").fit(values, 12, {"trend": trend, "season": season}).forecast(30)
    np.testing.assert_allclose(ours.mean, scale.values(theirs.predict(30)["mean"]), rtol=1e-9)


# The library sums phi + phi instead of phi + phi**2 for a damped trend, and widens the first
# interval of a season as if it were the last: the state equations themselves are the judge.
@pytest.mark.parametrize("trend", ["none", "additive", "damped"])
@pytest.mark.parametrize("season", ["none", "additive"])
def test_ets_forecasts_what_its_state_equations_say(trend: str, season: str) -> None:
    need("ets")
    model = fit_ets(seasonal(), 12, trend, season)
    forecast = model.forecast(30, (95.0,))
    calm = equations(model, [0.0] * 30)
    np.testing.assert_allclose(forecast.mean, model.scale.values(calm), rtol=1e-12)
    response = equations(model, [1.0] + [0.0] * 29) - calm
    growth = np.concatenate(([1.0], 1 + np.cumsum(response[1:] ** 2)))
    reach = (forecast.upper[95.0] - forecast.mean) / 1.959963984540054
    expected = model.scale.deviation(model.sigma * np.sqrt(growth))
    np.testing.assert_allclose(reach, expected, rtol=1e-9)


def equations(model: Ets, errors: list[float]) -> Vector:
    """Return the values that the state equations of table 2.1 make of these errors."""
    level, slope, season = model.level, model.slope, list(model.season)
    path = []
    for error in errors:
        before = level + model.phi * slope
        path.append(before + season[0] + error)
        level = before + model.alpha * error
        slope = model.phi * slope + model.beta * error
        season = [*season[1:], season[0] + model.gamma * error]
    return np.array(path)


@pytest.mark.parametrize("model", ["STM", "OTM", "DSTM", "DOTM"])
@pytest.mark.parametrize("period", [1, 12])
def test_theta_forecasts_what_statsforecast_does(model: str, period: int) -> None:
    need("theta")
    from statsforecast.models import AutoTheta

    values = seasonal()
    scale, unit = Scale.of(values)
    theirs = AutoTheta(season_length=period, model=model, decomposition_type="additive")
    expected = theirs.fit(unit).predict(30)["mean"]
    ours = load("theta").fit(values, period, {"model": model}).forecast(30)
    np.testing.assert_allclose(ours.mean, scale.values(expected), rtol=1e-9)


@pytest.mark.parametrize("overdifferenced", [False, True])
def test_arima_forecasts_what_statsmodels_does(overdifferenced: bool) -> None:
    need("arima")
    from statsmodels.tsa.arima.model import ARIMA

    values = seasonal(300)
    if overdifferenced:  # its MA root is near 1, where the filter has not settled after 300 values
        values = np.diff(values, 2)
    scale, unit = Scale.of(values)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = ARIMA(unit, order=(2, 0, 1), trend="c").fit(method="innovations_mle")
        predicted = theirs.get_forecast(30)
    options = {"p": 2, "d": 0, "q": 1, "seasonal_difference": False}
    ours = load("arima").fit(values, 12, options).forecast(30, (95.0,))
    size = scale.deviation(np.ones(1))[0]
    np.testing.assert_allclose(ours.mean, scale.values(predicted.predicted_mean), atol=1e-9 * size)
    if not overdifferenced:  # our widths are those of a settled filter
        reach = (ours.upper[95.0] - ours.mean) / 1.959963984540054
        np.testing.assert_allclose(reach, scale.deviation(predicted.se_mean), rtol=1e-6)


@pytest.mark.parametrize("d", [1, 2])
def test_arima_undoes_its_differences_as_statsmodels_does(d: int) -> None:
    need("arima")
    from statsmodels.tsa.arima.model import ARIMA

    from tally.forecast.arima import _differences

    values = seasonal(300)
    scale, unit = Scale.of(values)
    options = {"p": 2, "d": d, "q": 1, "seasonal_difference": True}
    model = load("arima").fit(values, 12, options)
    # To the last bit what was fitted: the optimiser ends elsewhere for a series that is one off.
    differenced = np.convolve(unit, _differences(12, d), mode="valid")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = ARIMA(differenced, order=(2, 0, 1), trend="n").fit(method="innovations_mle")
    path = list(theirs.forecast(30))
    for level in range(d - 1, -1, -1):
        last = np.diff(unit[12:] - unit[:-12], level)[-1]
        path = list(last + np.cumsum(path))
    whole = unit.tolist()
    for change in path:
        whole.append(whole[-12] + change)
    np.testing.assert_allclose(
        model.forecast(30).mean, scale.values(np.array(whole[300:])), rtol=1e-9
    )


def test_arima_differences_are_undone_exactly() -> None:
    need("arima")
    season = np.array([1.0, 5.0, 2.0, 8.0])
    options = {"p": 0, "d": 0, "q": 0, "seasonal_difference": True}
    model = load("arima").fit(np.tile(season, 10), 4, options)
    np.testing.assert_allclose(model.forecast(9).mean, np.tile(season, 3)[:9], rtol=1e-12)


@pytest.mark.parametrize("growth", ["linear", "flat"])
def test_prophet_forecasts_what_prophet_does(growth: str) -> None:
    need("prophet")
    import pandas

    from tally.forecast.prophet_model import _library_fit

    values = seasonal(200)
    scale, unit = Scale.of(values)
    # A trend that may bend freely, so that its share of the intervals shows.
    options = {**defaults("prophet"), "growth": growth, "changepoint_prior_scale": 5.0}
    theirs = _library_fit(unit, 12, 5, options)
    theirs.uncertainty_samples = 4000
    theirs.interval_width = 0.95
    dates = pandas.to_datetime(np.arange(200, 260), unit="m")
    np.random.seed(1)  # prophet draws from the global generator
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = theirs.predict(pandas.DataFrame({"ds": dates}))
    ours = load("prophet").fit(values, 12, options).forecast(60, (95.0,))
    means = scale.values(expected["yhat"].to_numpy())
    np.testing.assert_allclose(ours.mean, means, rtol=1e-9)
    widths = scale.deviation((expected["yhat_upper"] - expected["yhat_lower"]).to_numpy())
    np.testing.assert_allclose(ours.upper[95.0] - ours.lower[95.0], widths, rtol=0.12)


# Seasonal naive is off by 2.867. The original's ARIMA on seasonal differences is no better, and
# smoothing follows the last days instead of the season.
@pytest.mark.parametrize(
    ("name", "bound"),
    [("prophet", 1.95), ("mstl", 2.75), ("arima", 2.89), ("theta", 3.3), ("ets", 3.4)],
)
def test_a_year_of_temperatures_is_forecast_about_as_well_as_known(
    name: str, bound: float, temperatures: Vector
) -> None:
    need(name)
    training, truth = temperatures[:-365], temperatures[-365:]
    forecast = load(name).fit(training, 365, defaults(name)).forecast(365, (95.0,))
    assert np.abs(forecast.mean - truth).mean() < bound
    inside = np.mean((truth >= forecast.lower[95.0]) & (truth <= forecast.upper[95.0]))
    assert inside > 0.85
