from __future__ import annotations

import numpy as np
import pytest

from tally.codec.project import encode
from tally.engine.buffer import Buffer
from tally.engine.frame import Frame
from tally.engine.options import EMBEDDED, WINDOW, Options
from tally.engine.project import Project
from tally.engine.project_draft import ProjectDraft
from tally.engine.rows import Rows
from tally.errors import InvalidInput, TooLarge


def numbers(values: list[float]) -> Frame:
    return Frame(("x",), "C", (np.array(values, float),), len(values))


def windowed(size: int, *, embedded: bool = False) -> ProjectDraft:
    params = {WINDOW: str(size), EMBEDDED: str(embedded)}
    return Project.empty(Options("cpu", params)).draft()


def variance(project: Project) -> float:
    return float(project.summary.covariance([0])[0][0, 0])


@pytest.mark.parametrize("what", ["forget", "merge"])
def test_rows_leave_a_window_by_themselves_only(what: str) -> None:
    draft = windowed(3)
    draft.learn(numbers([1, 2]))
    before = draft.done()
    step = (lambda: draft.forget(numbers([1]))) if what == "forget" else lambda: draft.merge(before)
    with pytest.raises(InvalidInput, match="rolling window"):
        step()
    assert encode(draft.done()) == encode(before)


def test_with_an_embedded_window_rows_are_forgotten_by_the_main_part() -> None:
    draft = windowed(2, embedded=True)
    draft.learn(numbers([1, 2, 6]))
    draft.forget(numbers([6]))
    project = draft.done()
    assert project.row_count == 2
    assert project.window is not None
    assert len(project.window.buffer) == 2
    assert variance(project) == 0.25
    assert project.window.summary.covariance([0])[0][0, 0] == 4


def test_a_window_that_an_outlier_leaves_has_all_its_digits_at_once() -> None:
    draft = windowed(50)
    draft.learn(numbers([1e12]))
    values = np.random.default_rng(1).normal(size=50)
    draft.learn(numbers(list(values)))
    assert variance(draft.done()) == pytest.approx(float(np.var(values)), rel=1e-12)


def test_rounding_does_not_build_up_in_a_window() -> None:
    values = np.random.default_rng(1).normal(1e6, 1, size=3000)
    draft = windowed(64)
    for value in values:
        draft.learn(numbers([value]))
    project = draft.done()
    assert variance(project) == pytest.approx(float(np.var(values[-64:] - 1e6)), rel=1e-9)
    assert project.window is not None
    assert project.window.evicted < 64


def test_a_window_that_is_fed_row_by_row_has_few_parts() -> None:
    draft = windowed(100)
    for value in range(1000):
        draft.learn(numbers([value]))
    window = draft.done().window
    assert window is not None
    assert len(window.buffer.parts) < 20
    assert window.buffer.joined().values.ravel().tolist() == list(range(900, 1000))


def test_a_buffer_does_not_hold_on_to_rows_that_left() -> None:
    rows = Rows(("x",), "C", (None,), np.arange(1000.0).reshape(-1, 1))
    kept, _ = Buffer().with_last(rows).without_first(900)
    [part] = kept.parts
    assert part.values.base is None
    assert part.values.ravel().tolist() == list(range(900, 1000))


def test_a_window_too_large_for_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tally.engine.buffer.MAX_CELLS", 10)
    draft = windowed(100)
    draft.learn(numbers([1] * 8))
    before = encode(draft.done())
    with pytest.raises(TooLarge, match="at most 10"):
        draft.learn(numbers([1] * 3))
    assert encode(draft.done()) == before


def test_histograms_that_begin_in_a_window_cover_its_rows() -> None:
    draft = windowed(3)
    draft.learn(numbers([1, 2, 3, 4]))
    draft.set_histogram(True)
    draft.learn(numbers([9]))
    histograms = draft.done().histograms
    assert histograms is not None
    values = histograms.distribution("x")
    assert (values.minimum, values.median) == (3, 4)


def test_a_window_takes_numbers_for_what_a_merge_made_continuous() -> None:
    draft = windowed(5, embedded=True)
    draft.learn(Frame(("x",), "B", (np.array([1.0, 0]),), 2))
    other = Project.empty(Options()).draft()
    other.learn(numbers([2.5]))
    draft.merge(other.done())
    draft.learn(numbers([3.5]))
    project = draft.done()
    assert project.window is not None
    assert project.window.summary.schema.types == "C"
    assert project.window.summary.moments(0).n == 3
