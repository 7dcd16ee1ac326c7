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
    name: str, tmp_path: Path
) -> None:
    model = load(name).fit(weekly(), 7, defaults(name))
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


def test_it_beats_the_mean_on_a_seasonal_series(name: str) -> None:
    values = weekly(252)
    training, truth = values[:-42], values[-42:]
    forecast = load(name).fit(training, 7, defaults(name)).forecast(42, (95.0,))
    error = np.abs(forecast.mean - truth).mean()
    assert error < 0.6 * np.abs(training.mean() - truth).mean()
    inside = np.mean((truth >= forecast.lower[95.0]) & (truth <= forecast.upper[95.0]))
    assert inside > 0.7


@pytest.mark.parametrize(
    "values",
    [[5.0], [1.0, 2.0], [7.0] * 40, [0.0] * 30, [1e9, 1e9 + 1] * 20, [1e308, -1e308] * 20],
    ids=["one", "two", "constant", "zeros", "offset", "huge"],
)
def test_odd_series_give_finite_forecasts(name: str, values: list[float]) -> None:
    model = load(name).fit(np.array(values), 7, defaults(name))
    forecast = model.forecast(3, (95.0,))
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
