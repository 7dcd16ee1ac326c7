from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import numpy as np
import pytest

from tally.codec.project import decode, encode
from tally.engine.frame import Frame, Numbers, Texts
from tally.engine.options import AUTOSAVE, EMBEDDED, LEARN_MERGE, Options, UnusableOption
from tally.engine.project import Project
from tally.engine.summary import Summary
from tally.errors import InvalidInput, TooLarge

NAN = math.nan
A = Frame(
    ("x", "y", "color"),
    "CBT",
    (np.array([1.0, 2, NAN, 4]), np.array([1.0, 0, 1, 0]), (" Red ", "blue", "red", None)),
    4,
)
B = Frame(
    ("x", "y", "color", "w"),
    "CBTC",
    (np.array([3.0, 5]), np.array([1.0, 0]), ("green", "blue"), np.array([10.0, 20])),
    2,
)


def numbers(**columns: list[float]) -> Frame:
    names = tuple(columns)
    values = tuple(np.array(column, float) for column in columns.values())
    return Frame(names, "C" * len(names), values, len(values[0]))


def learned(*frames: Frame, kind: str = "cpu", params: Mapping[str, str] | None = None) -> Project:
    draft = Project.empty(Options(kind, params or {})).draft()
    for frame in frames:
        draft.learn(frame)
    return draft.done()


def merged(*projects: Project) -> Project:
    draft = projects[0].draft()
    for project in projects[1:]:
        draft.merge(project)
    return draft.done()


def counts_and_means(summary: Summary) -> dict[str, tuple[float, float]]:
    found = {}
    for i, name in enumerate(summary.schema.names):
        moments = summary.moments(i)
        mean = moments.origin + moments.s1 / moments.n if moments.n else NAN
        found[name] = (moments.n, round(mean, 12))
    return found


def mean(project: Project, name: str) -> float:
    moments = project.summary.moments(project.summary.schema.index[name])
    return moments.origin + moments.s1 / moments.n


WHOLE = {
    "x": (5, 3), "y": (6, 0.5), "color$red": (5, 0.4), "color$blue": (5, 0.4),
    "color$green": (5, 0.2), "w": (2, 15),
}  # fmt: skip


@pytest.mark.parametrize(
    "project",
    [learned(A, B), learned(B, A), merged(learned(A), learned(B)), merged(learned(B), learned(A))],
    ids=["A then B", "B then A", "A merged with B", "B merged with A"],
)
def test_missing_late_and_category_cells_count_as_documented(project: Project) -> None:
    summary = project.summary
    assert counts_and_means(summary) == WHOLE
    assert project.row_count == 6
    x, y = (summary.schema.index[name] for name in "xy")
    pair = summary.pair(x, y)
    covariances, pairs = summary.covariance([x, y])
    assert covariances[0, 1] == pytest.approx(-0.4, rel=1e-12)
    assert pairs[0, 1] == 5
    # Of the rows with both, variances too.
    variances = pair.qx / 5 - (pair.px / 5) ** 2, pair.qy / 5 - (pair.py / 5) ** 2
    correlation = covariances[0, 1] / math.sqrt(variances[0] * variances[1])
    assert correlation == pytest.approx(-0.5773502691896258, rel=1e-9)
    # Over the rows with y = 1.
    condition_sum = pair.c + pair.origin_x * pair.py
    assert pair.py == 2
    assert condition_sum == pytest.approx(4, rel=1e-12)


def test_attributes_are_in_order_of_first_appearance() -> None:
    assert learned(A, B).summary.schema.names == tuple(WHOLE)


def test_forgetting_a_frame_leaves_the_rest() -> None:
    draft = learned(A, B).draft()
    assert draft.forget(A) == 4
    project = draft.done()
    assert counts_and_means(project.summary) == {
        "x": (2, 4), "y": (2, 0.5), "color$red": (2, 0), "color$blue": (2, 0.5),
        "color$green": (2, 0.5), "w": (2, 15),
    }  # fmt: skip
    draft.forget(B)
    assert not draft.done().summary.counts().any()
    assert not any(array.any() for array in draft.done().summary.sums.arrays)
    assert draft.done().row_count == 0


