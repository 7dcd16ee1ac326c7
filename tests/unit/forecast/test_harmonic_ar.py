from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tally.errors import CorruptState, FitFailed
from tally.forecast import harmonic_ar, seasonal_naive
from tally.forecast.autoregression import fit_ar, modulus, variance_growth
from tally.forecast.base import State, Vector
from tally.forecast.families import defaults

ROOT = Path(__file__).parents[3]
OPTIONS = defaults("harmonic_ar")


@pytest.fixture(scope="module")
def temperatures() -> Vector:
    return np.array(json.loads((ROOT / "dataset_simple").read_text())["data"], dtype=np.float64)


def test_the_shipped_series_is_forecast_a_third_better_than_by_last_year(
    temperatures: Vector,
) -> None:
    training, truth = temperatures[:-365], temperatures[-365:]
    ours = harmonic_ar.fit(training, 365, OPTIONS).forecast(365, (80.0, 95.0))
    naive = seasonal_naive.fit(training, 365, {}).forecast(365)
    error = np.abs(ours.mean - truth).mean()
    assert error == pytest.approx(1.954, abs=0.005)
    assert error < 0.7 * np.abs(naive.mean - truth).mean()
    for level in (80.0, 95.0):
        inside = np.mean((truth >= ours.lower[level]) & (truth <= ours.upper[level]))
        assert 100 * inside == pytest.approx(level, abs=3)


@pytest.mark.parametrize(
    "values",
    [
        [5.0],
        [0.0],
        [1.0, 2.0],
        [1.0, 2.0, 3.0],
        [7.0] * 50,
        [1e308, -1e308, 1e308],
        [1e-320, 2e-320, 0.0] * 4,
        [1e9, 1e9 + 1.0] * 30,
        list(1.05 ** np.arange(300.0)),
    ],
    ids=["one", "zero", "two", "three", "constant", "huge", "subnormal", "offset", "exponential"],
)
def test_odd_series_give_finite_forecasts(values: list[float]) -> None:
    forecast = harmonic_ar.fit(np.array(values), 7, OPTIONS).forecast(20, (95.0,))
    for numbers in (forecast.mean, forecast.lower[95.0], forecast.upper[95.0]):
        assert np.all(np.isfinite(numbers))
    assert np.all(forecast.lower[95.0] <= forecast.mean)
    assert np.all(forecast.mean <= forecast.upper[95.0])


def test_a_constant_series_is_continued_exactly() -> None:
    forecast = harmonic_ar.fit(np.full(30, 0.1), 7, OPTIONS).forecast(3, (95.0,))
    assert forecast.mean.tolist() == [0.1] * 3
    assert forecast.upper[95.0].tolist() == [0.1] * 3


def test_a_line_with_a_season_is_continued_exactly() -> None:
    time = np.arange(120.0)
    values = 3 + 0.5 * time + 2 * np.sin(2 * np.pi * time / 12)
    forecast = harmonic_ar.fit(values, 12, OPTIONS).forecast(24)
    ahead = np.arange(120.0, 144.0)
    expected = 3 + 0.5 * ahead + 2 * np.sin(2 * np.pi * ahead / 12)
    np.testing.assert_allclose(forecast.mean, expected, rtol=1e-5)


def test_a_season_seen_less_than_one_and_a_half_times_is_not_fitted() -> None:
    values = np.sin(np.arange(14.0))
    model = harmonic_ar.fit(values, 10, OPTIONS)
    assert isinstance(model, harmonic_ar.HarmonicAr)
    assert model.pairs == 0


def test_the_intervals_of_a_trend_widen_with_the_distance() -> None:
    rng = np.random.default_rng(3)
    values = 0.1 * np.arange(200.0) + rng.normal(size=200)
    forecast = harmonic_ar.fit(values, 1, OPTIONS).forecast(400, (95.0,))
    widths = forecast.upper[95.0] - forecast.lower[95.0]
    assert widths[399] > 1.1 * widths[20]


def test_an_explosive_series_gets_a_stationary_autoregression() -> None:
    series = np.cumsum(np.cumsum(np.random.default_rng(1).normal(size=300)))
    coefficients = fit_ar(series - series.mean(), 7)
    assert modulus(coefficients) <= 0.9991


def test_variances_grow_as_the_moving_average_form_says() -> None:
    coefficients = np.array([0.5, 0.2])
    psi = [1.0, 0.5, 0.45, 0.325]
    expected = np.cumsum(np.square(psi))
    np.testing.assert_allclose(variance_growth(coefficients, 4), expected, rtol=1e-15)


def test_a_long_forecast_costs_no_loop_over_its_dead_tail() -> None:
    model = harmonic_ar.fit(np.random.default_rng(2).normal(size=500), 1, OPTIONS)
    long = model.forecast(100_000, (80.0,))
    assert len(long.mean) == 100_000
    assert long.mean[:7].tolist() == model.forecast(7).mean.tolist()


@pytest.mark.parametrize("name", ["weights", "ar", "last", "scale", "errors"])
def test_a_damaged_state_is_refused(name: str) -> None:
    state = harmonic_ar.fit(np.arange(40.0) % 7, 7, OPTIONS).state()
    missing = {key: value for key, value in state.arrays.items() if key != name}
    with pytest.raises(CorruptState, match=name):
        harmonic_ar.restore(State(state.family, missing, state.meta))
    if name != "ar":
        longer = {**state.arrays, name: np.append(state.arrays[name], 1.0)}
        with pytest.raises(CorruptState, match=name):
            harmonic_ar.restore(State(state.family, longer, state.meta))


def test_a_forecast_past_float64_is_a_sentence() -> None:
    values = np.linspace(0, 1.7e308, 30)
    with pytest.raises(FitFailed, match="64-bit"):
        harmonic_ar.fit(values, 1, OPTIONS).forecast(100)
