"""A stationary autoregression of a mean-zero series: fitting, and its two recursions."""

from __future__ import annotations

import numpy as np

from tally.forecast.base import Vector

MAX_MODULUS = 0.999
"""Of the roots: above it the least-squares fit is replaced by the Yule-Walker one."""

_NEGLIGIBLE = 1e-12  # of a unit-size series; a recursion that fell below it has ended

_BLOCK = 1024  # steps; longer than any order


def fit_ar(series: Vector, order: int) -> Vector:
    """Return `(order,)` coefficients `a` of `x[t] = sum(a[i] * x[t - 1 - i]) + noise`.

    By conditional least squares; where that is not stationary, by the Yule-Walker equations on
    the biased autocovariances, whose solution always is.

    Source: Brockwell and Davis, Time Series: Theory and Methods, 2nd ed., sections 8.1 and 8.7.
    """
    order = min(order, len(series) // 3)
    if order == 0 or not np.any(series):
        return np.zeros(0)
    lags = np.lib.stride_tricks.sliding_window_view(series, order)[:-1, ::-1]
    coefficients: Vector = np.linalg.lstsq(lags, series[order:], rcond=None)[0].astype(np.float64)
    if modulus(coefficients) <= MAX_MODULUS:
        return coefficients
    n = len(series)
    covariances = np.array([series[: n - lag] @ series[lag:] / n for lag in range(order + 1)])
    distances = np.abs(np.subtract.outer(np.arange(order), np.arange(order)))
    # A trace of ridge, since a pure sinusoid makes the matrix singular to working precision.
    matrix = covariances[distances] + 1e-9 * covariances[0] * np.eye(order)
    coefficients = np.linalg.solve(matrix, covariances[1:]).astype(np.float64)
    excess = modulus(coefficients) / MAX_MODULUS
    if excess > 1:
        # Scaling coefficient i by r**i scales every root by r.
        coefficients = coefficients * excess ** -np.arange(1.0, order + 1)
    return coefficients


def modulus(coefficients: Vector) -> float:
    """Return the largest modulus of the characteristic roots; below 1 is stationary.

    Example:
        >>> round(modulus(np.array([0.5])), 3)
        0.5
    """
    if len(coefficients) == 0:
        return 0.0
    return float(np.abs(np.roots(np.concatenate(([1.0], -coefficients)))).max())


def innovations(series: Vector, coefficients: Vector) -> Vector:
    """Return the one-step errors, from the first moment that has all its lags."""
    order = len(coefficients)
    if order == 0:
        return series
    lags = np.lib.stride_tricks.sliding_window_view(series, order)[:-1, ::-1]
    return np.asarray(series[order:] - lags @ coefficients)


def gain(coefficients: Vector, frequencies: Vector) -> Vector:
    """Return how much larger than white noise the series is at some frequencies.

    Args:
        coefficients: of the autoregression.
        frequencies: in cycles per step.

    Example:
        >>> gain(np.array([0.5]), np.array([0.0, 0.5])).round(3).tolist()
        [2.0, 0.667]
    """
    lags = np.arange(1, len(coefficients) + 1)
    response = 1 - np.exp(-2j * np.pi * np.outer(frequencies, lags)) @ coefficients
    return np.asarray(1 / np.maximum(np.abs(response), 1 - MAX_MODULUS))


def continue_ar(last: Vector, coefficients: Vector, steps: int) -> Vector:
    """Return the `steps` expected values after `last`, `(order,)` oldest first.

    Once the values have died out the rest is exactly zero, so a long forecast costs no more
    than a short one.
    """
    return _recursion([float(x) for x in last], coefficients, steps)


def variance_growth(coefficients: Vector, steps: int) -> Vector:
    """Return `(steps,)` forecast error variances for innovations of variance 1.

    They are the running sums of the squared psi weights of the MA(infinity) form.

    Example:
        >>> variance_growth(np.array([0.5]), 3).tolist()
        [1.0, 1.25, 1.3125]
    """
    order = len(coefficients)
    weights = np.zeros(steps)
    weights[0] = 1.0
    if order:
        start = [0.0] * (order - 1) + [1.0]
        weights[1:] = _recursion(start, coefficients, steps - 1)
    return np.cumsum(weights**2)


def _recursion(window: list[float], coefficients: Vector, steps: int) -> Vector:
    """Return what follows `window`: the first block step by step, the others by convolution.

    Blocks begin at the same steps however many are asked for, so the first values are the same
    bits in every answer.
    """
    result = np.zeros(steps)
    if len(coefficients) == 0:
        return result
    result[:_BLOCK] = _step_by_step(window, coefficients, min(steps, _BLOCK))
    if steps <= _BLOCK or not _alive(result[:_BLOCK], coefficients):
        return result
    order = len(coefficients)
    impulse = np.concatenate(([0.0] * (order - 1), [1.0]))
    weights = np.concatenate(([1.0], _step_by_step(impulse.tolist(), coefficients, _BLOCK - 1)))
    for start in range(_BLOCK, steps, _BLOCK):
        newest_first = result[start - order : start][::-1]
        # What the window alone adds to each of the next values; the weights carry it on.
        shocks = [coefficients[lag:] @ newest_first[: order - lag] for lag in range(order)]
        block = np.convolve(weights, shocks)[:_BLOCK]
        result[start : start + _BLOCK] = block[: steps - start]
        if not _alive(block, coefficients):
            break
    return result


def _step_by_step(window: list[float], coefficients: Vector, steps: int) -> Vector:
    # Plain floats: for a handful of coefficients faster than numpy's calls.
    window = list(window)
    backward = [float(a) for a in coefficients[::-1]]
    result = np.zeros(steps)
    for step in range(steps):
        following = sum(map(float.__mul__, backward, window))
        result[step] = following
        del window[0]
        window.append(following)
        if max(map(abs, window)) < _NEGLIGIBLE:
            break
    return result


def _alive(block: Vector, coefficients: Vector) -> bool:
    return bool(np.abs(block[-len(coefficients) :]).max() >= _NEGLIGIBLE)
