"""`bi`: how two attributes go together, and the first one given the second."""

from __future__ import annotations

import math

import numpy as np

from tally.engine.explore.addressing import attribute, wrong_count
from tally.engine.explore.arithmetic import divide, root, variance
from tally.engine.explore.context import Context, Source
from tally.engine.explore.p_values import t_quantile
from tally.engine.rows import BINARY
from tally.engine.summary import Pair

_CONFIDENCE = 0.975


def bivariate(source: Source, context: Context) -> dict[str, float]:
    """Return covariance, correlation, and the first input weighted by the second.

    For a binary second attribute these weights pick the rows in which it is 1.
    `need_bi_conditional_ci95` adds the bounds of the conditional mean; with histograms and a
    binary second attribute, `need_bi_conditional_mmm` adds minimum, maximum and median.

    Raises:
        InvalidInput: there are fewer than two inputs, or no such attributes.
    """
    schema = source.summary.schema
    if len(context.inputs) < 2:
        raise wrong_count("inputAttributes", len(context.inputs), 2)
    named = context.inputs_are_names
    i, j = (attribute(schema, token, named=named) for token in context.inputs[:2])
    pair = source.summary.pair(i, j)
    is_binary = schema.types[j] == BINARY
    found = associated(pair) | weighted(pair, picks=is_binary)
    if context.flag("need_bi_conditional_ci95"):
        margin = math.nan
        if found["condCount"] > 1:
            quantile = t_quantile(_CONFIDENCE, found["condCount"] - 1)
            margin = quantile * found["condStddev"] / math.sqrt(found["condCount"])
        found["biCi95Down"] = found["condMean"] - margin
        found["biCi95Up"] = found["condMean"] + margin
    counted = source.histograms if context.flag("need_bi_conditional_mmm") else None
    if counted is not None and counted.conditional and is_binary:
        values = counted.distribution(schema.names[i], given=schema.names[j])
        found["condMin"], found["condMax"] = values.minimum, values.maximum
        found["condMedian"] = values.median
    return found


def associated(p: Pair) -> dict[str, float]:
    """Return covariance (of the population) and linear correlation, over the rows with both."""
    if p.n == 0:
        return {"covar": math.nan, "linCorr": math.nan}
    covariance = (p.c - p.px * p.py / p.n) / p.n
    spread = math.sqrt(variance(p.n, p.px, p.qx)) * math.sqrt(variance(p.n, p.py, p.qy))
    correlation = divide(covariance, spread) if spread else math.nan
    # Rounding may lead a hair beyond, where `acos` and `atanh` of users fail.
    return {"covar": covariance, "linCorr": float(np.clip(correlation, -1.0, 1.0))}


def weighted(p: Pair, *, picks: bool) -> dict[str, float]:
    """Return count, sum, mean and variance of x under the weights y.

    Args:
        p: their sums.
        picks: y is 0 or 1.
    """
    a, b, n = p.origin_x, p.origin_y, p.n
    count = p.py + n * b
    total = p.c + a * p.py + b * p.px + n * a * b
    if picks:
        # The rows where y = 1, about the origin of x, where far values keep their digits.
        mean = a + divide(p.c, p.py)
        spread = variance(count, p.c, p.e_xy) if count else math.nan
    else:
        squares = (
            p.d
            + 2 * b * p.e_xy
            + 2 * a * p.e_yx
            + b * b * p.qx
            + a * a * p.qy
            + 4 * a * b * p.c
            + 2 * a * b * b * p.px
            + 2 * a * a * b * p.py
            + n * a * a * b * b
        )
        mean = divide(total, count)
        spread = divide(squares, count) - mean * mean
    return {
        "condCount": count,
        "condSum": total,
        "condMean": mean,
        "condVariance": spread,
        "condStddev": root(spread),
    }
