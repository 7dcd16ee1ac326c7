"""What a curious peer tries on the statistics that it gets: what fails, and what does not.

The attacks that succeed are those that docs/privacy.md warns of. They are tested too: whoever
changes what is revealed is to change that page.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import least_squares, linear_sum_assignment

from tally.engine.frame import Frame
from tally.engine.options import Options
from tally.engine.project import Project
from tally.engine.summary import Summary
from tally.federation.privacy.minimum import Turnover, fewest_rows, too_few
from tally.federation.privacy.reason import Reason
from tally.federation.privacy.small_groups import SmallGroup, small_groups
from tally.federation.wire_form import wire_form
from tests.unit.federation.wards import Wards, rows

Floats = NDArray[np.float64]


def frame(rows: Floats, types: str = "") -> Frame:
    p = rows.shape[1]
    columns = tuple(np.ascontiguousarray(rows[:, k]) for k in range(p))
    return Frame(tuple("abcdefgh"[:p]), types or "C" * p, columns, len(rows))


def seen(*batches: Frame, histogram: bool = False) -> Project:
    """Return what a peer sees of a project that learned these."""
    draft = Project.empty(Options(histogram=histogram)).draft()
    for batch in batches:
        draft.learn(batch)
    project = draft.done()
    return wire_form(project, fewest=fewest_rows(len(project.summary.schema))).project


def raw_sums(summary: Summary) -> dict[str, Floats]:
    """Return a reader's sums about 0, of attributes that are always present."""
    p = len(summary.schema)
    found = {name: np.zeros((p, p)) for name in ("c", "d", "e")}
    for i in range(p):
        for j in range(p):
            pair = summary.pair(i, j)
            a, b, n = pair.origin_x, pair.origin_y, pair.n
            found["c"][i, j] = pair.c + a * pair.py + b * pair.px + n * a * b
            found["e"][i, j] = (
                pair.e_xy + b * pair.qx + 2 * a * (pair.c + b * pair.px)
                + a * a * (pair.py + n * b)
            )  # fmt: skip
            found["d"][i, j] = (
                pair.d + 2 * b * pair.e_xy + 2 * a * pair.e_yx + b * b * pair.qx + a * a * pair.qy
                + 4 * a * b * pair.c + 2 * a * b * b * pair.px + 2 * a * a * b * pair.py
                + n * a * a * b * b
            )  # fmt: skip
    first = [
        summary.moments(i).s1 + summary.counts()[i] * summary.moments(i).origin for i in range(p)
    ]
    return found | {"s": np.array(first)}


def sums_of(rows: Floats) -> dict[str, Floats]:
    squares = rows * rows
    return {
        "s": rows.sum(axis=0), "c": rows.T @ rows, "d": squares.T @ squares, "e": squares.T @ rows
    }  # fmt: skip


def distance(one: Floats, two: Floats) -> float:
    """Return how far apart the rows of two tables are at most, in the best order."""
    apart = np.linalg.norm(one[:, None] - two[None], axis=2)
    return float(apart[linear_sum_assignment(apart)].max())


def solve(told: dict[str, Floats], m: int, starts: range) -> Floats | None:
    """Return m rows that have these sums; None if no start leads to any."""
    p = len(told["s"])

    def left(cells: Floats) -> Floats:
        found = sums_of(cells.reshape(m, p))
        return np.concatenate([(found[name] - told[name]).ravel() for name in told])

    for start in starts:
        guess = np.random.default_rng(start).normal(size=m * p)
        done = least_squares(left, guess, max_nfev=200)
        if done.cost < 1e-12:
            rows: Floats = done.x.reshape(m, p)
            return rows
    return None


def test_one_new_row_is_the_difference_of_two_forms_and_is_blocked() -> None:
    random = np.random.default_rng(0)
    old, new = random.normal(size=(50, 4)), random.normal(size=(1, 4))
    before, after = seen(frame(old)), seen(frame(old), frame(new))
    stolen = raw_sums(after.summary)["s"] - raw_sums(before.summary)["s"]
    assert stolen == pytest.approx(new[0], abs=1e-12)
    blocked = too_few(Turnover(51), Turnover(50), 4)
    assert blocked is not None


def test_first_and_second_moments_of_so_many_rows_have_many_solutions() -> None:
    random = np.random.default_rng(1)
    rows = random.normal(size=(fewest_rows(4), 4))
    # Mix rows so that means and products stay: an orthogonal matrix that keeps the vector of ones.
    basis, _ = np.linalg.qr(np.column_stack([np.ones(9), random.normal(size=(9, 8))]))
    turn, _ = np.linalg.qr(random.normal(size=(8, 8)))
    mixed = (
        basis @ np.block([[np.eye(1), np.zeros((1, 8))], [np.zeros((8, 1)), turn]]) @ basis.T @ rows
    )
    assert distance(rows, mixed) > 0.3
    one, two = sums_of(rows), sums_of(mixed)
    assert two["s"] == pytest.approx(one["s"])
    assert two["c"] == pytest.approx(one["c"])
    # Third and fourth powers tell the two apart: see the next test.
    assert two["e"] != pytest.approx(one["e"], abs=0.1)


