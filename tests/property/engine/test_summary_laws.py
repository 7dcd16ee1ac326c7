"""Laws of the statistics, over rows with missing cells, late attributes and categories."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tally.engine.summary import Summary
from tally.errors import InvalidInput
from tests.property.engine.exact import Table, assert_exact, concatenated, rows_of, tables


def learned(parts: list[Table]) -> Summary:
    draft = Summary.empty().draft()
    for part in parts:
        draft.add(rows_of(part))
    return draft.done()


def merged(*summaries: Summary) -> Summary:
    draft = summaries[0].draft()
    for summary in summaries[1:]:
        draft.merge(summary)
    return draft.done()


def assert_zero(summary: Summary) -> None:
    assert not any(array.any() for array in summary.sums.arrays)


laws = settings(max_examples=30)
several = st.lists(tables(), min_size=1, max_size=5)


@laws
@given(several)
def test_rows_in_any_pieces_give_the_statistics_of_all(parts: list[Table]) -> None:
    assert_exact(learned(parts), concatenated(parts))


@laws
@given(several, st.randoms(use_true_random=False))
def test_rows_in_any_order_give_the_same(parts: list[Table], random: st.DrawFn) -> None:
    whole = concatenated(parts)
    order = list(range(len(next(iter(whole.values())))))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = {name: [column[row] for row in order] for name, column in whole.items()}
    cut = len(order) // 3
    pieces = [{n: c[:cut] for n, c in shuffled.items()}, {n: c[cut:] for n, c in shuffled.items()}]
    assert_exact(learned(pieces), whole)


@laws
@given(several, several, several)
def test_merging_is_associative_and_commutative(
    a: list[Table], b: list[Table], c: list[Table]
) -> None:
    one, two, three = learned(a), learned(b), learned(c)
    whole = concatenated(a + b + c)
    assert_exact(merged(merged(one, two), three), whole)
    assert_exact(merged(one, merged(two, three)), whole)
    assert_exact(merged(three, two, one), whole)


@laws
@given(several, several)
def test_forgetting_undoes_learning(kept: list[Table], gone: list[Table]) -> None:
    draft = learned(kept + gone).draft()
    for part in gone:
        draft.subtract(rows_of(part))
    assert_exact(draft.done(), concatenated(kept), among=concatenated(kept + gone))
    other = learned(kept + gone).draft()
    other.merge(learned(gone), -1)
    assert_exact(other.done(), concatenated(kept), among=concatenated(kept + gone))


@laws
@given(several, st.randoms(use_true_random=False))
def test_forgetting_everything_leaves_exact_zeros(parts: list[Table], random: st.DrawFn) -> None:
    draft = learned(parts).draft()
    order = list(parts)
    random.shuffle(order)  # type: ignore[attr-defined]
    for part in order:
        draft.subtract(rows_of(part))
    assert_zero(draft.done())
    # And what is learned then is as good as new, wherever it lies.
    far = [
        {name: [v + 1e9 if name in "xz" else v for v in column] for name, column in part.items()}
        for part in parts
    ]
    for part in far:
        draft.add(rows_of(part))
    assert_exact(draft.done(), concatenated(far), tolerance=1e-9)


@laws
@given(several, tables())
def test_what_was_never_learned_is_not_forgotten(parts: list[Table], other: Table) -> None:
    draft = learned(parts).draft()
    before = draft.done()
    count = len(next(iter(concatenated(parts).values())))
    column = (other.get("x") or [1.0]) * (count + 1)
    with pytest.raises(InvalidInput):
        draft.subtract(rows_of({"x": [1.0 if v != v else v for v in column]}))
    assert draft.done() is before or same(draft.done(), before)


@laws
@given(several)
def test_a_frame_that_fails_leaves_no_trace(parts: list[Table]) -> None:
    draft = learned(parts).draft()
    before = draft.done()
    bad = {"new": [1.0, 0.0], "x": [1e300, 1.0]}
    with pytest.raises(InvalidInput, match="x: 1e\\+300"):
        draft.add(rows_of(bad))
    assert same(draft.done(), before)


def same(left: Summary, right: Summary) -> bool:
    arrays = zip(left.sums.arrays, right.sums.arrays, strict=True)
    return left.schema == right.schema and all(np.array_equal(a, b) for a, b in arrays)


@pytest.mark.parametrize("offset", [1e9, 1e12])
@laws
@given(data=st.data())
def test_far_from_zero_nine_digits_are_kept(offset: float, data: st.DataObject) -> None:
    parts = data.draw(st.lists(tables(offset=offset), min_size=1, max_size=4))
    assert_exact(learned(parts), concatenated(parts), tolerance=1e-9)
    assert_exact(merged(*(learned([part]) for part in parts)), concatenated(parts), tolerance=1e-9)
