"""z, t and F tests, of two samples or of one against a known value. All p-values are two-sided."""

from __future__ import annotations

from tally.engine.explore.addressing import binary, inputs
from tally.engine.explore.arithmetic import divide, root
from tally.engine.explore.context import Context, Source
from tally.engine.explore.p_values import (
    chi2_two_sided,
    f_two_sided,
    normal_two_sided,
    t_two_sided,
)
from tally.engine.explore.samples import Sample

Z_KNOWN_MEAN = "sml_explore_ztest_known_mu"
T_KNOWN_MEAN = "sml_explore_ttest_known_mu"
F_KNOWN_VARIANCE = "sml_explore_ftest_known_sigma"


def z_test(source: Source, context: Context) -> dict[str, float]:
    """`ztest`: do two means differ? With the variances of the populations."""
    one, two = _samples(source, context)
    z = divide(one.mean_above(two), root(divide(one.variance, one.n) + divide(two.variance, two.n)))
    return _told("z", one, two) | {"z": z, "zp": normal_two_sided(z)}


def t_test(source: Source, context: Context) -> dict[str, float]:
    """`ttest`: do two means differ? With pooled variances (`t`), and each its own (`tu`, Welch)."""
    one, two = _samples(source, context)
    difference = one.mean_above(two)
    df = one.n + two.n - 2
    pooled = divide(one.n * one.variance + two.n * two.variance, df)
    t = divide(difference, root(pooled * (divide(1, one.n) + divide(1, two.n))))
    tu, dfu = welch(one, two)
    return _told("t", one, two) | {
        "t": t,
        "tdf": df,
        "tp": t_two_sided(t, df),
        "tu": tu,
        "tdfu": dfu,
        "tpu": t_two_sided(tu, dfu),
    }


def f_test(source: Source, context: Context) -> dict[str, float]:
    """`ftest`: do two variances differ?"""
    one, two = _samples(source, context)
    f, p = variance_ratio(one, two)
    return _told("f", one, two) | {"fdf1": one.n - 1, "fdf2": two.n - 1, "f": f, "fp": p}


def z_test_of_proportions(source: Source, context: Context) -> dict[str, float]:
    """`ztestp`: do two proportions differ? With the pooled proportion."""
    summary = source.summary
    i, j = (binary(summary.schema, k) for k in inputs(summary.schema, context, 2))
    z = proportions(Sample.of(summary, i), Sample.of(summary, j))
    return {"z": z, "zp": normal_two_sided(z)}


def z_test_of_mean(source: Source, context: Context) -> dict[str, float]:
    """`ztestmu`: is the mean the known one? With the variance of the population."""
    one, above = _one_against(source, context, Z_KNOWN_MEAN)
    z = divide(above, root(divide(one.variance, one.n)))
    return {"z": z, "zp": normal_two_sided(z)}


def t_test_of_mean(source: Source, context: Context) -> dict[str, float]:
    """`ttestmu`: is the mean the known one?"""
    one, above = _one_against(source, context, T_KNOWN_MEAN)
    t = divide(above, root(divide(one.unbiased, one.n)))
    return {"t": t, "tdf": one.n - 1, "tp": t_two_sided(t, one.n - 1)}


def f_test_of_variance(source: Source, context: Context) -> dict[str, float]:
    """`ftestmu`: is the variance the known one?"""
    (i,) = inputs(source.summary.schema, context, 1)
    one = Sample.of(source.summary, i)
    f = divide(one.unbiased, context.required_number(F_KNOWN_VARIANCE))
    return {"f": f, "fp": chi2_two_sided((one.n - 1) * f, one.n - 1)}


def welch(one: Sample, two: Sample) -> tuple[float, float]:
    """Return Welch's t and the degrees of freedom by Satterthwaite."""
    parts = divide(one.unbiased, one.n), divide(two.unbiased, two.n)
    t = divide(one.mean_above(two), root(sum(parts)))
    below = divide(parts[0] ** 2, one.n - 1) + divide(parts[1] ** 2, two.n - 1)
    return t, divide(sum(parts) ** 2, below)


def variance_ratio(one: Sample, two: Sample) -> tuple[float, float]:
    """Return the ratio of two variances, and how probable one at least as odd is."""
    f = divide(one.unbiased, two.unbiased)
    return f, f_two_sided(f, one.n - 1, two.n - 1)


def proportions(one: Sample, two: Sample) -> float:
    """Return z of two samples of zeros and ones."""
    pooled = divide(one.n * one.mean + two.n * two.mean, one.n + two.n)
    error = pooled * (1 - pooled) * (divide(1, one.n) + divide(1, two.n))
    return divide(one.mean - two.mean, root(error))


def _samples(source: Source, context: Context) -> tuple[Sample, Sample]:
    summary = source.summary
    i, *others = inputs(summary.schema, context, 2, 3)
    if len(others) == 1:
        return Sample.of(summary, i), Sample.of(summary, others[0])
    one, two = (Sample.where(summary, i, binary(summary.schema, j)) for j in others)
    return one, two


def _one_against(source: Source, context: Context, parameter: str) -> tuple[Sample, float]:
    """Return the sample, and by how much its mean is above the known one."""
    (i,) = inputs(source.summary.schema, context, 1)
    one = Sample.of(source.summary, i)
    return one, (one.origin - context.required_number(parameter)) + one.offset


def _told(letter: str, one: Sample, two: Sample) -> dict[str, float]:
    found: dict[str, float] = {}
    for name in ("n", "m", "s"):
        for k, sample in enumerate((one, two), 1):
            value = {"n": sample.n, "m": sample.mean, "s": sample.variance}[name]
            found[f"{letter}{name}{k}"] = value
    return found
