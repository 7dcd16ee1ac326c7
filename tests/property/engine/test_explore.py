"""Metrics of generated rows, against numpy and scipy on the rows themselves."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from tally.engine.counts import Histograms
from tally.engine.explore import (
    Context,
    conditional_density,
    density,
    drift,
    explore,
    principal_components,
    singular_values,
    singular_values_of_subset,
    variance_inflation,
)
from tally.engine.rows import Rows
from tally.engine.summary import Summary

FAST = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
KNOWN = {
    "sml_explore_ztest_known_mu": "0.25",
    "sml_explore_ttest_known_mu": "0.25",
    "sml_explore_ftest_known_sigma": "2.5",
    "need_bi_conditional_ci95": "true",
    "need_bi_conditional_mmm": "true",
}
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Project:
    summary: Summary
    histograms: Histograms | None


@st.composite
def values(draw: st.DrawFn, *, missing: bool = False) -> Matrix:
    """Rows of three continuous attributes that depend on each other, and two binary ones."""
    n = draw(st.integers(8, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = draw(st.sampled_from([1e-6, 1.0, 1e5]))
    offset = draw(st.sampled_from([0.0, -3.0, 100.0])) * scale
    rows = rng.normal(size=(n, 5))
    if draw(st.booleans()):
        rows[:, :3] = np.round(rows[:, :3], 1)
    rows[:, 1] += rows[:, 0]
    rows[:, 2] = rows[:, 2] ** 2 - rows[:, 1]
    rows[:, 3:] = rows[:, 3:] + rows[:, :2] > 0
    rows[:, :3] = rows[:, :3] * scale + offset
    if missing:
        rows[rng.random((n, 5)) < 0.2] = np.nan
    complete = rows[:, :3][~np.isnan(rows[:, :3]).any(axis=1)]
    assume(len(complete) > 3 and (complete.std(axis=0) > 1e-9).all())
    return rows


def project(rows: Matrix, parts: int = 3) -> Project:
    """Learn the rows in several frames."""
    summary, histograms = Summary.empty().draft(), Histograms.empty().draft()
    for part in np.array_split(rows, parts):
        if len(part):
            batch = Rows(tuple("abcde"), "CCCBB", (None,) * 5, part)
            summary.add(batch)
            histograms.add(batch)
    return Project(summary.done(), histograms.done())


def ask(source: Project, metric: str, inputs: str, targets: str = "") -> dict[str, float]:
    return explore(source, metric, Context(tuple(inputs), tuple(targets), KNOWN))


def varies(x: Matrix) -> bool:
    return len(set(x.tolist())) > 1  # numpy gives some constants a deviation of 1e-17


def near(value: float) -> object:
    return pytest.approx(value, rel=1e-8, abs=1e-9, nan_ok=True)


@FAST
@given(values(missing=True))
def test_one_attribute(rows: Matrix) -> None:
    source = project(rows)
    for k, name in enumerate("abcde"):
        x = rows[~np.isnan(rows[:, k]), k]
        found = ask(source, "uni", name)
        n = len(x)
        assert found["count"] == n
        assert found["mean"] == near(x.mean())
        noise = 1e-14 * float((x**2).max())
        assert found["variance"] == pytest.approx(x.var(), rel=1e-9, abs=noise)
        assert (found["min"], found["max"]) == (x.min(), x.max())
        assert found["median"] == near(float(np.median(x)))
        if varies(x):
            skewness = stats.skew(x) * n * n / ((n - 1) * (n - 2)) if n > 2 else math.nan
            assert found["skewness"] == near(skewness)
            assert found["kurtosis"] == near(stats.kurtosis(x))
            margin = stats.t.ppf(0.975, n - 1) * x.std() / math.sqrt(n)
            assert found["meanMarginErrorC95"] == near(margin)


@FAST
@given(values(missing=True))
def test_two_attributes(rows: Matrix) -> None:
    source = project(rows)
    for (i, one), (j, two) in itertools.product(enumerate("abcde"), repeat=2):
        there = ~np.isnan(rows[:, [i, j]]).any(axis=1)
        x, y = rows[there, i], rows[there, j]
        assume(len(x) > 2)
        found = ask(source, "bi", one + two)
        size = x.std() * y.std()
        covariance = ((x - x.mean()) * (y - y.mean())).mean()
        noise = 1e-14 * float(abs(x).max() * abs(y).max())
        assert found["covar"] == pytest.approx(covariance, rel=1e-9, abs=1e-11 * size + noise)
        if varies(x) and varies(y):
            assert found["linCorr"] == near(covariance / size)
        assert found["condCount"] == near(y.sum())
        assert found["condSum"] == pytest.approx(x @ y, rel=1e-9, abs=1e-9 * float(abs(x) @ abs(y)))
        if two in "de" and y.sum() > 1:
            picked = x[y == 1]
            assert found["condMean"] == pytest.approx(picked.mean(), rel=1e-9, abs=1e-9 * x.std())
            variance = pytest.approx(picked.var(), rel=1e-8, abs=1e-12 * x.var())
            assert found["condVariance"] == variance
            assert (found["condMin"], found["condMax"]) == (picked.min(), picked.max())
            assert found["condMedian"] == near(float(np.median(picked)))


@FAST
@given(values())
def test_tests_of_two_samples(rows: Matrix) -> None:
    source = project(rows)
    a, b, flag = rows[:, 0], rows[:, 1], rows[:, 3:] == 1
    assume((flag.sum(axis=0) > 2).all())
    for inputs, one, two in (("ab", a, b), ("ade", a[flag[:, 0]], a[flag[:, 1]])):
        assume(one.std() > 0 and two.std() > 0)
        found = ask(source, "ttest", inputs)
        student, welch = stats.ttest_ind(one, two), stats.ttest_ind(one, two, equal_var=False)
        assert (found["t"], found["tp"]) == (near(student.statistic), near(student.pvalue))
        assert (found["tu"], found["tpu"]) == (near(welch.statistic), near(welch.pvalue))
        assert found["tdfu"] == near(welch.df)
        z = (one.mean() - two.mean()) / math.sqrt(one.var() / len(one) + two.var() / len(two))
        found = ask(source, "ztest", inputs)
        assert found["z"] == near(z)
        assert found["zp"] == near(2 * stats.norm.sf(abs(z)))
        found = ask(source, "ftest", inputs)
        f = stats.f(len(one) - 1, len(two) - 1)
        ratio = one.var(ddof=1) / two.var(ddof=1)
        assert found["f"] == near(ratio)
        assert found["fp"] == near(min(1, 2 * min(f.cdf(ratio), f.sf(ratio))))


@FAST
@given(values())
def test_tests_of_one_sample(rows: Matrix) -> None:
    source, x = project(rows), rows[:, 0]
    student = stats.ttest_1samp(x, 0.25)
    found = ask(source, "ttestmu", "a")
    assert (found["t"], found["tp"]) == (near(student.statistic), near(student.pvalue))
    z = (x.mean() - 0.25) / (x.std() / math.sqrt(len(x)))
    assert ask(source, "ztestmu", "a")["z"] == near(z)
    chi = stats.chi2(len(x) - 1)
    f = x.var(ddof=1) / 2.5
    at = f * (len(x) - 1)
    assert ask(source, "ftestmu", "a") == {
        "f": near(f),
        "fp": near(min(1, 2 * min(chi.cdf(at), chi.sf(at)))),
    }


@FAST
@given(values())
def test_groups(rows: Matrix) -> None:
    source, flag = project(rows), rows[:, 3:] == 1
    x = rows[:, 0]
    either = [x[flag[:, 0]], x[~flag[:, 0]]]
    both = [x[flag[:, 0]], x[flag[:, 1]]]
    cases = (("abc", "", list(rows[:, :3].T)), ("a", "d", either), ("a", "de", both))
    for inputs, targets, groups in cases:
        assume(all(len(group) > 1 for group in groups))
        assume(sum(group.var() for group in groups) > 0)
        expected = stats.f_oneway(*groups)
        found = ask(source, "anova", inputs, targets)
        assert (found["F"], found["P"]) == (near(expected.statistic), near(expected.pvalue))
    table = np.array([[(a & b).sum() for b in flag.T] for a in flag.T])
    found = ask(source, "chi2", "de", "de")
    assert [found[f"obs${i}:{j}"] for i in (3, 4) for j in (3, 4)] == table.ravel().tolist()
    if table.any(axis=0).all() and table.any(axis=1).all():
        expected = stats.chi2_contingency(table, correction=False)
        assert found["chiStat"] == near(expected.statistic)
        assert found["pval"] == near(expected.pvalue)
        if found["df"]:
            coefficient = stats.contingency.association(table, "tschuprow")
            assert found["coef"] == near(coefficient)


@FAST
@given(values())
def test_matrices(rows: Matrix) -> None:
    source = project(rows)
    assume((rows.std(axis=0) > 0).all())
    r = np.corrcoef(rows.T)
    covariance = np.cov(rows.T, bias=True)
    scaled = np.abs(covariance).max()
    pca = principal_components(source, Context())
    np.testing.assert_allclose(pca.values, np.linalg.eigvalsh(r)[::-1], rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(pca.vectors @ pca.vectors.T, np.eye(5), atol=1e-9)
    np.testing.assert_allclose(pca.vectors.T * pca.values @ pca.vectors, r, rtol=1e-8, atol=1e-9)
    assert (pca.vectors.max(axis=1) >= -pca.vectors.min(axis=1) * (1 - 1e-8)).all()
    found = [value for value, _ in singular_values(source, Context())]
    singular = np.linalg.svd(covariance, compute_uv=False)
    np.testing.assert_allclose(found, singular, rtol=1e-8, atol=1e-12 * scaled)
    assert sorted(set(found), reverse=True) == found
    clipped = np.clip(r, -0.9999, 0.9999)
    np.fill_diagonal(clipped, 1)
    if np.linalg.cond(clipped) < 1e8:
        factors = list(variance_inflation(source, Context()).values())
        np.testing.assert_allclose(factors, np.linalg.inv(clipped).diagonal(), rtol=1e-6)


@FAST
@given(values())
def test_the_subset_is_the_one_of_the_definition(rows: Matrix) -> None:
    rows[:, 2] = rows[:, 0] - 2 * rows[:, 1]  # determined by two others
    rows[:, 4] = 1 - rows[:, 3]
    source = project(rows)
    assume(rows[:, 3].std() > 0 and rows[:, 2].std() > 0)
    kept: list[int] = []
    for k in range(5):
        chosen = np.corrcoef(rows[:, [*kept, k]].T).reshape(len(kept) + 1, -1)
        singular = np.linalg.svd(chosen, compute_uv=False)
        if singular[-1] >= 1e-8 * singular[0]:
            kept.append(k)
    assume(2 not in kept)
    found = [name for _, name in singular_values_of_subset(source, Context())]
    assert found == ["abcde"[k] for k in kept]


@FAST
@given(values(missing=True), st.integers(1, 9))
def test_densities(rows: Matrix, bins: int) -> None:
    source = project(rows)
    params = {"hist_bins": str(bins)}
    for k in (0, 3):
        x = rows[~np.isnan(rows[:, k]), k]
        found = density(source, Context(("abcde"[k],), params=params))
        assert sum(found.histogram) == len(x)
        edges = x.min() + (x.max() - x.min()) * np.arange(bins + 1) / bins
        edges[-1] = x.max()  # the last bin is closed, whatever rounding says
        if np.isin(x, edges[1:-1]).any():
            continue  # on an edge, formulas of edges differ
        expected = np.histogram(x, edges)[0] if x.min() < x.max() else [len(x)] + [0] * (bins - 1)
        assert list(found.histogram) == list(expected)
        given = rows[(rows[:, 4] == 1) & ~np.isnan(rows[:, k]), k]
        found = conditional_density(source, Context(("e", "abcde"[k]), params=params))
        if x.min() < x.max():
            assert list(found.histogram) == list(np.histogram(given, edges)[0])


@FAST
@given(values(), values())
def test_drift_is_zero_from_itself_and_symmetric_where_it_is_a_distance(
    one: Matrix, two: Matrix
) -> None:
    left, right = project(one).summary, project(two).summary
    for metric in ("marginal_non_stat", "global", "pca_reconstruction_error", "marginal_stat"):
        same = drift(left, left, metric)
        assert all(value == pytest.approx(0, abs=1e-6) for value in same.values() if value == value)
        away = drift(left, right, metric)
        assert all(value >= 0 for value in away.values() if value == value)
        if metric in ("marginal_non_stat", "global"):
            assert away == pytest.approx(drift(right, left, metric), nan_ok=True, abs=1e-9)
            assert all(value <= 1 for value in away.values() if value == value)
