"""Laws that every family of the base install keeps, over generated series."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tally.codec.binary import decode, encode
from tally.errors import FitFailed
from tally.forecast.base import Model, Vector
from tally.forecast.families import defaults
from tally.forecast.fitting import fit_series, load, restore

SERIES = npst.arrays(
    np.float64,
    st.integers(1, 120),
    elements=st.floats(-1e6, 1e6, allow_nan=False, width=64),
)
PERIODS = st.integers(1, 30)
NAMES = pytest.mark.parametrize("name", ["harmonic_ar", "seasonal_naive"])
FAST = settings(max_examples=60)


def fitted(name: str, values: Vector, period: int) -> Model:
    return load(name).fit(values, period, defaults(name))


@NAMES
@FAST
@given(values=SERIES, period=PERIODS)
def test_a_restored_model_forecasts_the_same_bits(name: str, values: Vector, period: int) -> None:
    model = fitted(name, values, period)
    again = restore(decode(encode(model.state())))
    ours, theirs = model.forecast(17, (80.0,)), again.forecast(17, (80.0,))
    assert ours.mean.tobytes() == theirs.mean.tobytes()
    assert ours.lower[80.0].tobytes() == theirs.lower[80.0].tobytes()


@NAMES
@FAST
@given(values=SERIES, period=PERIODS, steps=st.integers(1, 40), more=st.integers(1, 2500))
def test_the_first_steps_do_not_depend_on_how_many_are_asked_for(
    name: str, values: Vector, period: int, steps: int, more: int
) -> None:
    model = fitted(name, values, period)
    short, long = model.forecast(steps, (95.0,)), model.forecast(steps + more, (95.0,))
    assert short.mean.tobytes() == long.mean[:steps].tobytes()
    assert short.upper[95.0].tobytes() == long.upper[95.0][:steps].tobytes()


@NAMES
@FAST
@given(values=SERIES, period=PERIODS)
def test_intervals_hold_the_mean_and_a_higher_level_holds_a_lower_one(
    name: str, values: Vector, period: int
) -> None:
    forecast = fitted(name, values, period).forecast(9, (50.0, 99.0))
    for level in (50.0, 99.0):
        assert np.all(forecast.lower[level] <= forecast.mean)
        assert np.all(forecast.mean <= forecast.upper[level])
    assert np.all(forecast.lower[99.0] <= forecast.lower[50.0])
    assert np.all(forecast.upper[50.0] <= forecast.upper[99.0])


@NAMES
@FAST
@given(
    values=SERIES,
    period=PERIODS,
    factor=st.sampled_from([2.0, 1024.0, 2.0**-30]),
)
def test_another_unit_gives_the_same_forecast_in_that_unit(
    name: str, values: Vector, period: int, factor: float
) -> None:
    assume(np.abs(values).max() > 1e-100)
    ours = fitted(name, values, period).forecast(9, (80.0,))
    theirs = fitted(name, values * factor, period).forecast(9, (80.0,))
    # A power of two changes no digit.
    np.testing.assert_array_equal(ours.mean * factor, theirs.mean)
    np.testing.assert_array_equal(ours.upper[80.0] * factor, theirs.upper[80.0])


@NAMES
@FAST
@given(
    values=SERIES,
    period=PERIODS,
    factor=st.floats(1e-3, 1e3),
    offset=st.floats(-1e9, 1e9),
)
def test_a_moved_and_stretched_series_gives_the_moved_and_stretched_forecast(
    name: str, values: Vector, period: int, factor: float, offset: float
) -> None:
    # Sums in other digits: the law holds to rounding, so the values must be well above it.
    values = np.round(values)
    moved = factor * values + offset
    ours = fitted(name, values, period).forecast(9, (80.0,))
    theirs = fitted(name, moved, period).forecast(9, (80.0,))
    spread = np.ptp(values)
    assume(spread == 0 or factor * spread > 1e-3 * abs(offset))
    size = factor * (spread + np.abs(ours.mean).max()) + abs(offset)
    np.testing.assert_allclose(theirs.mean, factor * ours.mean + offset, atol=1e-4 * size)


@NAMES
@settings(max_examples=100)
@given(
    values=npst.arrays(
        np.float64, st.integers(1, 60), elements=st.floats(allow_nan=False, allow_infinity=False)
    ),
    period=st.none() | PERIODS,
)
def test_any_finite_series_gives_finite_answers_or_a_sentence(
    name: str, values: Vector, period: int | None
) -> None:
    try:
        found = fit_series(values, algorithm=name, period=period)
        forecast = found.model.forecast(30, (95.0,))
    except FitFailed as error:
        if "64-bit" not in str(error):
            raise
        return
    json.dumps(asdict(found.backtest), allow_nan=False)
    for numbers in (forecast.mean, forecast.lower[95.0], forecast.upper[95.0]):
        assert np.all(np.isfinite(numbers))


@NAMES
@FAST
@given(values=SERIES, period=PERIODS)
def test_a_fit_is_the_same_every_time_and_leaves_the_series_alone(
    name: str, values: Vector, period: int
) -> None:
    before = values.tobytes()
    first, second = (encode(fitted(name, values, period).state()) for _ in range(2))
    assert first == second
    assert values.tobytes() == before
