"""How questions name attributes, and what is answered to those that cannot be."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tally.engine.explore import (
    Context,
    HistogramDisabled,
    Source,
    conditional_density,
    density,
    drift,
    explore,
    principal_components,
    singular_values,
    variance_inflation,
)
from tally.errors import InvalidInput

Make = Callable[..., Source]
BINS = {"hist_bins": "4"}


@pytest.fixture
def source(project: Make) -> Source:
    rows = [[1, 2, 0, 1, 0], [2, 1, 1, 0, 1], [4, 7, 1, 1, 0], [5, 3, 0, 0, 1]]
    names = ["x", "1", "y", "c$red", "c$blue"]
    return project(rows, "CCBBB", names, [None, None, None, "c", "c"])


def test_digits_are_an_index_unless_names_were_asked_for(source: Source) -> None:
    by_index = explore(source, "uni", Context(("1",)))
    by_name = explore(source, "uni", Context(("1",), inputs_are_names=True))
    assert by_index["mean"] == by_name["mean"] == 3.25
    assert explore(source, "uni", Context(("0",)))["mean"] == 3
    with pytest.raises(InvalidInput, match=r"^Unknown attribute \[0\]$"):
        explore(source, "uni", Context(("0",), inputs_are_names=True))


@pytest.mark.parametrize("token", ["5", "-1", "99999999999", "X", "x ", "", "c", "1.0", "c$green"])
def test_an_unknown_attribute_is_named(source: Source, token: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        explore(source, "uni", Context((token,)))
    assert str(refusal.value) == f"Unknown attribute [{token}]"
    with pytest.raises(InvalidInput) as refusal:
        variance_inflation(source, Context(("x", token if token != "c" else "d")))
    assert str(refusal.value).startswith("Unknown attribute [")


def test_an_unknown_metric_is_named(source: Source) -> None:
    with pytest.raises(InvalidInput, match=r"^Unknown metric \[median\]$"):
        explore(source, "median", Context(("0",)))
    with pytest.raises(InvalidInput, match=r"^Unknown metric \[ks\]$"):
        drift(source.summary, source.summary, "ks")


@pytest.mark.parametrize(
    ("metric", "parameter"),
    [
        ("ztestmu", "sml_explore_ztest_known_mu"),
        ("ttestmu", "sml_explore_ttest_known_mu"),
        ("ftestmu", "sml_explore_ftest_known_sigma"),
    ],
)
def test_a_missing_parameter_is_named(source: Source, metric: str, parameter: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        explore(source, metric, Context(("0",)))
    assert str(refusal.value) == f"Missing parameter [{parameter}]"
    with pytest.raises(InvalidInput, match=f"^{parameter}: 'six' is not a number$"):
        explore(source, metric, Context(("0",), params={parameter: "six"}))
    with pytest.raises(InvalidInput, match="is not a number"):
        explore(source, metric, Context(("0",), params={parameter: "Infinity"}))


@pytest.mark.parametrize(
    ("metric", "inputs", "targets"),
    [
        ("uni", (), ()),
        ("bi", ("0",), ()),
        ("ztest", ("0",), ()),
        ("ttest", ("0", "1", "2", "3"), ()),
        ("ftest", (), ()),
        ("ztestp", ("2",), ()),
        ("ztestmu", ("0", "1"), ()),
        ("ttestmu", (), ()),
        ("ftestmu", ("0", "1"), ()),
        ("anova", ("0",), ()),
        ("anova", ("0", "1"), ("2",)),
        ("chi2", (), ("2",)),
        ("gain", ("2",), ()),
        ("gain", (), ("2",)),
    ],
)
def test_a_wrong_number_of_attributes_is_told(
    source: Source, metric: str, inputs: tuple[str, ...], targets: tuple[str, ...]
) -> None:
    with pytest.raises(InvalidInput, match=r"\d given.* needed"):
        explore(source, metric, Context(inputs, targets))


@pytest.mark.parametrize(
    ("metric", "inputs", "targets"),
    [
        ("ztest", ("0", "2", "1"), ()),
        ("ztestp", ("0", "2"), ()),
        ("anova", ("0",), ("2", "1")),
        ("chi2", ("2",), ("x",)),
        ("chi2", ("x",), ("2",)),
        ("gain", ("x",), ("2",)),
        ("gain", ("2",), ("x",)),
    ],
)
def test_a_continuous_attribute_where_a_binary_one_is_needed_is_named(
    source: Source, metric: str, inputs: tuple[str, ...], targets: tuple[str, ...]
) -> None:
    with pytest.raises(InvalidInput, match=r"^attribute \[(x|1)\]: is continuous, not binary$"):
        explore(source, metric, Context(inputs, targets))


def test_chi2_without_targets_is_about_categories(source: Source) -> None:
    with pytest.raises(InvalidInput, match=r"^Unknown attribute \[2\]$"):
        explore(source, "chi2", Context(("2", "3")))


def test_an_attribute_is_in_a_matrix_once(source: Source) -> None:
    for ask in (variance_inflation, singular_values, principal_components):
        with pytest.raises(InvalidInput, match=r"^attributes: \[x\] is there twice$"):
            ask(source, Context(("x", "0")))


def test_a_project_without_attributes_has_no_matrix(project: Make) -> None:
    class Empty:
        from tally.engine.summary import Summary

        summary = Summary.empty()
        histograms = None

    for ask in (variance_inflation, singular_values, principal_components):
        with pytest.raises(InvalidInput, match="no attributes yet"):
            ask(Empty(), Context())


@pytest.mark.parametrize("share", [0.0, -1.0, 1.01, float("nan")])
def test_an_impossible_share_is_told(source: Source, share: float) -> None:
    with pytest.raises(InvalidInput, match="explainedCovariance"):
        principal_components(source, Context(), share)


def test_the_number_of_components_is_bounded(source: Source) -> None:
    found = principal_components(source, Context(params={"pcaNumDimension": "2"}))
    assert found.values.shape == (2,)
    assert found.vectors.shape == (2, 5)
    assert found.total == pytest.approx(5)
    for text in ("0", "101", "1.5"):
        with pytest.raises(InvalidInput, match=r"^pcaNumDimension: .* from 1 to 100$"):
            principal_components(source, Context(params={"pcaNumDimension": text}))


def test_densities_need_histograms_and_bins(project: Make, source: Source) -> None:
    without = project([[1.0, 0.0]], "CB", counted=False)
    for ask, inputs in ((density, ("0",)), (conditional_density, ("1", "0"))):
        with pytest.raises(HistogramDisabled, match="Histogram is not enabled"):
            ask(without, Context(inputs, params=BINS))
    told = HistogramDisabled.template.format(pid="p1")
    assert told == "Histogram is not enabled for project [p1]"
    with pytest.raises(InvalidInput, match=r"^Missing parameter \[hist_bins\]$"):
        density(source, Context(("0",)))
    for text in ("0", "-3", "2.5", "10001"):
        with pytest.raises(InvalidInput, match=r"^hist_bins: "):
            density(source, Context(("0",), params={"hist_bins": text}))
    with pytest.raises(InvalidInput, match="2 given, 1 needed"):
        density(source, Context(("0", "1"), params=BINS))


def test_a_density_of_what_is_unknown_says_so_itself(source: Source) -> None:
    found = density(source, Context(("nope",), params=BINS))
    assert (found.name, found.error) == ("nope", "Unknown attribute [nope]")
    assert found.histogram == ()
    found = conditional_density(source, Context(("x", "1"), params=BINS))
    assert (found.name, found.error) == ("1|x", "condition [x] is not binary")
    found = conditional_density(source, Context(("y", "z"), params=BINS))
    assert (found.name, found.error) == ("z|y", "Unknown attribute [z]")


def test_bins_may_be_set_by_hand(source: Source) -> None:
    params = {"hist.bins": "3", "hist.min": "1", "hist.max": "4"}
    found = density(source, Context(("x",), params=params))
    # 5 is beyond; 4 is on the last edge, which is closed; 2 and 3 are edges, open below.
    assert (found.minimum, found.maximum, found.width) == (1, 4, 1)
    assert found.histogram == (1, 1, 1)
    swapped = {"hist_bins": "3", "hist_min": "4", "hist_max": "1"}
    assert density(source, Context(("x",), params=swapped)) == found
    point = density(source, Context(("x",), params={**BINS, "hist_min": "4", "hist_max": "4"}))
    assert (point.width, point.histogram) == (0, (1, 0, 0, 0))
    with pytest.raises(InvalidInput, match="too wide"):
        density(source, Context(("x",), params={**BINS, "hist_max": "1e300"}))


def test_a_constant_fills_the_first_bin(project: Make) -> None:
    found = density(project([[2.5]] * 3, "C"), Context(("0",), params=BINS))
    assert (found.minimum, found.maximum, found.width) == (2.5, 2.5, 0)
    assert found.histogram == (3, 0, 0, 0)


def test_a_density_of_no_rows_says_so(project: Make) -> None:
    source = project(np.array([[1.0, np.nan]]), "CC")
    assert density(source, Context(("1",), params=BINS)).error == "no values were counted"


def test_conditional_extremes_are_those_of_the_rows_that_meet_the_condition(
    source: Source, project: Make
) -> None:
    asked = Context(("x", "y"), params={"need_bi_conditional_mmm": "true"})
    found = explore(source, "bi", asked)
    assert (found["condMin"], found["condMax"], found["condMedian"]) == (2, 4, 3)
    assert "condMin" not in explore(source, "bi", Context(("x", "y")))
    continuous = Context(("x", "1"), params={"need_bi_conditional_mmm": "true"})
    assert "condMin" not in explore(source, "bi", continuous)


def test_drift_names_what_one_side_lacks(project: Make, source: Source) -> None:
    other = project([[1.0, 2.0], [2.0, 2.5]], "CC", ["x", "other"])
    assert set(drift(source.summary, other.summary, "global")) == {"driftScore", "x_drift"}
    with pytest.raises(InvalidInput, match=r"^Unknown attribute \[other\]$"):
        drift(source.summary, other.summary, "global", ["x", "other"])