def test_a_patient_solver_finds_d_plus_5_rows_of_4_continuous_attributes() -> None:
    random = np.random.default_rng(0)
    old, new = random.normal(size=(60, 4)), random.normal(size=(9, 4))
    assert too_few(Turnover(69), Turnover(60), 4) is None
    before, after = (
        raw_sums(seen(frame(old)).summary),
        raw_sums(seen(frame(old), frame(new)).summary),
    )
    change = {name: after[name] - before[name] for name in after}
    found = solve(change, 9, range(6))
    assert found is not None
    assert distance(found, new) < 1e-4
    assert too_few(Turnover(69), Turnover(60), 4, strict=True) is not None


def test_from_2_d_plus_3_rows_on_a_solver_finds_other_rows() -> None:
    random = np.random.default_rng(2)
    new = random.normal(size=(fewest_rows(4, strict=True), 4))
    found = solve(sums_of(new), len(new), range(6))
    assert found is not None
    assert distance(found, new) > 0.1


def test_a_row_of_a_partition_is_not_told_by_two_syncs_nor_by_the_other_partitions() -> None:
    random = np.random.default_rng(6)
    old, more, new = (random.normal(7, 2, n) for n in (30, 20, 1))
    peer = Wards().learn(rows(["a"] * 30, x=old)).learn(rows(["b"] * 30, x=old))
    assert peer.share() is None
    before = peer.form
    peer.learn(rows(["a"] * 20, x=more)).learn(rows(["b"], x=new))

    def total(summary: Summary) -> float:
        return float(raw_sums(summary)["s"][0])

    after = peer.form
    direct = total(after.partitions["b"]) - total(before.partitions["b"])
    around = total(after.summary) - total(after.partitions["a"]) - total(before.partitions["b"])
    assert [direct, around] == pytest.approx([new[0], new[0]], abs=1e-12)
    # The change of the whole is large enough; that of the partition is not, so neither leaves.
    assert too_few(Turnover(81), Turnover(60), 1) is None
    blocked = peer.share()
    assert blocked is not None
    assert blocked.reason is Reason.MIN_DELTA


def with_rare_flag(rare_rows: int) -> tuple[Floats, Project]:
    """Return 60 rows of three numbers and a flag that is 1 in a few."""
    rows = np.random.default_rng(3).normal(40, 9, (60, 4)).round(1)
    rows[:, 3] = np.arange(60) < rare_rows
    return rows, seen(frame(rows, "CCCB"))


def test_a_flag_that_is_1_in_one_row_tells_that_row() -> None:
    rows, form = with_rare_flag(1)
    summary = form.summary
    stolen = [summary.pair(i, 3).origin_x + summary.pair(i, 3).c for i in range(3)]
    assert stolen == pytest.approx(rows[0, :3], abs=1e-9)
    assert small_groups(summary, fewest_rows(4)) == [SmallGroup(1, "d = 1")]


def test_a_flag_that_is_1_in_two_rows_tells_their_means_and_variances() -> None:
    rows, form = with_rare_flag(2)
    pair = form.summary.pair(0, 3)
    mean = pair.origin_x + pair.c / pair.py
    spread = np.sqrt(pair.e_xy / pair.py - (pair.c / pair.py) ** 2)
    # Of two values, mean and deviation are the values.
    assert [mean - spread, mean + spread] == pytest.approx(sorted(rows[:2, 0]), abs=1e-6)
    assert small_groups(form.summary, 9) == [SmallGroup(2, "d = 1")]


def test_rows_in_which_one_value_is_missing_are_told_by_difference() -> None:
    rows = np.random.default_rng(4).normal(size=(40, 3))
    rows[7, 1] = np.nan
    summary = seen(frame(rows)).summary
    own, pair = summary.moments(0), summary.pair(0, 1)
    assert own.origin * (own.n - pair.n) + own.s1 - pair.px == pytest.approx(rows[7, 0], abs=1e-12)
    assert SmallGroup(1, "a present, b missing") in small_groups(summary, 8)


def test_cells_of_two_flags_are_small_groups_too() -> None:
    flags = np.array(
        [[1, 1, 0]] * 20 + [[0, 1, 0]] * 20 + [[0, 0, 1]] * 20 + [[1, 0, 1]] * 2, float
    )
    summary = seen(frame(flags, "BBB")).summary
    assert small_groups(summary, 8) == [
        SmallGroup(2, "c = 1 and a = 1"),
        SmallGroup(2, "a = 1 and b = 0"),
    ]
    assert small_groups(summary, 2) == []
    assert len(small_groups(summary, 50, most=1)) == 1


def test_two_histograms_of_values_that_repeat_tell_values_of_single_new_rows() -> None:
    ages = np.repeat(np.arange(20.0, 30), 6)[:, None]
    new = np.array([[23.0]] * 1 + [[27.0]] * 5)
    before, after = seen(frame(ages), histogram=True), seen(frame(ages), frame(new), histogram=True)
    assert before.histograms is not None
    assert after.histograms is not None
    old, now = before.histograms.distribution("a"), after.histograms.distribution("a")
    assert old.values.tolist() == now.values.tolist()
    assert (now.counts - old.counts).tolist() == [0, 0, 0, 1, 0, 0, 0, 5, 0, 0]


@pytest.mark.parametrize(
    "path",
    [
        lambda t: t.learned(1),
        lambda t: t.learned(20).forgot(1),
        lambda t: t.forgot(1),
        lambda t: t.learned(8).forgot(8),
    ],
)
def test_no_path_to_a_small_change_is_open(path: Callable[[Turnover], Turnover]) -> None:
    approved = Turnover(50)
    assert too_few(path(approved), approved, 4) is not None
