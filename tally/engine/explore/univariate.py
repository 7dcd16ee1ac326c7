"""`uni`: what one attribute looks like."""

from __future__ import annotations

import math

from tally.engine.explore.addressing import attribute, wrong_count
from tally.engine.explore.arithmetic import variance
from tally.engine.explore.context import Context, Source
from tally.engine.explore.p_values import t_quantile
from tally.engine.summary import Moments

_CONFIDENCE = 0.975  # both tails together leave 5 %


def univariate(source: Source, context: Context) -> dict[str, float]:
    """Return count, moments and margin of the first input, and its extremes where counted.

    The variance is that of the population. Skewness has the factor n^2/((n-1)(n-2)) over the
    biased estimate, kurtosis is the biased excess. Both are NaN for a constant.

    Raises:
        InvalidInput: there is no input, or no such attribute.
    """
    schema = source.summary.schema
    if not context.inputs:
        raise wrong_count("inputAttributes", 0, 1)
    i = attribute(schema, context.inputs[0], named=context.inputs_are_names)
    found = described(source.summary.moments(i))
    if source.histograms is not None:
        values = source.histograms.distribution(schema.names[i])
        found |= {"min": values.minimum, "max": values.maximum, "median": values.median}
    return found


def described(m: Moments) -> dict[str, float]:
    """Return what power sums say.

    Example:
        >>> sums = Moments(n=4, origin=10.0, s1=6.0, s2=14.0, s3=36.0, s4=98.0)  # 10 11 12 13
        >>> found = described(sums)
        >>> found["mean"], found["variance"], found["skewness"], found["kurtosis"]
        (11.5, 1.25, 0.0, -1.36)
    """
    n = m.n
    if n == 0:
        keys = ("mean", "variance", "stddev", "skewness", "kurtosis", "stderr")
        return {"count": 0.0, **dict.fromkeys((*keys, "meanMarginErrorC95"), math.nan)}
    d = m.s1 / n
    v = variance(n, m.s1, m.s2)
    deviation = math.sqrt(v)
    skewness = kurtosis = math.nan
    margin = 0.0
    error = deviation / math.sqrt(n)
    if v > 0:
        # About the mean; d, the distance from the origin, is small, so little cancels.
        third = m.s3 - 3 * d * m.s2 + 2 * n * d**3
        fourth = m.s4 - 4 * d * m.s3 + 6 * d * d * m.s2 - 3 * n * d**4
        if n > 2:
            skewness = third / deviation**3 * n / ((n - 1) * (n - 2))
        kurtosis = fourth / n / (v * v) - 3
        margin = t_quantile(_CONFIDENCE, n - 1) * error
    return {
        "count": float(n),
        "mean": m.origin + d,
        "variance": v,
        "stddev": deviation,
        "skewness": skewness,
        "kurtosis": kurtosis,
        "stderr": error,
        "meanMarginErrorC95": margin,
    }
