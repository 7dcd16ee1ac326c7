"""docs/reference/selection.md names every family, metric, grid, search and parameter."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tally.models.parameters import Parameters
from tally.selection.candidates import AUTOMATIC
from tally.selection.grids import GRIDS, Grid
from tally.selection.metrics import METRICS
from tally.selection.searches import SEARCHES
from tally.selection.select import select
from tests.unit.selection.planted import CLASS, asked

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "selection.md").read_text()


def test_families_metrics_grids_and_searches_are_on_the_page() -> None:
    for families in AUTOMATIC.values():
        assert ", ".join(f"`{name}`" for name in families) in PAGE
    for name in (*METRICS, *GRIDS, *SEARCHES):
        assert f"`{name}`" in PAGE, name


@pytest.mark.parametrize("name", ["tiny", "small", "normal"])
def test_the_points_of_a_grid_are_those_of_the_page(name: str) -> None:
    (row,) = re.findall(rf"`autoselect_grid_type_{name}`[^|]*\|([^|]*)\|([^|]*)\|", PAGE)
    etas, lambdas = (tuple(float(text) for text in cell.split(",")) for cell in row)
    assert GRIDS[f"autoselect_grid_type_{name}"] == Grid(etas, lambdas)


@pytest.mark.parametrize("name", SEARCHES)
def test_the_parameters_of_a_search_are_on_the_page_with_their_defaults(name: str) -> None:
    read = Parameters({"selector_max_iterations": "5"} if name.endswith("iteration") else {})
    SEARCHES[name].read(read, 7)
    for key, value in read.used.items():
        assert f"`{key}`" in PAGE, key
        if value == 7:  # as many as there are inputs
            continue
        rows = [line for line in PAGE.splitlines() if f"`{key}`" in line]
        assert any(f"{value:g}" in row for row in rows), (key, value)


def test_what_a_model_tells_of_its_selection_is_on_the_page() -> None:
    found = select(asked(CLASS, selector_type="selector_type_simple"))
    told = [key for key in found.model.info if key.startswith("selection_")]
    assert len(told) == 9
    for key in told:
        assert f"`{key}`" in PAGE, key
