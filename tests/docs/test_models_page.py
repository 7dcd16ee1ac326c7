"""docs/reference/models.md names every family, every parameter that one reads, and every key."""

from __future__ import annotations

from pathlib import Path

import pytest

from tally.models.families import FAMILIES
from tally.models.parameters import Parameters
from tests.property.models.cases import CASES, Case
from tests.unit.models.iris import SPECIES

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "models.md").read_text()

SEARCHES = {
    "elasticnet": {"aicc": "true"},
    "pcr": {"pcr_type": "full", "aicc": "true"},
    "covest": {"estimate_type": "graph_lasso", "tuning_type": "ebic"},
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_a_case_reads_and_answers_is_on_the_page(case: Case) -> None:
    assert f"`{case.family}`" in PAGE
    model = case.model()
    for key in model.rule.keys:
        if key not in SPECIES and not key.isdigit():
            assert f"`{key}`" in PAGE, key
    for given in (case.parameters, SEARCHES.get(case.family, {})):
        read = Parameters(given or case.parameters)
        FAMILIES[case.family].fitter.read(read)
        for key in read.used:
            assert f"`{key}`" in PAGE, key
