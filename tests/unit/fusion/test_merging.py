from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from tally.codec.contribution import encode
from tally.engine import blas, project_draft, schema
from tally.engine.frame import Frame
from tally.engine.options import HASH_BINS, ORDER, PARTITION, WINDOW, Options
from tally.engine.project import Project
from tally.engine.schema import Schema
from tally.fusion.merging import merge
from tally.fusion.sources import Contribution, Leaf

NAN = float("nan")


def project(options: Options | None = None, **columns: tuple[str, list[Any]]) -> Project:
    """Return a project that learned columns, each given as its letter and its cells."""
    draft = Project.empty(options or Options()).draft()
    cells = [
        np.array(values, float) if letter in "CB" else tuple(values)
        for letter, values in columns.values()
    ]
    types = "".join(letter for letter, _ in columns.values())
    draft.learn(Frame(tuple(columns), types, tuple(cells), len(cells[0])))
    return draft.done()


def cell(source: str, given: Project) -> Contribution:
    return Contribution.of(source, "1-1", given)


X = project(x=("C", [1.0, 2.0, 4.0]))


def test_nothing_merges_to_nothing() -> None:
    merged = merge([])
    assert (merged.project.row_count, merged.provenance, merged.refused) == (0, (), {})


def test_a_cell_without_an_attribute_counts_nothing_of_it() -> None:
    both = project(x=("C", [1.0, 2.0]), y=("C", [5.0, 7.0]))
    summary = merge([cell("a", both), cell("b", X)]).project.summary
    assert summary.counts().tolist() == [5, 2]
    assert summary.pair(0, 1).n == 2


def test_a_value_that_a_cell_never_saw_was_0_there() -> None:
    red = project(color=("T", ["red", "red", None]))
    blue = project(color=("T", ["blue"]))
    summary = merge([cell("a", red), cell("b", blue), cell("c", X)]).project.summary
    at = summary.schema.index
    assert [summary.moments(at[name]).n for name in ("color$red", "color$blue")] == [3, 3]
    assert [summary.moments(at[name]).s1 for name in ("color$red", "color$blue")] == [2, 1]
    assert summary.pair(at["color$red"], at["color$blue"]).c == 0


def test_what_is_continuous_in_one_cell_is_so_in_all() -> None:
    binary = project(x=("B", [0, 1, 1]))
    merged = merge([cell("a", binary), cell("b", X)])
    assert not merged.refused
    assert merged.project.summary.schema.types == "C"
    assert merged.project.known_types == {"x": "C"}
    assert merged.project.summary.moments(0).n == 6


def test_a_cell_that_means_something_else_by_a_name_is_left_out_whole() -> None:
    texts = project(x=("S", ["wide", "narrow"]), z=("C", [1.0, 2.0]))
    merged = merge([cell("b", X), cell("a", texts), cell("c", project(z=("C", [3.0])))])
    assert merged.refused[1].text == "INCOMPATIBLE_SCHEMA: attribute [x] is S, expected C"
    assert merged.project.row_count == 4
    assert [leaf.source for leaf in merged.provenance] == ["b", "c"]
    # Who is asked first is right, wherever it stands among the sources.
    merged = merge([cell("a", texts), cell("b", X)])
    assert merged.refused[1].text == "INCOMPATIBLE_SCHEMA: attribute [x] is C, expected S"


def test_a_category_and_a_number_of_one_name_do_not_meet() -> None:
    merged = merge([cell("a", X), cell("b", project(x=("T", ["red"])))])
    assert merged.refused[1].text == "INCOMPATIBLE_SCHEMA: attribute [x] is T, expected C"


@pytest.mark.parametrize(
    ("options", "column"),
    [
        (Options("sequence", {ORDER: "2"}), ("T", ["a", "b"])),
        (Options("partition", {PARTITION: "x"}), ("T", ["a", "b"])),
        (Options("cpu", {HASH_BINS: "4"}), ("T", ["a", "b"])),
    ],
    ids=["sequence", "partition", "hashed"],
)
def test_cells_that_count_other_things_do_not_meet(
    options: Options, column: tuple[str, list[Any]]
) -> None:
    other = project(options, x=column)
    merged = merge([cell("a", X), cell("b", other)])
    assert merged.refused[1].text.startswith("INCOMPATIBLE_SCHEMA: ")
    assert not merge([cell("a", other), cell("b", other)]).refused


def test_rows_that_were_counted_are_not_counted_again() -> None:
    inner = merge([cell("x", X), cell("y", X)])
    nested = Contribution("b", "1-1", inner.project, inner.provenance)
    merged = merge([cell("c", X), nested, cell("y", X), nested])
    assert {place: why.text for place, why in merged.refused.items()} == {
        2: "DUPLICATE_SOURCE: y",
        3: "DUPLICATE_SOURCE: b, x, y",
    }
    assert merged.provenance == (Leaf("c", "1-1", 3), Leaf("x", "1-1", 3), Leaf("y", "1-1", 3))
    assert merged.project.row_count == 9


