"""Laws of parts: whichever part learns or forgets which rows, the sum is that of one project."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tally.codec.project import decode, encode
from tally.engine.frame import Frame, Numbers, Texts
from tally.engine.options import Options
from tally.engine.part import Known
from tally.engine.project import Project
from tally.errors import InvalidInput
from tally.fusion.merging import Merged
from tally.fusion.parts import sum_of_parts
from tally.fusion.sources import Contribution

laws = settings(max_examples=40)
_ROUNDING = 1e-12 * 100**2
"""Of the products of what was learned, which may be forgotten by now; the largest is 100."""

numbers = st.one_of(st.just(np.nan), st.floats(-100, 100))


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    """Draw rows of some of four columns: two of numbers, a flag and a category."""
    count = draw(st.integers(1, 6))
    columns = {
        "x": ("C", numbers),
        "z": ("C", st.floats(-3, 3)),
        "flag": ("B", st.sampled_from([0.0, 1.0, np.nan])),
        "color": ("T", st.sampled_from(["red", "blue", "green"])),
    }
    names = draw(st.lists(st.sampled_from(sorted(columns)), min_size=1, unique=True))

    def column(name: str) -> Numbers | Texts:
        letter, cells = columns[name]
        drawn = draw(st.lists(cells, min_size=count, max_size=count))
        return [*map(str, drawn)] if letter == "T" else np.array(drawn, float)

    types = "".join(columns[name][0] for name in names)
    return Frame(tuple(names), types, tuple(column(name) for name in names), count)


def moved(frame: Frame, by: float) -> Frame:
    """Return the frame with all of its numbers that far away, in units that a float can add."""
    columns = (
        np.round(frame.numbers(at), 3) + by if letter == "C" else column
        for at, (letter, column) in enumerate(zip(frame.types, frame.columns, strict=True))
    )
    return Frame(frame.names, frame.types, tuple(columns), frame.rows)


@dataclass
class Parts:
    """A project of parts, which tell each other what they know before a change counts."""

    count: int
    options: Options = field(default_factory=Options)
    known: Known = field(default_factory=Known)

    def __post_init__(self) -> None:
        self.parts = [Project.part(self.options) for _ in range(self.count)]

    def make(self, op: str, frame: Frame, number: int) -> None:
        number %= self.count
        draft = self.known.told_to(self.parts[number]).draft()
        getattr(draft, op)(frame)
        part = draft.done()
        self.known = self.known.with_(part)
        self.parts[number] = decode(encode(part))

    def sum(self) -> Merged:
        given = [Contribution.of(f"{k:032x}", "1-1", part) for k, part in enumerate(self.parts)]
        return sum_of_parts(given, self.known)


def assert_same(ours: Project, theirs: Project) -> None:
    """Hold two projects against each other: the same counts, and covariances to 1e-12."""
    assert ours.summary.schema.names == theirs.summary.schema.names
    assert ours.summary.schema.types == theirs.summary.schema.types
    assert ours.summary.schema.bases == theirs.summary.schema.bases
    assert (ours.row_count, ours.known_types) == (theirs.row_count, theirs.known_types)
    every = range(len(ours.summary.schema))
    (our, n), (their, m) = (one.summary.covariance(every) for one in (ours, theirs))
    assert (n == m).all()
    for i in every:
        for j in every:
            assert our[i, j] == pytest.approx(their[i, j], rel=1e-12, abs=_ROUNDING, nan_ok=True)


@laws
@given(
    st.lists(st.tuples(frames(), st.integers(0, 9), st.integers(0, 9), st.booleans()), max_size=8),
    st.integers(2, 4),
    st.booleans(),
)
def test_parts_that_learn_and_forget_whatever_frames_are_one_project(
    feeds: list[tuple[Frame, int, int, bool]], count: int, far: bool
) -> None:
    one, parts = Project.empty(Options()).draft(), Parts(count)
    if far:
        feeds = [(moved(frame, 1e9), at, by, gone) for frame, at, by, gone in feeds]
    for frame, number, _, _ in feeds:
        one.learn(frame)
        parts.make("learn", frame, number)
    for frame, _, number, forgotten in feeds:
        if forgotten:
            one.forget(frame)
            parts.make("forget", frame, number)
    merged = parts.sum()
    assert_same(merged.project, one.done())
    assert sum(leaf.rows for leaf in merged.provenance) == merged.project.row_count


@laws
@given(
    st.lists(st.tuples(frames(), st.integers(0, 9), st.integers(0, 9)), max_size=6),
    st.integers(2, 4),
)
def test_when_everything_is_forgotten_every_sum_is_exactly_zero(
    feeds: list[tuple[Frame, int, int]], count: int
) -> None:
    parts = Parts(count, Options(histogram=True))
    for frame, number, _ in feeds:
        parts.make("learn", frame, number)
    for frame, _, number in feeds:
        parts.make("forget", frame, number)
    project = parts.sum().project
    assert project.row_count == 0
    assert all(not array.any() for array in project.summary.sums.arrays)
    assert project.histograms is not None
    assert not any(len(table.values) for table in project.histograms.continuous.values())


@laws
@given(st.lists(st.tuples(frames(), st.integers(0, 9)), min_size=1, max_size=5), frames())
def test_histograms_of_parts_are_those_of_one_project(
    feeds: list[tuple[Frame, int]], gone: Frame
) -> None:
    options = Options(histogram=True)
    one, parts = Project.empty(options).draft(), Parts(3, options)
    for frame, number in [*feeds, (gone, 1)]:
        one.learn(frame)
        parts.make("learn", frame, number)
    one.forget(gone)
    parts.make("forget", gone, 2)
    ours, theirs = parts.sum().project.histograms, one.done().histograms
    assert ours is not None
    assert theirs is not None
    assert ours.continuous.keys() == theirs.continuous.keys()
    for name, table in theirs.continuous.items():
        assert ours.continuous[name].values.tolist() == table.values.tolist()
        assert ours.continuous[name].counts.tolist() == table.counts.tolist()
    for name in theirs.binary.names:
        our, their = (one.binary.distribution(name) for one in (ours, theirs))
        assert our.counts.tolist() == their.counts.tolist()


def test_what_no_part_has_learned_is_refused_by_the_part_or_by_the_sum() -> None:
    parts = Parts(2)
    parts.make("learn", Frame(("x",), "C", (np.array([1.0]),), 1), 0)
    with pytest.raises(InvalidInput, match="y: 1 rows would be forgotten, but 0 were learned"):
        parts.make("forget", Frame(("y",), "C", (np.array([1.0]),), 1), 1)
    parts.make("forget", Frame(("x",), "C", (np.array([1.0, 2.0]),), 2), 1)
    with pytest.raises(InvalidInput, match="2 rows would be forgotten, but 1 were learned"):
        parts.sum()
    parts.make("learn", Frame(("x",), "C", (np.array([2.0]),), 1), 0)
    assert parts.sum().project.row_count == 0


def test_a_name_means_the_same_in_all_parts() -> None:
    parts = Parts(2)
    parts.make("learn", Frame(("x",), "B", (np.array([1.0]),), 1), 0)
    with pytest.raises(InvalidInput, match="is not 0 or 1, and the attribute is binary"):
        parts.make("learn", Frame(("x",), "C", (np.array([5.0]),), 1), 1)
    with pytest.raises(InvalidInput, match="x"):
        parts.make("learn", Frame(("x",), "T", (("red",),), 1), 1)
