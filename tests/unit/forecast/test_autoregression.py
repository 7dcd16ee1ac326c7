from __future__ import annotations

import numpy as np
import pytest

from tally.forecast.autoregression import (
    continue_ar,
    fit_ar,
    gain,
    innovations,
    modulus,
    variance_growth,
)
from tally.forecast.base import Vector

SLOW = np.array([1.2, 0.1, -0.25, 0.0, -0.06]) * 1.03 ** np.arange(1, 6)


def recursion(last: Vector, coefficients: Vector, steps: int) -> Vector:
    path = list(last)
    for _ in range(steps):
        path.append(float(coefficients @ np.array(path[: -len(coefficients) - 1 : -1])))
    return np.array(path[len(last) :])


def test_the_coefficients_of_a_long_series_are_found() -> None:
    truth = np.array([0.6, -0.3])
    noise = np.random.default_rng(1).normal(size=20_000)
    series = np.zeros(20_000)
    for t in range(2, len(series)):
        series[t] = truth @ series[t - 2 : t][::-1] + noise[t]
    found = fit_ar(series, 2)
    np.testing.assert_allclose(found, truth, atol=0.02)
    assert innovations(series, found).std() == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("order", [1, 2, 7, 20])
@pytest.mark.parametrize("kind", ["growth", "walk of a walk", "wave", "alternating growth"])
def test_the_autoregression_of_a_series_that_explodes_is_stationary(kind: str, order: int) -> None:
    time = np.arange(300.0)
    walk = np.random.default_rng(1).normal(size=300).cumsum()
    series = {
        "growth": 1.05**time,
        "walk of a walk": walk.cumsum() - walk.cumsum().mean(),
        "wave": np.sin(time),
        "alternating growth": (-1.03) ** time,
    }[kind]
    coefficients = fit_ar(series, order)
    assert modulus(coefficients) <= 0.9991
    assert np.abs(continue_ar(series[len(series) - order :], coefficients, 5000)[-1]) < 10


@pytest.mark.parametrize("steps", [1, 1023, 1024, 1025, 2500, 5000])
def test_a_long_forecast_is_that_of_the_recursion(steps: int) -> None:
    assert 0.99 < modulus(SLOW) < 1
    last = np.array([1.0, 2.0, -1.0, 0.5, 3.0])
    ours = continue_ar(last, SLOW, steps)
    np.testing.assert_allclose(ours, recursion(last, SLOW, steps), rtol=1e-7, atol=1e-11)


@pytest.mark.parametrize("steps", [1, 1000, 1024, 1025, 2047, 2048, 4000])
def test_blocks_begin_at_the_same_steps_however_many_are_asked_for(steps: int) -> None:
    last = np.array([1.0, 2.0, -1.0, 0.5, 3.0])
    longest = continue_ar(last, SLOW, 5000)
    assert continue_ar(last, SLOW, steps).tobytes() == longest[:steps].tobytes()


def test_what_has_died_out_is_exactly_zero() -> None:
    path = continue_ar(np.array([1.0]), np.array([0.9]), 100_000)
    assert path[200] != 0
    assert not path[1024:].any()


def test_no_coefficients_forecast_zero() -> None:
    assert continue_ar(np.zeros(0), np.zeros(0), 3).tolist() == [0.0] * 3
    assert variance_growth(np.zeros(0), 3).tolist() == [1.0] * 3


def test_variances_grow_as_the_moving_average_form_says() -> None:
    psi = [1.0, 0.5, 0.45, 0.325]
    growth = variance_growth(np.array([0.5, 0.2]), 4)
    np.testing.assert_allclose(growth, np.cumsum(np.square(psi)), rtol=1e-15)


def test_the_variance_far_ahead_is_that_of_the_series() -> None:
    assert variance_growth(np.array([0.8]), 5000)[-1] == pytest.approx(1 / (1 - 0.8**2))


def test_the_gain_at_a_unit_root_is_bounded() -> None:
    assert gain(np.array([1.0]), np.zeros(1)).tolist() == pytest.approx([1000.0])
