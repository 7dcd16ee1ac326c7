"""The iris flowers in three cells of 50 rows each, as one project of 150."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tally.codec.contribution import decode, encode
from tally.engine.options import PARTITION, Options
from tally.engine.project import Project
from tally.engine.rows import Rows
from tally.engine.summary import Summary
from tally.fusion.merging import Merged, merge
from tally.fusion.sources import Contribution
from tally.models.base import Statistics
from tally.models.families import FAMILIES
from tests.property.models.cases import CASES, Case
from tests.unit.models.iris import TYPES, X3, build, columns, table

NAMES, VALUES = table()
THIRDS = [VALUES[k::3] for k in range(3)]


def cell(number: int, given: Statistics, rows: int) -> Contribution:
    """Return what a cell gives, as it comes out of its bytes."""
    partitioned = Options("partition", {PARTITION: "species"})
    project = Project(
        partitioned if given.partitions else Options(),
        given.summary,
        rows,
        dict(zip(NAMES, TYPES, strict=True)),
        given.partitions,
    )
    return decode(encode(Contribution.of(f"{number:032x}", "1-1", project)))


def thirds(case: Case) -> Merged:
    # The last answers first.
    cells = [cell(k, case.statistics(third), 50) for k, third in enumerate(THIRDS)]
    return merge(cells[::-1])


def without(column: int) -> Statistics:
    """Return the first third without one of its columns."""
    kept = [k for k in range(15) if k != column]
    types = "".join(TYPES[k] for k in kept)
    draft = Summary.empty().draft()
    draft.add(Rows(tuple(NAMES[k] for k in kept), types, (None,) * 14, THIRDS[0][:, kept]))
    return Statistics(draft.done())


def test_three_thirds_give_the_regression_of_the_reference() -> None:
    merged = thirds(CASES["mlr"])
    statistics = Statistics.of(merged.project)
    assert statistics.summary.counts()[:4].tolist() == [150] * 4
    model, whole = build("mlr", X3, ("0",), statistics), build("mlr", X3, ("0",))
    coefficients = np.array(model.tables["coefficients"]["coefficient"], float)
    reference = [1.8450608, 0.65486424, 0.71106291, -0.56256786]
    np.testing.assert_allclose(np.sort(coefficients), np.sort(reference), rtol=1e-7)
    ours = np.array(whole.tables["coefficients"]["coefficient"], float)
    np.testing.assert_allclose(coefficients, ours, rtol=1e-9)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_family_predicts_from_thirds_as_from_the_whole(case: Case) -> None:
    merged = thirds(case)
    assert (merged.project.row_count, merged.refused) == (150, {})
    one, other = case.model(Statistics.of(merged.project)), case.model()
    assert one.learned == other.learned
    if not one.rule.keys:
        return
    rtol = 1e-9 if FAMILIES[case.family].exact else 1e-6
    answered = other.predict(columns(), 150)
    for key, values in one.predict(columns(), 150).items():
        if isinstance(values, tuple):
            assert values == answered[key], key
        else:
            np.testing.assert_allclose(
                values, np.asarray(answered[key], float), rtol, rtol, err_msg=key
            )


def test_a_cell_that_has_texts_where_the_others_measure_is_left_out() -> None:
    mlr = CASES["mlr"]
    cells = [cell(k, mlr.statistics(third), 50) for k, third in enumerate(THIRDS)]
    texts = cell(9, without(1), 50)
    types = {**texts.project.known_types, "sepal_width": "S"}
    odd = replace(texts, project=replace(texts.project, known_types=types))
    merged = merge([cells[1], odd, cells[2]])
    assert merged.refused[1].text == (
        "INCOMPATIBLE_SCHEMA: attribute [sepal_width] is S, expected C"
    )
    assert merged.project.row_count == 100


def test_a_cell_without_a_column_counts_in_all_others() -> None:
    mlr = CASES["mlr"]
    cells = [cell(k, mlr.statistics(third), 50) for k, third in enumerate(THIRDS)]
    summary = merge([cell(0, without(3), 50), *cells[1:]]).project.summary
    counts = dict(zip(summary.schema.names, summary.counts().tolist(), strict=True))
    assert (counts["sepal_length"], counts["petal_width"]) == (150, 100)
