from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from tally.errors import AlgorithmUnavailable, FitFailed, InvalidInput
from tally.forecast import seasonal_naive
from tally.forecast.backtest import backtest, moments
from tally.forecast.base import Model, Vector
from tally.forecast.families import FAMILIES, Family, check_options, defaults, family
from tally.forecast.fitting import fit_series, load

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def temperatures() -> Vector:
    return np.array(json.loads((ROOT / "dataset_simple").read_text())["data"], dtype=np.float64)


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


def test_auto_passes_over_a_family_that_cannot_fit_the_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    jagged = np.tile(np.random.default_rng(8).normal(size=50), 8)

    def fit(values: Vector, period: int, options: object) -> Model:
        if len(values) == len(jagged):
            raise FitFailed("the last value is the wrong one")
        return naive_fit(values, period, {})

    naive_fit = load("seasonal_naive").fit
    monkeypatch.setattr(seasonal_naive, "fit", fit)
    assert fit_series(jagged, algorithm="auto", period=50).algorithm == "harmonic_ar"


@pytest.mark.parametrize("rows", [1, 2, 3, 10, 60])
@pytest.mark.parametrize("algorithm", ["harmonic_ar", "seasonal_naive"])
def test_scores_that_are_undefined_are_none_and_say_why(algorithm: str, rows: int) -> None:
    tested = fit_series(np.full(rows, 7.0), algorithm=algorithm).backtest
    assert tested.skill is None
    assert tested.model.mase is None
    assert tested.note
    assert "NaN" not in json.dumps(asdict(tested), allow_nan=False)


def test_the_tables_and_the_calendar_need_no_numpy() -> None:
    check = (
        "import sys, tally.forecast.families, tally.forecast.scores, tally.calendar;"
        "assert 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", check], check=True, timeout=60)


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
