from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tally.calendar import Frequency
from tally.forecast.base import Vector
from tally.forecast.period import CALENDAR, find_period

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def temperatures() -> Vector:
    return np.array(json.loads((ROOT / "dataset_simple").read_text())["data"], dtype=np.float64)


@pytest.mark.parametrize("rows", [800, 1095, 1500, 2000, 3285, 3650])
def test_the_period_of_the_shipped_series_is_a_year(temperatures: Vector, rows: int) -> None:
    assert find_period(temperatures[:rows]) == 365
    assert find_period(temperatures[:rows], Frequency.parse("D").seasons) == 365


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("period", [3, 4, 7, 11, 12, 17, 24, 52, 100, 168])
def test_any_shape_under_noise_is_found(period: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = 3 * np.tile(rng.normal(size=period), 10) + rng.normal(size=10 * period)
    if period < 4:  # too few numbers to be surely no constant
        values = 3 * np.tile(np.arange(float(period)), 10) + 0.5 * rng.normal(size=10 * period)
    assert find_period(values) == period


@pytest.mark.parametrize("period", [4, 7, 12, 17, 24, 100, 168, 365])
def test_a_wave_under_noise_is_found(period: int) -> None:
    rng = np.random.default_rng(period)
    time = np.arange(12 * period)
    values = 3 * np.sin(2 * np.pi * time / period) + rng.normal(size=len(time))
    assert find_period(values) == period


@pytest.mark.parametrize("period", [7, 12, 50])
def test_a_wave_without_noise_is_found(period: int) -> None:
    assert find_period(np.sin(2 * np.pi * np.arange(10 * period + 3) / period)) == period


@pytest.mark.parametrize(("period", "years"), [(4, 6), (12, 3), (7, 4)])
def test_a_few_seasons_are_enough_where_they_are_clear(period: int, years: int) -> None:
    shape = np.random.default_rng(period).normal(size=period)
    noise = np.random.default_rng(2).normal(size=period * years)
    time = np.arange(period * years)
    assert find_period(5 * shape[time % period] + 0.1 * time + noise) == period


def test_a_season_on_a_random_walk_is_found() -> None:
    rng = np.random.default_rng(3)
    time = np.arange(300)
    assert find_period(rng.normal(size=300).cumsum() + 4.0 * (time % 7 == 2)) == 7


def test_the_stronger_of_a_day_and_a_week_is_taken() -> None:
    rng = np.random.default_rng(6)
    hours = np.arange(24 * 7 * 6)
    daily = np.sin(2 * np.pi * hours / 24)
    weekend = 0.2 * (hours // 24 % 7 >= 5)
    noise = 0.3 * rng.normal(size=len(hours))
    assert find_period(3 * daily + weekend + noise, (24, 168, 8766)) == 24
    assert find_period(0.2 * daily + 20 * weekend + noise, (24, 168, 8766)) == 168


@pytest.mark.parametrize("natural", [(30,), (*CALENDAR, 30)])
def test_a_calendar_season_close_to_what_the_data_says_is_taken(natural: tuple[int, ...]) -> None:
    time = np.arange(150)
    values = np.sin(2 * np.pi * time / 30.6) + 0.3 * np.random.default_rng(1).normal(size=150)
    assert find_period(values, natural) == 30
    assert find_period(values, ()) == 31


def test_a_season_that_is_no_calendar_season_is_found_all_the_same() -> None:
    rng = np.random.default_rng(9)
    shape = rng.normal(size=10)
    values = 3 * np.tile(shape, 20) + rng.normal(size=200)
    assert find_period(values, Frequency.parse("D").seasons) == 10


@pytest.mark.parametrize("kind", ["noise", "ar", "alternating", "walk", "walk of a walk", "heavy"])
@pytest.mark.parametrize("rows", [20, 60, 200, 1000])
def test_what_has_no_season_seldom_seems_to_have_one(rows: int, kind: str) -> None:
    found = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        noise = rng.normal(size=rows)
        series = {
            "noise": noise,
            "ar": np.convolve(noise, 0.9 ** np.arange(50))[:rows],
            "alternating": np.convolve(noise, (-0.7) ** np.arange(50))[:rows],
            "walk": noise.cumsum(),
            "walk of a walk": noise.cumsum().cumsum(),
            "heavy": rng.standard_t(2, size=rows),
        }[kind]
        found += find_period(series) != 1
    assert found <= (4 if rows <= 60 else 1)


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 8, 50, 1000])
@pytest.mark.parametrize("kind", ["constant", "line", "parabola", "step", "huge"])
def test_what_is_smooth_has_no_season(rows: int, kind: str) -> None:
    time = np.arange(float(rows))
    series = {
        "constant": np.full(rows, 0.1),
        "line": 0.3 * time + 1e9,
        "parabola": time**2,
        "step": np.where(time < rows / 2, 0.0, 1.0),
        "huge": np.full(rows, 1.7e308),
    }
    assert find_period(series[kind]) == 1
