"""Probabilities and quantiles: scipy's special functions, typed."""

from __future__ import annotations

import math

from scipy import special


def normal_two_sided(z: float) -> float:
    """Return the probability of a standard normal at least as far from 0 as `z`."""
    return 2 * float(special.ndtr(-abs(z)))


def t_two_sided(t: float, df: float) -> float:
    """Return the probability of Student's t at least as far from 0 as `t`."""
    return 2 * float(special.stdtr(df, -abs(t)))


def t_quantile(probability: float, df: float) -> float:
    """Return the quantile of Student's t; NaN unless df > 0."""
    return float(special.stdtrit(df, probability)) if df > 0 else math.nan


def f_upper(f: float, df1: float, df2: float) -> float:
    """Return the probability of an F at least as large as `f`."""
    return float(special.fdtrc(df1, df2, f))


def f_two_sided(f: float, df1: float, df2: float) -> float:
    """Return twice the smaller tail probability of an F, at most 1."""
    return _doubled(float(special.fdtr(df1, df2, f)), float(special.fdtrc(df1, df2, f)))


def chi2_upper(x: float, df: float) -> float:
    """Return the probability of a chi-squared at least as large as `x`."""
    return float(special.chdtrc(df, x))


def chi2_two_sided(x: float, df: float) -> float:
    """Return twice the smaller tail probability of a chi-squared, at most 1."""
    return _doubled(float(special.chdtr(df, x)), float(special.chdtrc(df, x)))


def _doubled(lower: float, upper: float) -> float:
    if math.isnan(lower) or math.isnan(upper):
        return math.nan  # `min` would answer 1
    return min(1.0, 2 * min(lower, upper))
