"""The three tests of likeness: reference values, slips that must not come back, and scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from tally.federation.privacy.likeness import Sample, integral_test, ks_test, t_test
from tally.federation.privacy.spread import Spread

BEFORE = Sample.of(np.arange(1.0, 101))


def test_an_update_from_the_whole_range_passes_all_three() -> None:
    update = Sample.of(np.arange(2.5, 99, 4))
    assert update.rows == 25
    t, ks, integral = t_test(BEFORE, update), ks_test(BEFORE, update), integral_test(BEFORE, update)
    assert (t.t, t.p, t.passed) == (0.0, 1.0, True)
    assert (round(ks.value, 12), round(ks.limit, 6), ks.passed) == (0.02, 0.303658, True)
    assert (round(integral.value, 6), integral.limit, integral.passed) == (0.010258, 0.1, True)


def test_an_update_of_another_mean_fails_the_t_test() -> None:
    found = t_test(BEFORE, Sample.of(np.arange(51.0, 100, 2)))
    assert round(found.t, 6) == -6.003802
    assert found.p == pytest.approx(5.87e-8, rel=1e-3)
    assert not found.passed


def test_an_update_from_the_middle_only_fails_the_ks_test() -> None:
    update = Sample.of(np.arange(41.0, 66))
    t, ks = t_test(BEFORE, update), ks_test(BEFORE, update)
    assert (round(t.p, 6), t.passed) == (0.439973, True)
    assert (round(ks.value, 12), ks.passed) == (0.40, False)


def test_a_shifted_update_fails_the_integral_test_alone() -> None:
    update = Sample.of(np.arange(7.0, 106, 2))
    t, ks, integral = t_test(BEFORE, update), ks_test(BEFORE, update), integral_test(BEFORE, update)
    assert (round(t.p, 6), t.passed) == (0.273952, True)
    assert (round(ks.value, 12), round(ks.limit, 6), ks.passed) == (0.06, 0.235212, True)
    assert (round(integral.value, 6), integral.limit, integral.passed) == (0.055838, 0.05, False)


@pytest.mark.parametrize("seed", range(20))
def test_t_and_ks_are_those_of_scipy(seed: int) -> None:
    random = np.random.default_rng(seed)
    n, m = random.integers(2, 60, 2)
    one = random.normal(3, 2, n).round(seed % 3)
    two = random.normal(3.5, 1, m).round(seed % 3)
    if min(one.std(), two.std()) == 0:
        one[0], two[0] = one[0] + 1, two[0] + 1
    ours = t_test(Sample.of(one), Sample.of(two))
    theirs = stats.ttest_ind_from_stats(
        one.mean(), one.std(), n, two.mean(), two.std(), m, equal_var=False
    )
    assert (ours.t, ours.p) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-9, abs=1e-12)
    distance = ks_test(Sample.of(one), Sample.of(two))
    assert distance.value == pytest.approx(stats.ks_2samp(one, two).statistic, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_the_integral_is_the_wasserstein_distance_over_the_ranges(seed: int) -> None:
    random = np.random.default_rng(seed)
    one, two = random.normal(0, 1, 40), random.normal(0.3, 2, 23)
    expected = stats.wasserstein_distance(one, two) / math.sqrt(np.ptp(one) * np.ptp(two))
    assert integral_test(Sample.of(one), Sample.of(two)).value == pytest.approx(expected, rel=1e-12)


def test_a_negative_difference_counts_like_a_positive_one() -> None:
    higher, lower = Sample.of(np.arange(40.0, 140)), Sample.of(np.arange(-40.0, 60))
    assert not integral_test(BEFORE, higher).passed
    assert not integral_test(BEFORE, lower).passed


@pytest.mark.parametrize(("m", "limit"), [(2, 0.2), (10, 0.2), (11, 0.1), (25, 0.1), (26, 0.05)])
def test_the_limit_of_the_integral_depends_on_the_size(m: int, limit: float) -> None:
    assert integral_test(BEFORE, Sample.of(np.linspace(1, 100, m))).limit == limit


def test_a_constant_update_is_tested_against_a_known_mean() -> None:
    same = Sample.of(np.full(30, 50.5))
    found = t_test(BEFORE, same)
    expected = (BEFORE.mean - 50.5) / math.sqrt(BEFORE.variance / 100)
    assert (found.t, found.df, found.passed) == (expected, 100, True)
    mirrored = t_test(Sample.of(np.full(30, 90.0)), BEFORE)
    assert (mirrored.df, mirrored.passed) == (100, False)
    assert integral_test(BEFORE, same).passed
    assert math.isnan(integral_test(BEFORE, same).value)


def test_two_constants_must_be_equal() -> None:
    five, six = Sample.of(np.full(30, 5.1)), Sample.of(np.full(7, 6.1))
    assert t_test(five, Sample.of(np.full(9, 5.1))).passed
    assert not t_test(five, six).passed


def test_one_value_is_never_like_others() -> None:
    assert not t_test(BEFORE, Sample.of(np.array([50.5]))).passed
    assert not t_test(Sample.of(np.zeros(0)), BEFORE).passed
    assert not ks_test(BEFORE, Sample.of(np.zeros(0))).passed


def test_far_values_keep_their_digits() -> None:
    far = Sample.of(1e12 + np.arange(1.0, 101))
    assert far.variance == pytest.approx(BEFORE.variance, rel=1e-12)


def test_bins_say_nearly_what_the_values_say() -> None:
    random = np.random.default_rng(1)
    one, two = random.normal(0, 1, 20_000), random.normal(0.02, 1, 6_000)
    raw = Sample.of(one), Sample.of(two)
    binned = Spread.of(one)
    assert binned.width > 0
    change = Spread.of(np.concatenate([one, two])).less(binned)
    width = max(binned.width, change.width)
    counted = Sample.of_spread(binned.coarser(width)), Sample.of_spread(change)
    assert t_test(*counted).t == pytest.approx(t_test(*raw).t, rel=0.01)
    for test in (ks_test, integral_test):
        assert test(*counted).value == pytest.approx(test(*raw).value, abs=5e-4)
