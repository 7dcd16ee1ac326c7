from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tally.errors import AlgorithmUnavailable, FitFailed, InvalidInput
from tally.forecast.backtest import backtest, moments
from tally.forecast.base import Vector
from tally.forecast.families import FAMILIES, Family, check_options, defaults, family
from tally.forecast.fitting import fit_series, load
from tally.forecast.period import find_period

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def temperatures() -> Vector:
    return np.array(json.loads((ROOT / "dataset_simple").read_text())["data"], dtype=np.float64)


def test_the_period_of_the_shipped_series_is_a_year(temperatures: Vector) -> None:
    assert find_period(temperatures) == 365
    assert find_period(temperatures[:1500]) == 365


@pytest.mark.parametrize("period", [4, 7, 12, 24, 168])
def test_a_calendar_season_under_noise_is_found(period: int) -> None:
    rng = np.random.default_rng(period)
    time = np.arange(12 * period)
    values = 3 * np.sin(2 * np.pi * time / period) + rng.normal(size=len(time))
    assert find_period(values) == period


def test_a_spike_once_a_week_is_a_season_of_seven() -> None:
    rng = np.random.default_rng(5)
    values = (np.arange(400) % 7 == 2) * 3.0 + 0.5 * rng.normal(size=400)
    assert find_period(values) == 7


@pytest.mark.parametrize("rows", [1, 7, 50, 200, 1000])
@pytest.mark.parametrize("kind", ["noise", "walk", "constant", "line"])
def test_what_has_no_season_has_period_one(rows: int, kind: str) -> None:
    noise = np.random.default_rng(rows).normal(size=rows)
    series = {
        "noise": noise,
        "walk": noise.cumsum(),
        "constant": np.ones(rows),
        "line": np.arange(float(rows)),
    }
    assert find_period(series[kind]) == 1


def test_the_backtest_never_shows_a_model_the_future() -> None:
    values = np.arange(100.0)
    seen: list[int] = []

    def fit(part: Vector) -> object:
        seen.append(len(part))
        assert part.tolist() == values[: len(part)].tolist()
        return load("seasonal_naive").fit(part, 1, {})

    backtest(values, 1, fit)  # type: ignore[arg-type]
    assert seen == [60, 80]


def test_the_backtest_of_the_shipped_series_is_the_known_one(temperatures: Vector) -> None:
    assert moments(3650, 365) == ([2190, 2555, 2920, 3285], 365)
    fitted = fit_series(temperatures, algorithm="harmonic_ar")
    assert fitted.backtest.model.mae == pytest.approx(2.122, abs=0.01)
    assert fitted.backtest.seasonal_naive.mae == pytest.approx(3.008, abs=0.001)
    assert fitted.backtest.skill == pytest.approx(0.293, abs=0.005)
    assert fitted.backtest.model.coverage["80"] == pytest.approx(0.8, abs=0.04)
    assert fitted.backtest.model.coverage["95"] == pytest.approx(0.95, abs=0.02)


def test_a_short_series_says_why_it_has_no_backtest() -> None:
    fitted = fit_series(np.array([1.0, 2.0]), algorithm="harmonic_ar")
    assert fitted.backtest.model.mae is None
    assert "too few" in fitted.backtest.note


def test_auto_takes_the_family_with_the_smaller_error() -> None:
    rng = np.random.default_rng(8)
    smooth = np.sin(2 * np.pi * np.arange(200) / 12) + 0.3 * rng.normal(size=200)
    jagged = np.tile(rng.normal(size=50), 8)  # more corners than four Fourier pairs have
    assert fit_series(jagged, algorithm="auto", period=50).algorithm == "seasonal_naive"
    chosen = fit_series(smooth, algorithm="auto", period=30)
    assert chosen.algorithm == "harmonic_ar"


def test_progress_is_told_and_may_stop_the_work() -> None:
    told: list[str] = []

    def progress(_: float, doing: str) -> None:
        told.append(doing)
        if doing.startswith("fitting"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_series(np.arange(50.0), algorithm="harmonic_ar", progress=progress)
    assert told[0] == "looking for the season"


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [float("inf")]])
def test_a_series_that_is_no_series_is_refused(values: list[float]) -> None:
    with pytest.raises(FitFailed, match="finite"):
        fit_series(np.array(values), algorithm="harmonic_ar")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pears": 1}, "options.pears: 'harmonic_ar' has no such option"),
        ({"pairs": "4"}, "options.pairs: '4' is not a whole number"),
        ({"pairs": 4.5}, "options.pairs: 4.5 is not a whole number"),
        ({"pairs": True}, "options.pairs: True is not a whole number"),
        ({"pairs": 51}, "options.pairs: 51 is not between 0 and 50"),
        ({"trend": 1}, "options.trend: 1 is not true or false"),
    ],
)
def test_a_wrong_option_is_named(given: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_options("harmonic_ar", given)
    assert message in str(refused.value)


def test_auto_has_no_options() -> None:
    with pytest.raises(InvalidInput, match=r"options\.pairs"):
        check_options("auto", {"pairs": 2})


def test_an_algorithm_that_is_not_installed_names_the_line_that_installs_it() -> None:
    missing = Family("x", "x", "", extra="some-extra", probe="no_such_package_anywhere")
    with pytest.raises(AlgorithmUnavailable, match=r"pip install 'tally\[some-extra\]'"):
        missing.require()


def test_an_unknown_algorithm_names_the_known_ones() -> None:
    with pytest.raises(InvalidInput, match="harmonic_ar"):
        family("arma")


def test_every_line_of_the_table_has_a_module_and_checked_defaults() -> None:
    for name in FAMILIES:
        assert hasattr(load(name), "fit")
        assert hasattr(load(name), "restore")
        assert check_options(name, defaults(name)) == defaults(name)
