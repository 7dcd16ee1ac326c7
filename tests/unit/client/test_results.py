from __future__ import annotations

import math

import pytest

from tally.client.results.bivariate import Correlations
from tally.client.results.densities import Density, Drift
from tally.client.results.grid import Grid
from tally.client.results.hypothesis_tests import Chi2, TTest
from tally.client.results.info import ProjectInfo
from tally.client.results.univariate import Description, Univariate
from tally.wire import entities

NAN = float("nan")
TOLD = entities.ProjectInfo(
    pid="loans",
    type="cpu",
    creation_date=1735689600000,
    last_modification_date=1735689660000,
    loaded=True,
    persisted=False,
    histogram_enabled=True,
    auto_save=True,
    attribute_names=["amount", "region$north", "region$south"],
    attribute_indexes=[0, 1, 2],
    attribute_types=["C", "B", "B"],
    partition_column="grade",
    params={"sml_project_is_freeze": "true"},
)


def test_names_cannot_break_out_of_the_html_of_a_table() -> None:
    grid = Grid(("<b>", "x"), (("<script>", 1.0),))
    html = grid.html("a & b")
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "a &amp; b" in html


def test_a_long_table_is_cut_and_says_so() -> None:
    grid = Grid(("name",), tuple((str(number),) for number in range(100)))
    assert str(grid).splitlines()[-1] == "... 40 more rows"
    assert "... 40 more rows" in grid.html()
    assert grid.html().count("<tr>") == 61


def test_a_wide_table_is_cut_and_says_so() -> None:
    names = tuple(f"a{number}" for number in range(100))
    told = Correlations(names, tuple((0.5,) * 100 for _ in names))
    *_, rows, columns = str(told).splitlines()
    assert (rows, columns) == ("... 40 more rows", "... 77 more columns")
    assert told._repr_html_().count("<td") == 60 * 23


def test_correlations_are_shaded_by_their_sign_and_size() -> None:
    told = Correlations(("x", "y", "z"), ((1.0, -0.5, NAN), (-0.5, 1.0, NAN), (NAN, NAN, NAN)))
    html = told._repr_html_()
    assert "rgba(214,60,50,0.60)" in html
    assert "rgba(50,100,200,0.30)" in html
    assert told.strongest() == (("x", "y", -0.5),)


def test_a_description_is_asked_by_name() -> None:
    told = Description((Univariate.of("x", {"count": 2.0, "mean": 1.0}),))
    assert told["x"].mean == 1.0
    assert math.isnan(told["x"].median)
    assert [each.name for each in told] == ["x"]
    with pytest.raises(KeyError):
        told["y"]
    assert "<table>" in told._repr_html_()


def test_a_project_tells_the_types_of_the_columns_that_it_learned() -> None:
    info = ProjectInfo.of(TOLD)
    assert info.letters == {
        "amount": "C",
        "region$north": "B",
        "region$south": "B",
        "region": "T",
        "grade": "S",
    }
    assert info.frozen
    first, *_ = str(info).splitlines()
    assert first == "loans: cpu, histograms, frozen, not persisted, changed 2025-01-01 00:01:00"


def test_a_table_of_counts_is_named_by_index_or_by_category() -> None:
    numbers = {"chiStat": 1.0, "df": 1.0, "pval": 0.3, "coef": 0.1}
    by_index = Chi2.of({**numbers, "obs$1:2": 5.0, "obs$0:2": 7.0}).named(("a", "b", "c"))
    assert (by_index.rows, by_index.columns) == (("b", "a"), ("c",))
    assert by_index.observed == ((5.0,), (7.0,))
    by_value = Chi2.of({**numbers, "obs$d1:x:4": 5.0, "obs$d2:9": 1.0}).named(("a",))
    assert by_value.rows == ("d1:x", "d2")
    assert by_value.observed == ((5.0, 0.0), (0.0, 1.0))


def test_a_test_against_a_number_has_no_samples() -> None:
    alone = TTest.of({"t": 1.0, "tp": 0.5})
    assert alone.samples is None
    assert "Welch" not in str(alone)


@pytest.mark.parametrize(
    ("density", "shown"),
    [
        (Density("x", 0, 1, 1, (), "Unknown attribute [x]"), "x: Unknown attribute [x]"),
        (Density("x", 0, 0, 0, (0.0, 0.0)), "x: 0 rows in 2 bins from 0 to 0\n"),
        (
            Density("x", 0, 2, 1, (1.0, 1000.0), "partial histogram"),
            "x: 1001 rows in 2 bins from 0 to 2 (partial histogram)\n▁█",
        ),
    ],
)
def test_a_density_is_shown_in_bars(density: Density, shown: str) -> None:
    assert str(density) == shown
    assert "<table>" in density._repr_html_()


def test_drift_is_told_by_attribute() -> None:
    told = Drift.of("global", {"driftScore": 0.3, "a_drift": 0.1, "wind_drift_drift": 0.5})
    assert told.attributes == {"a": 0.1, "wind_drift": 0.5}
    assert str(told).startswith("drift score (global): 0.3\n")