def test_forgetting_what_was_not_learned_is_refused_and_changes_nothing() -> None:
    project = learned(A, B)
    draft = project.draft()
    with pytest.raises(InvalidInput, match="x: 6 rows would be forgotten, but 5 were learned"):
        draft.forget(numbers(x=[1, 2, 3, 4, 5, 6]))
    with pytest.raises(InvalidInput, match="color\\$pink: 1 rows would be forgotten"):
        draft.forget(Frame(("color",), "T", (("pink",),), 1))
    with pytest.raises(InvalidInput, match="rows with a value of it"):
        draft.forget(Frame(("color",), "T", (("green", "green"),), 2))
    with pytest.raises(InvalidInput, match="v: 1 rows would be forgotten"):
        draft.forget(numbers(v=[1]))
    with pytest.raises(InvalidInput, match="data: 7 rows would be forgotten, but 6"):
        draft.forget(numbers(x=[NAN] * 7))
    assert encode(draft.done()) == encode(project)


def test_known_types_are_those_of_the_columns() -> None:
    assert learned(A, B).known_types == {"x": "C", "y": "B", "color": "T", "w": "C"}


def test_a_name_that_means_something_else_is_refused() -> None:
    draft = learned(A).draft()
    with pytest.raises(InvalidInput, match="color"):
        draft.learn(numbers(color=[1]))
    with pytest.raises(InvalidInput, match="x"):
        draft.learn(Frame(("x",), "T", (("u",),), 1))


def test_a_binary_attribute_merged_with_a_continuous_one_is_continuous() -> None:
    ones = Frame(("x", "u"), "BC", (np.array([1.0, 0, 1]), np.array([1.0, 2, 3])), 3)
    numeric = numbers(x=[2.5, 0.5], u=[5, 7])
    both = merged(learned(ones), learned(numeric))
    assert both.summary.schema.types == "CC"
    assert both.known_types["x"] == "C"
    want = learned(numbers(x=[1, 0, 1, 2.5, 0.5], u=[1, 2, 3, 5, 7]))
    for i in range(2):
        for j in range(2):
            left, right = (p.summary.covariance([i, j])[0] for p in (both, want))
            np.testing.assert_allclose(left, right, rtol=1e-12)
    ours, theirs = both.summary.pair(0, 1), want.summary.pair(0, 1)
    a, b = ours.origin_x - theirs.origin_x, ours.origin_y - theirs.origin_y
    moved = (
        ours.e_xy + 2 * a * ours.c + a * a * ours.py
        + b * (ours.qx + 2 * a * ours.px + a * a * ours.n)
    )  # fmt: skip
    assert moved == pytest.approx(theirs.e_xy, rel=1e-12)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (learned(numbers(x=[1])), learned(Frame(("x",), "T", (("u",),), 1))),
        (learned(Frame(("x",), "T", (("u",),), 1)), learned(numbers(x=[1]))),
        (learned(), learned(kind="sequence", params={"sml_project_order": "1"})),
        (learned(), learned(params={"sml_project_hashtrick_binsize": "8"})),
        (
            learned(kind="partition", params={"partitionSplit": "a"}),
            learned(kind="partition", params={"partitionSplit": "b"}),
        ),
        (
            learned(kind="sequence", params={"sml_project_order": "2"}),
            learned(kind="sequence", params={"sml_project_order": "1"}),
        ),
    ],
    ids=["number, category", "category, number", "kind", "hash size", "column", "order"],
)
def test_projects_that_count_other_things_are_not_merged(ours: Project, theirs: Project) -> None:
    draft = ours.draft()
    with pytest.raises(InvalidInput):
        draft.merge(theirs)
    assert encode(draft.done()) == encode(ours)


def test_a_project_of_a_graphics_card_is_one_of_the_processor() -> None:
    gpu = learned(numbers(x=[1, 2]), kind="mgpuf", params={"mgpu_num": "2"})
    assert mean(merged(learned(numbers(x=[3])), gpu), "x") == 2


def test_the_row_filter_holds_for_learning_and_forgetting() -> None:
    draft = Project.empty(Options("cpu", {"sml_project_predicate_row_filter": "x>1;x<4"})).draft()
    assert draft.learn(numbers(x=[0, 2, 3, 9])) == 2
    assert mean(draft.done(), "x") == 2.5
    assert draft.forget(numbers(x=[0, 2, 3, 9])) == 2
    assert draft.done().row_count == 0


