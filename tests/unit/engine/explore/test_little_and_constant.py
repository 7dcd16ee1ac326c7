"""No rows, one, two; attributes that never vary: numbers where there is one, else NaN."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from tally.engine.explore import (
    METRICS,
    Context,
    Source,
    conditional_density,
    density,
    drift,
    explore,
    principal_components,
    singular_values,
    singular_values_of_subset,
    variance_inflation,
)
from tally.engine.explore.drift import METRICS as DRIFT_METRICS

Make = Callable[..., Source]
NAN = math.nan
KNOWN = {
    "sml_explore_ztest_known_mu": "1",
    "sml_explore_ttest_known_mu": "1",
    "sml_explore_ftest_known_sigma": "1",
    "need_bi_conditional_ci95": "true",
    "need_bi_conditional_mmm": "true",
}
QUESTIONS = {
    "uni": [Context(("0",))],
    "bi": [Context(("0", "1"), params=KNOWN), Context(("0", "2"), params=KNOWN)],
    "ztest": [Context(("0", "1")), Context(("0", "2", "3"))],
    "ttest": [Context(("0", "1")), Context(("0", "2", "3"))],
    "ftest": [Context(("0", "1")), Context(("0", "2", "3"))],
    "ztestp": [Context(("2", "3"))],
    "ztestmu": [Context(("0",), params=KNOWN)],
    "ttestmu": [Context(("0",), params=KNOWN)],
    "ftestmu": [Context(("0",), params=KNOWN)],
    "anova": [Context(("0", "1")), Context(("0",), ("2", "3")), Context(("0",), ("2",))],
    "chi2": [Context(("2",), ("3",)), Context(("2", "3"), ("2",))],
    "gain": [Context(("2",), ("3",))],
}


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize(
    "rows",
    [
        np.zeros((0, 4)),
        np.array([[NAN, NAN, NAN, NAN]]),
        np.array([[5, 0.1, 1, 0]]),
        np.array([[5, 0.1, 1, 0], [7, 0.1, 0, 1]]),
        np.array([[5, 0.1, 1, 0]] * 2),
        np.array([[0.1, 0.1, 0, 0]] * 10),
        np.array([[0.1, 1e9, 1, 1]] * 10),
        np.array([[1, 2, NAN, NAN], [NAN, NAN, 1, 0], [3, 1, NAN, NAN]]),
    ],
    ids=["none", "all missing", "one", "two", "two alike", "constant", "ones", "never together"],
)
def test_every_question_has_an_answer(project: Make, rows: object) -> None:
    source = project(rows, "CCBB")
    assert set(QUESTIONS) == set(METRICS)
    for metric, contexts in QUESTIONS.items():
        for context in contexts:
            found = explore(source, metric, context)
            assert all(isinstance(value, float) for value in found.values()), metric
    variance_inflation(source, Context())
    singular_values(source, Context())
    singular_values_of_subset(source, Context())
    assert not np.isnan(principal_components(source, Context()).vectors).any()
    bins = {"hist_bins": "3"}
    density(source, Context(("0",), params=bins))
    conditional_density(source, Context(("2", "0"), params=bins))
    for metric in DRIFT_METRICS:
        drift(source.summary, source.summary, metric)


def test_without_rows_only_the_count_is_a_number(project: Make) -> None:
    found = explore(project(np.zeros((0, 1)), "C"), "uni", Context(("0",)))
    assert found.pop("count") == 0
    assert all(math.isnan(value) for value in found.values())


def test_a_constant_has_no_shape_and_no_margin(project: Make) -> None:
    # 0.1 summed is not a multiple of 0.1: the variance must be 0 all the same.
    found = explore(project(np.full((7, 1), 0.1), "C"), "uni", Context(("0",)))
    assert (found["count"], found["mean"], found["variance"]) == (7, 0.1, 0)
    assert (found["stderr"], found["meanMarginErrorC95"]) == (0, 0)
    assert (found["min"], found["max"], found["median"]) == (0.1, 0.1, 0.1)
    assert math.isnan(found["skewness"])
    assert math.isnan(found["kurtosis"])


def test_two_rows_have_no_skewness(project: Make) -> None:
    found = explore(project([[1.0], [3.0]], "C"), "uni", Context(("0",)))
    assert (found["variance"], found["kurtosis"]) == (1, -2)
    assert math.isnan(found["skewness"])
    assert found["meanMarginErrorC95"] == pytest.approx(12.706204736 / math.sqrt(2))


@pytest.mark.parametrize("n", range(2, 14))
def test_a_constant_group_has_no_variance(project: Make, n: int) -> None:
    rows = [[0.1, 1]] * n + [[7.3, 0], [9.1, 0]]
    found = explore(project(rows, "CB"), "bi", Context(("0", "1")))
    assert (found["condVariance"], found["condStddev"]) == (0, 0)
    assert found["condMean"] == pytest.approx(0.1)


def test_means_that_differ_without_any_variance_differ_infinitely(project: Make) -> None:
    source = project([[1.0, 3.0]] * 4, "CC")
    assert explore(source, "ztest", Context(("0", "1")))["z"] == -math.inf
    assert explore(source, "ztest", Context(("0", "1")))["zp"] == 0
    found = explore(source, "ttest", Context(("0", "1")))
    assert (found["t"], found["tp"], found["tu"]) == (-math.inf, 0, -math.inf)
    assert math.isnan(explore(source, "ftest", Context(("0", "1")))["f"])
    assert explore(source, "anova", Context(("0", "1")))["F"] == math.inf
    assert explore(source, "anova", Context(("0", "1")))["P"] == 0


def test_a_constant_is_left_out_of_the_matrix(project: Make) -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(50, 3))
    rows[:, 1] = 4.2
    source = project(rows, "CCC", ["a", "constant", "b"])
    factors = variance_inflation(source, Context())
    assert math.isnan(factors.pop("constant"))
    assert factors == variance_inflation(source, Context(("a", "b")))
    assert principal_components(source, Context()).names == ("a", "b")
    assert [name for _, name in singular_values_of_subset(source, Context())] == ["a", "b"]
    # Singular values stand beside all inputs, in their order.
    assert [name for _, name in singular_values(source, Context())] == ["a", "constant", "b"]
    assert singular_values(source, Context())[2][0] == 0


def test_what_others_determine_has_an_infinite_factor(project: Make) -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(50, 4))
    rows[:, 2] = rows[:, 0] + rows[:, 1]
    source = project(rows, "CCCC")
    factors = list(variance_inflation(source, Context()).values())
    assert factors[:3] == [math.inf] * 3
    assert 1 <= factors[3] < 2
    assert [name for _, name in singular_values_of_subset(source, Context())] == ["a0", "a1", "a3"]


def test_far_from_zero_nothing_is_lost(project: Make) -> None:
    rng = np.random.default_rng(5)
    near = np.round(rng.normal(size=(400, 2)), 3)
    flags = rng.integers(0, 2, (400, 1))
    flags = np.hstack([flags, 1 - flags])
    ours = project(np.hstack([near + 1e9, flags]), "CCBB", counted=False)
    theirs = project(np.hstack([near, flags]), "CCBB", counted=False)
    for metric, keys in {
        "uni": ("variance", "skewness", "kurtosis"),
        "bi": ("covar", "linCorr"),
        "ttest": ("t", "tp", "tu", "tpu"),
        "ftest": ("f", "fp"),
    }.items():
        context = Context(("0", "1") if metric != "uni" else ("0",))
        far, close = explore(ours, metric, context), explore(theirs, metric, context)
        # The data themselves keep seven digits after the point at 1e9.
        assert [far[k] for k in keys] == pytest.approx([close[k] for k in keys], rel=2e-5), metric
    for context in (Context(("0",), ("2", "3")), Context(("0",), ("2",))):
        far, close = explore(ours, "anova", context), explore(theirs, "anova", context)
        assert far == pytest.approx(close, rel=2e-5)


def test_small_differences_between_huge_means_keep_their_digits(project: Make) -> None:
    rng = np.random.default_rng(6)
    near = rng.integers(0, 10, (150, 2)).astype(float)
    # At 1e13 a mean itself is only good to 0.002; the rows are whole numbers, and exact.
    ours, theirs = project(near + 1e13, "CC"), project(near, "CC")
    for metric in ("ztest", "ttest", "ftest", "anova"):
        far = explore(ours, metric, Context(("0", "1")))
        close = explore(theirs, metric, Context(("0", "1")))
        means = {f"{metric[0]}m1", f"{metric[0]}m2"}
        assert {k: v for k, v in far.items() if k not in means} == pytest.approx(
            {k: v for k, v in close.items() if k not in means}, rel=1e-9
        )


@pytest.mark.parametrize("metric", ["marginal_non_stat", "global"])
def test_a_project_has_not_drifted_from_itself(iris: Source, metric: str) -> None:
    found = drift(iris.summary, iris.summary, metric)
    assert set(found.values()) == {0.0}


def test_a_single_value_has_drifted_from_what_varies_as_far_as_can_be(project: Make) -> None:
    single, several = (project(rows, "C").summary for rows in ([[1], [1]], [[0], [2]]))
    assert drift(single, several, "marginal_non_stat")["driftScore"] == 1.0
    assert drift(single, single, "marginal_non_stat")["driftScore"] == 0.0


@pytest.mark.parametrize("ones", range(1, 50))
def test_a_correlation_never_leaves_its_bounds(project: Make, ones: int) -> None:
    one = np.arange(50) < ones
    source = project(np.array([one, ~one, one]).T, "BBB")
    assert explore(source, "bi", Context(("0", "1")))["linCorr"] >= -1.0
    assert explore(source, "bi", Context(("0", "2")))["linCorr"] <= 1.0
