from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tally.errors import CorruptState, FitFailed
from tally.forecast import harmonic_ar, seasonal_naive
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
        assert 100 * inside == pytest.approx(level, abs=4)


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


@pytest.mark.parametrize("season", [[1.0, -1.0], [3.0, 0.0, -1.0, 5.0]], ids=["two", "four"])
def test_the_season_of_an_even_period_is_fitted_to_its_last_wave(season: list[float]) -> None:
    forecast = harmonic_ar.fit(np.tile(season, 15), len(season), OPTIONS).forecast(4)
    np.testing.assert_allclose(forecast.mean, np.tile(season, 2)[:4], atol=1e-4)


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


@pytest.mark.parametrize(
    ("rows", "walks", "low", "high"),
    [(24, False, 72, 92), (120, False, 76, 86), (60, True, 72, 95), (120, True, 76, 96)],
)
def test_about_four_of_five_values_lie_in_the_80_percent_interval(
    rows: int, walks: bool, low: float, high: float
) -> None:
    rng = np.random.default_rng(rows)
    inside = []
    for _ in range(60):
        noise = rng.normal(size=rows + 12)
        values = noise.cumsum() if walks else noise + 3 * np.sin(np.arange(rows + 12) * np.pi / 6)
        forecast = harmonic_ar.fit(values[:rows], 1 if walks else 12, OPTIONS).forecast(12, (80.0,))
        truth = values[rows:]
        inside.append((truth >= forecast.lower[80.0]) & (truth <= forecast.upper[80.0]))
    assert low <= 100 * np.mean(inside) <= high


@pytest.mark.parametrize("trend", [False, True])
def test_without_lags_the_errors_are_those_of_a_regression(trend: bool) -> None:
    values = np.random.default_rng(12).normal(size=40)
    model = harmonic_ar.fit(values, 1, {"pairs": 0, "ar_order": 0, "trend": trend})
    assert isinstance(model, harmonic_ar.HarmonicAr)
    columns = np.vander(np.arange(100.0), 1 + trend)
    seen, ahead = columns[:40], columns[40:]
    leverage = np.einsum("ti,ij,tj->t", ahead, np.linalg.inv(seen.T @ seen), ahead)
    expected = model.errors.sigma * np.sqrt(1 + leverage)
    np.testing.assert_allclose(model.unit_deviation(60), expected, rtol=1e-3)


def test_a_series_that_changed_its_level_is_forecast_with_caution() -> None:
    calm = np.random.default_rng(4).normal(size=120)
    steady = harmonic_ar.fit(calm, 1, OPTIONS)
    moved = harmonic_ar.fit(calm + 20 * (np.arange(120) >= 70), 1, OPTIONS)
    assert isinstance(steady, harmonic_ar.HarmonicAr)
    assert isinstance(moved, harmonic_ar.HarmonicAr)
    assert steady.errors.caution < 1.3
    assert moved.errors.caution > 2


def test_a_forecast_past_float64_is_a_sentence() -> None:
    values = np.linspace(0, 1.7e308, 30)
    with pytest.raises(FitFailed, match="64-bit"):
        harmonic_ar.fit(values, 1, OPTIONS).forecast(100)


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


@pytest.mark.parametrize(
    ("name", "value"),
    [("rows", 0), ("period", 0), ("pairs", -1), ("rows", 2.5), ("rows", 1e300), ("rows", "x")],
)
def test_a_count_that_cannot_be_is_refused(name: str, value: object) -> None:
    state = harmonic_ar.fit(np.arange(40.0) % 7, 7, OPTIONS).state()
    with pytest.raises(CorruptState, match=name):
        harmonic_ar.restore(State(state.family, state.arrays, {**state.meta, name: value}))


@pytest.mark.parametrize("place", range(5))
def test_an_error_below_zero_is_refused(place: int) -> None:
    state = harmonic_ar.fit(np.arange(40.0) % 7, 7, OPTIONS).state()
    errors = np.array(state.arrays["errors"])
    errors[place] = -1.0
    with pytest.raises(CorruptState, match="errors"):
        harmonic_ar.restore(State(state.family, {**state.arrays, "errors": errors}, state.meta))