def test_partitions_are_merged_by_their_value() -> None:
    options = Options("partition", {PARTITION: "grade"})
    one = project(options, x=("C", [1.0, 2.0]), grade=("T", ["a", "b"]))
    two = project(options, x=("C", [3.0, 4.0]), grade=("T", ["b", "c"]))
    merged = merge([cell("a", one), cell("b", two)]).project
    counts = {value: part.counts()[0] for value, part in merged.partitions.items()}
    assert counts == {"a": 1, "b": 2, "c": 1}
    assert merged.options.partition == "grade"


def test_a_cell_that_is_too_much_is_left_out_and_the_others_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wide = [project(None, **{f"{name}{k}": ("C", [1.0]) for k in range(3)}) for name in "pqr"]
    monkeypatch.setattr(schema, "MAX_ATTRIBUTES", 6)
    merged = merge([cell(source, one) for source, one in zip("abc", wide, strict=True)])
    assert merged.refused[2].text.startswith("ERROR: attributes: 9 are more than the 6")
    assert merged.project.row_count == 2


def test_too_many_partitions_leave_out_a_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    options = Options("partition", {PARTITION: "grade"})
    one = project(options, x=("C", [1.0, 2.0]), grade=("T", ["a", "b"]))
    two = project(options, x=("C", [3.0, 4.0]), grade=("T", ["c", "d"]))
    monkeypatch.setattr(project_draft, "MAX_PARTITIONS", 3)
    merged = merge([cell("b", one), cell("a", two)])
    assert merged.refused[0].text == "ERROR: grade: 4 values; at most 3 partitions"
    assert merged.provenance == (Leaf("a", "1-1", 2),)
    assert merged.project.row_count == 2


def test_histograms_are_merged_and_tell_where_they_are_not_whole() -> None:
    counted = project(Options(histogram=True), x=("C", [1.0, 1.0, 9.0]))
    merged = merge([cell("a", counted), cell("b", counted)]).project
    assert merged.histograms is not None
    assert merged.histograms.distribution("x").counts.tolist() == [4, 2]
    assert not merged.histograms.partial
    merged = merge([cell("a", X), cell("b", counted)]).project
    assert merged.histograms is not None
    assert merged.histograms.partial
    assert merge([cell("a", X)]).project.histograms is None


def test_a_window_gives_its_statistics_and_keeps_its_rows() -> None:
    windowed = project(Options("cpu", {WINDOW: "2", "note": "mine"}), x=("C", [1.0, 2.0, 4.0]))
    given = cell("a", windowed)
    assert given.project.window is None
    assert dict(given.project.options.params) == {}
    merged = merge([given, cell("b", X)]).project
    assert merged.row_count == 5
    assert merged.window is None


def test_attributes_keep_their_places_also_when_their_cell_is_gone() -> None:
    wide = project(y=("C", [5.0]), x=("C", [1.0]))
    before = merge([cell("b", wide), cell("c", project(z=("B", [1])))]).project.summary.schema
    assert before.names == ("y", "x", "z")
    after = merge([cell("a", project(w=("C", [1.0]), z=("C", [1.5])))], first=before)
    assert after.project.summary.schema.names == ("y", "x", "z", "w")
    assert after.project.summary.schema.types == "CCCC"
    assert after.project.summary.counts().tolist() == [0, 0, 1, 1]


def test_places_are_given_up_where_a_name_means_something_else_now() -> None:
    before = Schema(("q", "x"), "CB", (None, "x"), (0, 0))
    assert merge([cell("a", X)], first=before).project.summary.schema.names == ("x",)


def test_the_order_of_the_answers_does_not_move_the_last_bit() -> None:
    random = np.random.default_rng(6)
    given = [
        cell(source, project(x=("C", [*random.normal(1e6, 1.0, 7)]), y=("C", [*random.random(7)])))
        for source in "abcd"
    ]
    orders = itertools.permutations(given)
    written = {
        encode(Contribution("f", "1-1", m.project, m.provenance)) for m in map(merge, orders)
    }
    assert len(written) == 1


def test_sums_are_merged_without_blas(monkeypatch: pytest.MonkeyPatch) -> None:
    both = project(
        x=("C", [1.0, 2.0, 4.0]), y=("C", [5.0, NAN, 7.0]), color=("T", ["a", None, "b"])
    )
    given = [cell("a", both), cell("b", X)]
    want = merge(given).project.row_count

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("its results differ from one processor to the next")

    for name in ("add_square", "add_product", "sum_of_squares"):
        monkeypatch.setattr(blas, name, forbidden)
    assert merge(given).project.row_count == want
