"""What leaves a peer, and what does not."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from tally.codec.project import decode, encode
from tally.engine.frame import Frame
from tally.engine.options import HASH_BINS, ROW_FILTER, WINDOW, Options
from tally.engine.project import Project
from tally.engine.summary import Summary
from tally.engine.value_counts import ValueCounts
from tally.errors import InvalidInput
from tally.federation.privacy.minimum import fewest_rows
from tally.federation.wire_form import CELL_ROWS, cells, wire_form


def learned(
    frame: Frame, params: Mapping[str, str] | None = None, *, histogram: bool = True
) -> Project:
    draft = Project.empty(Options("cpu", params or {}, histogram)).draft()
    draft.learn(frame)
    return draft.done()


def people(n: int = 60) -> Frame:
    random = np.random.default_rng(5)
    ids = tuple(f"patient-{k}" for k in range(n))
    salary = random.normal(50_000, 9_000, n).round(2)
    towns = tuple("abc"[k % 3] for k in range(n))
    sex = random.integers(0, 2, n).astype(float)
    columns = (ids, salary, towns, sex, ids)
    return Frame(("mrn", "salary", "town", "female", "note"), "PCTBS", columns, n)


def test_sums_stay_the_same_and_nothing_else_is_there() -> None:
    project = learned(people(), {ROW_FILTER: "salary>1", "note": "secret"})
    project_form = wire_form(project, fewest=9).project
    assert project_form.row_count == 60
    assert project_form.summary.schema.names == project.summary.schema.names
    assert project_form.summary.counts().tolist() == [60.0] * 5
    assert dict(project_form.known_types) == {"salary": "C", "town": "T", "female": "B"}
    assert dict(project_form.options.params) == {}
    data = encode(project_form)
    for secret in (b"mrn", b"note", b"patient-", b"secret", b"salary>1"):
        assert secret not in data
    assert encode(decode(data)) == data


def test_no_value_of_a_row_is_an_origin_an_extreme_or_a_cell() -> None:
    frame = people()
    form = wire_form(learned(frame), fewest=9).project
    values = set(np.asarray(frame.numbers(1)).tolist())
    schema = form.summary.schema
    assert form.summary.moments(schema.index["salary"]).origin not in values
    assert form.histograms is not None
    distribution = form.histograms.distribution("salary")
    assert distribution.counts.min() >= CELL_ROWS
    assert not values & set(distribution.values.tolist())
    assert {distribution.minimum, distribution.maximum} <= set(distribution.values.tolist())
    assert distribution.rows == 60
    assert form.histograms.given is None


def test_an_origin_follows_from_what_is_sent_anyway() -> None:
    first, last = np.array([[100.0], [1.0]]), np.arange(20.0)[:, None]
    one, two = Project.empty(Options()).draft(), Project.empty(Options()).draft()
    for draft, batches in ((one, (first, last)), (two, (last, first))):
        for batch in batches:
            draft.learn(Frame(("x",), "C", (batch[:, 0],), len(batch)))
    left, right = one.done().summary, two.done().summary
    assert left.moments(0).origin != right.moments(0).origin
    left, right = (wire_form(each.done(), fewest=6).project.summary for each in (one, two))
    assert left.moments(0).origin == right.moments(0).origin


def test_an_origin_does_not_outlive_its_rows() -> None:
    frame = Frame(("x", "y"), "CC", (np.array([123.5, 7.25]), np.array([1.0, 2.0])), 2)
    draft = learned(frame).draft()
    draft.forget(frame)
    summary = wire_form(draft.done(), fewest=7).project.summary
    assert summary.sums.origins.tolist() == [0.0, 0.0]


def test_an_attribute_that_few_rows_have_stays() -> None:
    x, rare = np.arange(20.0), np.full(20, np.nan)
    rare[3] = 77.0
    towns = tuple("ab"[k % 2] if k < 5 else None for k in range(20))
    frame = Frame(("x", "rare", "town", "y"), "CCTC", (x, rare, towns, x * x), 20)
    form = wire_form(learned(frame), fewest=fewest_rows(5))
    assert form.withheld == ("rare", "town$a", "town$b")
    assert form.project.summary.schema.names == ("x", "y")
    assert dict(form.project.known_types) == {"x": "C", "y": "C"}
    found = form.project.summary.covariance([0, 1])[0]
    assert found == pytest.approx(np.cov(x, x * x, bias=True))
    assert form.project.histograms is not None
    assert "rare" not in form.project.histograms


def test_rows_from_before_counting_began_cannot_be_told_by_difference() -> None:
    early = Frame(("x",), "C", (np.array([31.5]),), 1)
    late = Frame(("x",), "C", (np.arange(40.0),), 40)
    draft = learned(early, histogram=False).draft()
    draft.set_histogram(True)
    draft.learn(late)
    form = wire_form(draft.done(), fewest=6).project
    assert form.histograms is not None
    assert "x" not in form.histograms
    assert form.histograms.partial
    many = learned(late, histogram=False).draft()
    many.set_histogram(True)
    many.learn(late)
    counted = wire_form(many.done(), fewest=6).project.histograms
    assert counted is not None
    assert "x" in counted


def test_distributions_can_be_kept_back() -> None:
    assert wire_form(learned(people()), fewest=9, histograms=False).project.histograms is None


def test_no_more_than_asked_is_needed_for_cells() -> None:
    form = wire_form(learned(people()), fewest=9, cell_rows=1).project
    assert form.histograms is not None
    assert form.histograms.distribution("salary").counts.min() >= CELL_ROWS


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([1] * 4, []),
        ([1] * 5, [5]),
        ([1] * 9, [9]),
        ([1] * 10, [5, 5]),
        ([7, 1, 1, 7], [7, 9]),
        ([1, 9, 1], [11]),
        ([100, 2, 2], [104]),
        ([4, 4, 4, 4], [8, 8]),
    ],
)
def test_cells_have_enough_rows_and_lose_none(counts: list[int], expected: list[int]) -> None:
    table = ValueCounts(np.arange(float(len(counts))), np.array(counts)[:, None])
    found = cells(table, 5)
    assert found.counts[:, 0].tolist() == expected
    if expected:
        mean = np.average(table.values, weights=counts)
        assert np.average(found.values, weights=expected) == pytest.approx(mean)


def test_the_window_stays() -> None:
    form = wire_form(learned(people(), {WINDOW: "20"}), fewest=9).project
    assert form.window is None
    assert form.row_count == 20


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("sequence", {"sml_project_order": "1"}),
        ("cpu", {HASH_BINS: "8"}),
    ],
)
def test_what_has_other_sums_is_refused(kind: str, params: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match="not shared"):
        wire_form(Project.empty(Options(kind, params)), fewest=9)


def test_the_order_of_values_does_not_tell_which_came_first() -> None:
    town, x = ("c", "a", None, "b", "a", "c") * 3, np.arange(18.0)
    flag = np.arange(18.0) % 2
    frame = Frame(("town", "x", "late"), "TCB", (town, x, flag), 18)
    more = Frame(("town", "x"), "TC", (("aa", "b"), x[:2]), 2)
    draft = learned(frame).draft()
    draft.learn(more)
    project = draft.done()
    assert project.summary.schema.names[:3] == ("town$c", "town$a", "town$b")
    form = wire_form(project, fewest=9).project
    names = ("town$a", "town$aa", "town$b", "x", "late", "town$c")
    assert form.summary.schema.names == names
    for one in names:
        for two in names:
            before, after = (
                described(project.summary, one, two),
                described(form.summary, one, two),
            )
            assert after == pytest.approx(before, rel=1e-12)
    assert form.histograms is not None
    assert form.histograms.distribution("town$aa").counts.tolist() == [16, 1]


def described(summary: Summary, one: str, two: str) -> tuple[float, ...]:
    pair = summary.pair(summary.schema.index[one], summary.schema.index[two])
    a, b, n = pair.origin_x, pair.origin_y, pair.n
    return (
        n,
        pair.px + n * a,
        pair.qx + 2 * a * pair.px + n * a * a,
        pair.c + a * pair.py + b * pair.px + n * a * b,
        pair.e_xy + b * pair.qx + 2 * a * (pair.c + b * pair.px) + a * a * (pair.py + n * b),
    )
