"""Data drift: how far the rows of one project are from those of another, attribute by attribute."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tally.engine.explore.correlation import Matrix, correlations, covariances
from tally.engine.explore.hypothesis_tests import proportions, variance_ratio, welch
from tally.engine.explore.p_values import normal_two_sided, t_two_sided
from tally.engine.explore.pca import decomposed, enough
from tally.engine.explore.refusals import UnknownAttribute, UnknownMetric
from tally.engine.explore.samples import Sample
from tally.engine.rows import BINARY
from tally.engine.summary import Summary

_EXPLAINED = 0.95


def drift(
    preference: Summary, analysis: Summary, metric: str, names: Sequence[str] = ()
) -> dict[str, float]:
    """Return the drift of each attribute as `{name}_drift`, and their mean as `driftScore`.

    What cannot be compared, such as an attribute without rows on one side, is NaN and left out
    of the mean.

    Args:
        preference: the baseline.
        analysis: what may have drifted from it.
        metric: one of `METRICS`.
        names: of attributes in both; none stand for all that are in both.

    Raises:
        UnknownMetric: the metric is none.
        UnknownAttribute: one side has no such attribute.
    """
    compare = METRICS.get(metric)
    if compare is None:
        raise UnknownMetric(metric)
    ours, theirs = preference.schema, analysis.schema
    used = list(dict.fromkeys(names or (name for name in ours.names if name in theirs.index)))
    for name in used:
        if name not in ours.index or name not in theirs.index:
            raise UnknownAttribute(name)
    values = compare(
        preference, analysis, [ours.index[n] for n in used], [theirs.index[n] for n in used]
    )
    known = values[np.isfinite(values)]
    score = float(known.mean()) if len(known) else math.nan
    each = {f"{name}_drift": float(v) for name, v in zip(used, values, strict=True)}
    return {"driftScore": score, **each}


def hellinger(p: Summary, a: Summary, ours: Sequence[int], theirs: Sequence[int]) -> Matrix:
    """`marginal_non_stat`: Hellinger distances, 0 to 1, of normal or Bernoulli distributions."""
    return np.array([math.sqrt(_hellinger_squared(*pair)) for pair in _pairs(p, a, ours, theirs)])


def improbability(p: Summary, a: Summary, ours: Sequence[int], theirs: Sequence[int]) -> Matrix:
    """`marginal_stat`: one less the p-value of the same distribution.

    Of continuous attributes twice the smaller of Welch's t test and the F test, of binary ones
    that of the pooled test of two proportions.
    """
    found = []
    for one, two, is_binary in _pairs(p, a, ours, theirs):
        if is_binary:
            value = normal_two_sided(proportions(one, two))
        else:
            t, df = welch(one, two)
            tails = t_two_sided(t, df), variance_ratio(one, two)[1]
            value = math.nan if any(map(math.isnan, tails)) else min(1.0, 2 * min(tails))
        found.append(1 - value)
    return np.array(found)


def with_correlations(p: Summary, a: Summary, ours: Sequence[int], theirs: Sequence[int]) -> Matrix:
    """`global`: Hellinger distances together with the changes of each attribute's correlations."""
    squared = hellinger(p, a, ours, theirs) ** 2
    if len(ours) < 2:
        return np.sqrt(squared)
    halves = (correlations(p, ours) - correlations(a, theirs)) / 2
    changed = (halves**2).sum(axis=1) / (len(ours) - 1)  # the diagonal adds nothing
    return np.asarray(np.sqrt((squared + changed) / 2))


def reconstruction_error(
    p: Summary, a: Summary, ours: Sequence[int], theirs: Sequence[int]
) -> Matrix:
    """`pca_reconstruction_error`: what the baseline's leading components leave, then and now.

    Attributes that were constant in the baseline have no place in them: NaN.
    """
    samples = list(_pairs(p, a, ours, theirs))
    spread = np.array([math.sqrt(one.variance) for one, _, _ in samples])
    found = np.full(len(samples), math.nan)
    kept = [k for k, (_, two, _) in enumerate(samples) if spread[k] > 0 and two.n > 0]
    if not kept:
        return found
    scale = spread[kept]
    before = correlations(p, [ours[k] for k in kept])
    moved = np.array([samples[k][1].mean_above(samples[k][0]) for k in kept]) / scale
    now = covariances(a, [theirs[k] for k in kept]) / np.outer(scale, scale)
    now += np.outer(moved, moved)
    values, vectors = decomposed(before)
    leading = vectors[:, : enough(values, _EXPLAINED)]
    rest = np.eye(len(kept)) - leading @ leading.T
    found[kept] = np.abs((rest @ (now - before) * rest).sum(axis=1))
    return found


METRICS: Mapping[str, Callable[[Summary, Summary, Sequence[int], Sequence[int]], Matrix]] = {
    "marginal_non_stat": hellinger,
    "marginal_stat": improbability,
    "global": with_correlations,
    "pca_reconstruction_error": reconstruction_error,
}


def _pairs(
    p: Summary, a: Summary, ours: Sequence[int], theirs: Sequence[int]
) -> list[tuple[Sample, Sample, bool]]:
    """Return the samples of each attribute, and whether it is binary on both sides."""
    return [
        (Sample.of(p, i), Sample.of(a, j), p.schema.types[i] == a.schema.types[j] == BINARY)
        for i, j in zip(ours, theirs, strict=True)
    ]


def _hellinger_squared(one: Sample, two: Sample, is_binary: bool) -> float:
    if not (one.n and two.n):
        return math.nan
    # Not one less the overlap, which would leave 1e-16, a distance of 1e-8, of equal ones.
    if is_binary:
        p, q = one.mean, two.mean
        ones, zeros = math.sqrt(p) - math.sqrt(q), _root_of_rest(p) - _root_of_rest(q)
        return (ones * ones + zeros * zeros) / 2
    both = one.variance + two.variance
    apart = one.mean_above(two)
    if not both:
        return float(apart != 0)
    wider = math.sqrt(one.variance) - math.sqrt(two.variance)
    share = wider * wider / both
    if share >= 1:  # one of them is a single value
        return 1.0
    return -math.expm1(math.log1p(-share) / 2 - apart * apart / (4 * both))


def _root_of_rest(share: float) -> float:
    return math.sqrt(max(0.0, 1 - share))