def test_a_malformed_filter_is_refused_when_the_project_is_made() -> None:
    with pytest.raises(InvalidInput, match="operator"):
        Project.empty(Options("cpu", {"sml_project_predicate_row_filter": "x~1"}))


def test_categories_are_hashed_into_few_attributes() -> None:
    hashed = learned(
        Frame(("t", "x"), "TC", (tuple("abcdefgh"), np.arange(8.0)), 8),
        params={"sml_project_hashtrick_binsize": "4"},
    )
    names = hashed.summary.schema.names
    assert set(names) <= {"hash$0", "hash$1", "hash$2", "hash$3", "x"}
    ones = sum(hashed.summary.moments(i).s1 for i, name in enumerate(names) if name != "x")
    assert ones == 8
    assert hashed.known_types == {"t": "T", "x": "C"}


def test_sequences_count_transitions() -> None:
    params = {"sml_project_order": "1"}
    blocks = Frame(("s",), "S", (("a",) * 10 + ("b",) * 10 + ("c",) * 20,), 40)
    project = learned(blocks, kind="sequence", params=params)
    index, moments = project.summary.schema.index, project.summary.moments
    for name, count, average in (("t0$a", 10, 0.9), ("tm1$c", 20, 0.95)):
        found = moments(index[name])
        assert (found.n, found.s1 / found.n) == (count, average)
    assert project.summary.pair(index["tm1$a"], index["t0$b"]).c == 1
    draft = project.draft()
    draft.forget(blocks)
    assert not any(array.any() for array in draft.done().summary.sums.arrays)


def test_long_sequences_that_come_in_blocks_are_learned_and_forgotten_whole() -> None:
    tokens = tuple(f"w{number * 7919 % 1500}" for number in range(4000))
    frame = Frame(("s",), "S", (tokens,), 4000)
    draft = Project.empty(Options("sequence", {"sml_project_order": "1"})).draft()
    draft.learn(frame)
    index = draft.done().summary.schema.index
    pair = draft.done().summary.pair(index["tm1$w0"], index["t0$w419"])
    assert pair.c == sum(a == "w0" and b == "w419" for a, b in itertools.pairwise(tokens))
    draft.forget(frame)
    assert not draft.done().summary.counts().any()


def test_each_partition_has_statistics_of_its_own_and_the_project_their_sum() -> None:
    frame = Frame(
        ("grade", "x", "color"),
        "SCT",
        (("A", " a", None, "b"), np.array([1.0, 3, 100, 5]), ("red", "blue", "red", "green")),
        4,
    )
    draft = Project.empty(Options("partition", {"partitionSplit": "grade"})).draft()
    assert draft.learn(frame) == 3
    project = draft.done()
    assert sorted(project.partitions) == ["a", "b"]
    assert mean(project, "x") == 3
    assert "grade" not in project.summary.schema.index
    a = project.partitions["a"]
    assert counts_and_means(a)["x"] == (2, 2)
    assert project.row_count == 3
    draft.forget(frame)
    assert not any(part.counts().any() for part in draft.done().partitions.values())


def test_forgetting_from_the_wrong_partition_changes_nothing() -> None:
    def graded(grade: str, x: float) -> Frame:
        return Frame(("grade", "x"), "SC", ((grade,), np.array([x])), 1)

    project = learned(
        graded("a", 1), graded("b", 2), kind="partition", params={"partitionSplit": "grade"}
    )
    draft = project.draft()
    two = Frame(("grade", "x"), "SC", (("a", "a"), np.array([1.0, 2.0])), 2)
    with pytest.raises(InvalidInput):
        draft.forget(two)
    assert encode(draft.done()) == encode(project)
    with pytest.raises(InvalidInput, match="grade"):
        draft.learn(numbers(x=[1]))


def test_partitions_are_bounded() -> None:
    values = tuple(f"v{number}" for number in range(1025))
    frame = Frame(("g", "x"), "SC", (values, np.zeros(1025)), 1025)
    draft = Project.empty(Options("partition", {"partitionSplit": "g"})).draft()
    with pytest.raises(TooLarge, match="at most 1024 partitions"):
        draft.learn(frame)
    assert draft.done().row_count == 0


