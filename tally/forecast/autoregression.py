"""A stationary autoregression of a mean-zero series: fitting, and its two recursions."""

from __future__ import annotations

import numpy as np

from tally.forecast.base import Vector

MAX_MODULUS = 0.999
"""Of the roots: above it the least-squares fit is replaced by the Yule-Walker one."""

_NEGLIGIBLE = 1e-12  # of a unit-size series; a recursion that fell below it has ended


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
    result = np.zeros(steps)
    backward = [float(a) for a in coefficients[::-1]]
    if not backward:
        return result
    for step in range(steps):
        following = sum(map(float.__mul__, backward, window))
        result[step] = following
        del window[0]
        window.append(following)
        if max(map(abs, window)) < _NEGLIGIBLE:
            break
    return result
