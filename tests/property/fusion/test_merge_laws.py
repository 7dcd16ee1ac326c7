"""Laws of merging what cells give: as if one project had seen every row, to the last bit."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tally.codec.contribution import encode
from tally.engine.options import Options
from tally.engine.project import Project
from tally.engine.schema import Schema
from tally.engine.summary import Summary
from tally.fusion.merging import Merged, merge
from tally.fusion.sources import Contribution
from tests.property.engine.exact import (
    PLAIN,
    Table,
    assert_exact,
    base_of,
    concatenated,
    rows_of,
    tables,
)

laws = settings(max_examples=40)
several = st.lists(st.lists(tables(), min_size=1, max_size=3), min_size=1, max_size=4)


def cell(number: int, parts: list[Table]) -> Contribution:
    """Return what a cell gives that learned these rows."""
    draft = Summary.empty().draft()
    for part in parts:
        draft.add(rows_of(part))
    names = [name for part in parts for name in part]
    types = {base_of(name) or name: PLAIN.get(name, "T") for name in names}
    rows = sum(len(next(iter(part.values()))) for part in parts)
    return Contribution.of(
        f"{number:032x}", f"1-{number}", Project(Options(), draft.done(), rows, types)
    )


def cells(tables_of: list[list[Table]]) -> list[Contribution]:
    return [cell(number, parts) for number, parts in enumerate(tables_of)]


def as_contribution(source: str, merged: Merged) -> Contribution:
    return Contribution(source, "2-1", merged.project, merged.provenance)


def written(merged: Merged) -> bytes:
    return encode(as_contribution("f" * 32, merged))


@laws
@given(several)
def test_merged_cells_are_the_project_that_saw_every_row(parts: list[list[Table]]) -> None:
    merged = merge(cells(parts))
    whole = [table for one in parts for table in one]
    assert not merged.refused
    assert_exact(merged.project.summary, concatenated(whole), tolerance=1e-12)
    assert merged.project.row_count == sum(leaf.rows for leaf in merged.provenance)


@laws
@given(several, st.randoms(use_true_random=False))
def test_in_whatever_order_cells_answer_the_bytes_are_the_same(
    parts: list[list[Table]], shuffler: random.Random
) -> None:
    asked = cells(parts)
    answered = list(asked)
    shuffler.shuffle(answered)
    assert written(merge(answered)) == written(merge(asked))


@laws
@given(several, several, several)
def test_fusions_of_fusions_see_every_row_once(
    a: list[list[Table]], b: list[list[Table]], c: list[list[Table]]
) -> None:
    one, two, three = (
        merge([cell(100 * number + k, parts) for k, parts in enumerate(group)])
        for number, group in enumerate((a, b, c))
    )
    left = as_contribution(
        "d" * 32, merge([as_contribution("a" * 32, one), as_contribution("b" * 32, two)])
    )
    right = as_contribution(
        "e" * 32, merge([as_contribution("b" * 32, two), as_contribution("c" * 32, three)])
    )
    whole = concatenated([table for group in (a, b, c) for parts in group for table in parts])
    ended = merge([left, as_contribution("c" * 32, three)])
    begun = merge([as_contribution("a" * 32, one), right])
    assert_exact(ended.project.summary, whole, tolerance=1e-12)
    assert_exact(begun.project.summary, whole, tolerance=1e-12)
    assert ended.provenance == begun.provenance
    # The middle one is in both: the later is left out whole.
    assert set(merge([left, right]).refused) == {1}


@laws
@given(several, st.randoms(use_true_random=False))
def test_nodes_that_order_attributes_differently_have_the_same_sums(
    parts: list[list[Table]], shuffler: random.Random
) -> None:
    given_cells = cells(parts)
    ours = merge(given_cells).project.summary
    schema = ours.schema
    order = list(range(len(schema)))
    shuffler.shuffle(order)
    kept = order[: shuffler.randint(0, len(order))]
    names = ("gone", *(schema.names[i] for i in kept))
    types = "C" + "".join(schema.types[i] for i in kept)
    first = Schema(names, types, (None, *(schema.bases[i] for i in kept)), (0,) * len(names))
    theirs = merge(given_cells, first=first).project.summary
    assert theirs.schema.names[: len(names)] == names
    assert theirs.counts()[0] == 0
    for x in schema.names:
        for y in schema.names:
            # As text, so that every bit counts.
            assert repr(pair(theirs, x, y)) == repr(pair(ours, x, y))


def pair(summary: Summary, x: str, y: str) -> object:
    index = summary.schema.index
    return summary.pair(index[x], index[y])