def test_the_numbers_of_all_partitions_together_are_bounded() -> None:
    def wide(*values: str) -> Frame:
        names = tuple(f"x{number}" for number in range(600))
        zeros = [np.zeros(len(values)) for _ in names]
        columns: tuple[Numbers | Texts, ...] = (values, *zeros)
        return Frame(("g", *names), "S" + "C" * 600, columns, len(values))

    values = [f"v{number}" for number in range(100)]
    empty = Project.empty(Options("partition", {"partitionSplit": "g"}))
    draft = empty.draft()
    with pytest.raises(TooLarge, match="100 partitions of up to 600 attributes"):
        draft.learn(wide(*values))
    assert draft.done().row_count == 0
    draft.learn(wide(*values[:93]))
    draft.learn(wide(values[0]))  # it is there already
    other = empty.draft()
    other.learn(wide(values[93]))
    with pytest.raises(TooLarge, match="94 partitions"):
        draft.merge(other.done())


def test_a_partition_that_met_only_zeros_and_ones_takes_numbers_after_a_merge() -> None:
    params = {"partitionSplit": "g"}
    binary = Frame(("g", "x"), "SB", (("a",), np.array([1.0])), 1)
    numeric = Frame(("g", "x"), "SC", (("b",), np.array([2.5])), 1)
    draft = learned(binary, kind="partition", params=params).draft()
    draft.merge(learned(numeric, kind="partition", params=params))
    draft.learn(Frame(("g", "x"), "SC", (("a",), np.array([3.5])), 1))
    project = draft.done()
    assert counts_and_means(project.partitions["a"])["x"] == (2, 2.25)
    assert project.partitions["a"].schema.types == "C"


def test_histograms_cover_what_was_learned_while_they_are_on() -> None:
    draft = learned(numbers(x=[1, 2])).draft()
    assert draft.done().histograms is None
    draft.set_histogram(True)
    draft.learn(numbers(x=[5, 7, 9]))
    on = draft.done().histograms
    assert on is not None
    assert on.distribution("x").median == 7
    draft.forget(numbers(x=[9]))
    left = draft.done().histograms
    assert left is not None
    assert left.distribution("x").maximum == 7
    draft.set_histogram(False)
    assert draft.done().histograms is None


def test_histograms_say_when_a_part_is_missing_from_them() -> None:
    counted = Project.empty(Options(histogram=True)).draft()
    counted.learn(numbers(x=[1]))
    counted.merge(learned(numbers(x=[2])))
    assert counted.done().histograms is not None
    assert counted.done().histograms.partial  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("kind", "params", "text"),
    [
        ("quantum", {}, "Unknown project type [quantum]"),
        ("sequence", {}, "Missing parameter [sml_project_order]"),
        ("partition", {"partitionSplit": " "}, "Missing parameter [partitionSplit]"),
        ("mgpud", {}, "Missing parameter [mgpu_num]"),
    ],
)
def test_unusable_options_have_the_documented_text(
    kind: str, params: dict[str, str], text: str
) -> None:
    with pytest.raises(UnusableOption) as refused:
        Options(kind, params)
    assert str(refused.value) == text


@pytest.mark.parametrize("key", [AUTOSAVE, LEARN_MERGE, EMBEDDED])
def test_truth_values_among_the_options_are_checked(key: str) -> None:
    with pytest.raises(UnusableOption, match=rf"^{key} is \[yes\], neither true nor false$"):
        Options("cpu", {key: "yes"})


@pytest.mark.parametrize("size", ["0", "-1", "1.5", "x", "1000001", "9" * 5000, "\u0665"])
def test_numbers_among_the_options_are_checked(size: str) -> None:
    with pytest.raises(UnusableOption, match="not a number from 1 to 1000000"):
        Options("cpu", {"sml_project_rolling_window_size": size})


def test_drafts_share_nothing_with_the_snapshot_that_they_came_from() -> None:
    project = learned(A)
    before = encode(project)
    draft = project.draft()
    draft.learn(B)
    between = draft.done()
    mid = encode(between)
    draft.learn(A)
    assert encode(project) == before
    assert encode(between) == mid
    assert encode(decode(mid)) == mid
