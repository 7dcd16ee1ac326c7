from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tally.codec.binary import decode, encode
from tally.errors import CorruptState
from tally.forecast.base import State, Vector
from tally.forecast.families import FAMILIES, defaults
from tally.forecast.fitting import load, restore
from tests.extras.conftest import need

OPTIONAL = [family.name for family in FAMILIES.values() if family.extra]

RELOAD = """
import sys
from tally.codec.binary import decode
from tally.forecast.fitting import restore
forecast = restore(decode(open(sys.argv[1], 'rb').read())).forecast(40, (80.0,))
heavy = {'statsforecast', 'statsmodels', 'prophet', 'pandas'} & set(sys.modules)
assert not heavy, heavy
print([x.hex() for x in forecast.mean.tolist() + forecast.upper[80.0].tolist()])
"""

FIT = """
import sys
import numpy as np
from tally.forecast.families import defaults
from tally.forecast.fitting import load
values = np.tile([5.0, 3.0, 0.0, -2.0, -4.0], 12) + np.arange(60) % 7
load(sys.argv[1]).fit(values, 5, defaults(sys.argv[1])).forecast(3, (95.0,))
"""


@pytest.fixture(params=OPTIONAL)
def name(request: pytest.FixtureRequest) -> str:
    found = str(request.param)
    need(found)
    return found


def weekly(rows: int = 210) -> Vector:
    rng = np.random.default_rng(7)
    time = np.arange(rows)
    season = np.array([5.0, 3.0, 0.0, -2.0, -4.0, -3.0, 1.0])
    return np.asarray(50 + 0.05 * time + season[time % 7] + rng.normal(size=rows))


def test_a_stored_model_forecasts_the_same_bits_in_a_fresh_process_without_its_library(
    name: str, temperatures: Vector, tmp_path: Path
) -> None:
    model = load(name).fit(temperatures[-1200:], 365, defaults(name))
    path = tmp_path / "model"
    path.write_bytes(encode(model.state()))
    done = subprocess.run(
        [sys.executable, "-c", RELOAD, str(path)], capture_output=True, text=True, check=True
    )
    forecast = model.forecast(40, (80.0,))
    bits = [x.hex() for x in forecast.mean.tolist() + forecast.upper[80.0].tolist()]
    assert done.stdout.strip() == str(bits)


def test_the_first_steps_do_not_depend_on_how_many_are_asked_for(name: str) -> None:
    model = load(name).fit(weekly(), 7, defaults(name))
    short, long = model.forecast(5, (95.0,)), model.forecast(60, (95.0,))
    assert short.mean.tolist() == long.mean[:5].tolist()
    assert short.lower[95.0].tolist() == long.lower[95.0][:5].tolist()


def test_a_fit_is_the_same_every_time(name: str) -> None:
    first, second = (load(name).fit(weekly(), 7, defaults(name)) for _ in range(2))
    assert encode(first.state()) == encode(second.state())


def test_it_beats_seasonal_naive_on_a_noisy_season(name: str) -> None:
    values = weekly(252)
    training, truth = values[:-42], values[-42:]
    forecast = load(name).fit(training, 7, defaults(name)).forecast(42, (95.0,))
    naive = load("seasonal_naive").fit(training, 7, {}).forecast(42)
    assert np.abs(forecast.mean - truth).mean() < np.abs(naive.mean - truth).mean()
    inside = np.mean((truth >= forecast.lower[95.0]) & (truth <= forecast.upper[95.0]))
    # Smoothing follows some of the noise, most of all by LOESS: 95 % mean about 75 % here.
    assert inside > (0.7 if name in ("ets", "mstl") else 0.8)


def test_a_fit_prints_nothing(name: str) -> None:
    done = subprocess.run([sys.executable, "-c", FIT, name], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("rows", range(1, 16))
def test_short_series_of_any_kind_can_be_fitted(name: str, rows: int) -> None:
    time = np.arange(rows)
    kinds = {
        "noise": np.random.default_rng(rows).normal(size=rows),
        "line": 5 + 0.1 * time,
        "zeros, then one": 1.0 * (time == rows - 1),
        "pattern": np.array([1.0, 5.0, 2.0])[time % 3],
    }
    for kind, values in kinds.items():
        for period in (1, 3):
            model = load(name).fit(values, period, defaults(name))
            forecast = model.forecast(4, (95.0,))
            assert np.all(np.isfinite(forecast.upper[95.0])), kind
            assert np.all(forecast.lower[95.0] <= forecast.mean), kind
            assert encode(restore(decode(encode(model.state()))).state()) == encode(model.state())


@pytest.mark.parametrize(
    "values",
    [[7.0] * 40, [0.0] * 30, [1e9, 1e9 + 1] * 20, [1e308, -1e308] * 20, [0.0] * 29 + [3e-300]],
    ids=["constant", "zeros", "offset", "huge", "tiny"],
)
def test_odd_series_give_finite_forecasts(name: str, values: list[float]) -> None:
    model = load(name).fit(np.array(values), 7, defaults(name))
    forecast = model.forecast(3, (95.0,))
    if min(values) == max(values):
        assert forecast.mean.tolist() == values[:3]
    for numbers in (forecast.mean, forecast.lower[95.0], forecast.upper[95.0]):
        assert np.all(np.isfinite(numbers))
    restored = restore(decode(encode(model.state())))
    assert restored.forecast(3).mean.tolist() == forecast.mean.tolist()


def test_a_state_with_a_missing_array_is_refused(name: str) -> None:
    state = load(name).fit(weekly(), 7, defaults(name)).state()
    for missing in state.arrays:
        arrays = {key: value for key, value in state.arrays.items() if key != missing}
        with pytest.raises(CorruptState, match="missing"):
            restore(State(state.family, arrays, state.meta))


def test_a_state_with_an_array_of_the_wrong_shape_is_refused(name: str) -> None:
    state = load(name).fit(weekly(), 7, defaults(name)).state()
    fixed = set(state.arrays) - {"season", "rest.season", "weights", "ar", "ma"}
    damaged = {key: np.append(state.arrays[key], 1.0) for key in fixed}
    damaged |= {key: np.zeros((2, 2)) for key in state.arrays}
    damaged |= {key: np.zeros(0) for key in state.arrays if key.endswith("season")}
    damaged |= {key: np.append(state.arrays[key], 1.0) for key in state.arrays if key == "weights"}
    for key, value in damaged.items():
        with pytest.raises(CorruptState, match=key.removeprefix("rest.")):
            restore(State(state.family, {**state.arrays, key: value}, state.meta))


def test_a_state_with_nonsense_for_a_count_is_refused(name: str) -> None:
    state = load(name).fit(weekly(), 7, defaults(name)).state()
    for key in state.meta:
        for value in (None, "7", -1, 2.5):
            with pytest.raises(CorruptState, match=key):
                restore(State(state.family, state.arrays, {**state.meta, key: value}))
