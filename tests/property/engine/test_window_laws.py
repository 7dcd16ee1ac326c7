"""Rolling windows: at any time, the statistics of the last rows as one batch would give them."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tally.codec.project import decode, encode
from tally.engine.counts import Histograms
from tally.engine.frame import Frame
from tally.engine.options import EMBEDDED, WINDOW, Options
from tally.engine.project import Project
from tests.property.engine.exact import Table, assert_exact, concatenated, tables

LAWS = settings(max_examples=30)
several = st.lists(tables(most=6), min_size=1, max_size=8)


def frame_of(table: Table) -> Frame:
    """Return the table as a client sends it, its category as one column."""
    names, types, columns = [], "", []
    members = [name for name in table if "$" in name]
    count = len(next(iter(table.values())))
    for name, column in table.items():
        if name not in members:
            names.append(name)
            types += "B" if name == "y" else "C"
            columns.append(np.array(column))
    if members:
        cells = [
            next((name.partition("$")[2] for name in members if table[name][row] == 1), None)
            for row in range(count)
        ]
        return Frame((*names, "t"), types + "T", (*columns, tuple(cells)), count)
    return Frame(tuple(names), types, tuple(columns), count)


def last(table: Table, size: int) -> Table:
    return {name: column[-size:] for name, column in table.items()}


def used(table: Table) -> Table:
    """Return the table without category values that no row had: a frame cannot name those."""
    return {name: column for name, column in table.items() if "$" not in name or 1 in column}


@LAWS
@given(several, st.integers(1, 9), st.booleans())
def test_a_window_is_the_batch_of_its_last_rows(
    parts: list[Table], size: int, stored_between: bool
) -> None:
    project = Project.empty(Options("cpu", {WINDOW: str(size)}, histogram=True))
    for part in parts:
        draft = project.draft()
        draft.learn(frame_of(part))
        project = decode(encode(draft.done())) if stored_between else draft.done()
    whole = used(concatenated(parts))
    assert_exact(project.summary, last(whole, size), among=whole)
    assert project.row_count == min(size, len(next(iter(concatenated(parts).values()))))
    assert project.histograms is not None
    for name, column in last(whole, size).items():
        values = sorted(value for value in column if value == value)
        median = project.histograms.distribution(name).median
        assert median == np.median(values) if values else math.isnan(median)


@LAWS
@given(several, st.integers(1, 9))
def test_an_embedded_window_stands_beside_the_statistics_of_all_rows(
    parts: list[Table], size: int
) -> None:
    draft = Project.empty(Options("cpu", {WINDOW: str(size), EMBEDDED: "true"})).draft()
    for part in parts:
        draft.learn(frame_of(part))
    project = decode(encode(draft.done()))
    whole = used(concatenated(parts))
    assert_exact(project.summary, whole)
    assert project.window is not None
    assert_exact(project.window.summary, last(whole, size), among=whole)
    assert isinstance(project.histograms, Histograms | None)
