"""Laws of counts that can be subtracted."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tally.federation.privacy import spread as module
from tally.federation.privacy.spread import Spread

FAST = settings(max_examples=80)

numbers = st.one_of(
    st.floats(-1e70, 1e70),
    st.integers(-50, 50).map(float),
    st.floats(1e9, 1e9 + 1e-3),
    st.sampled_from([math.nan, -0.0, 5e-324, -5e-324]),
)
batches = st.lists(numbers, max_size=40).map(lambda cells: np.array(cells, float))


@pytest.fixture(autouse=True, scope="module")
def few_values_are_many() -> Iterator[None]:
    """Make bins common: of more than 12 values."""
    patch = pytest.MonkeyPatch()
    patch.setattr(module, "EXACT", 12)
    patch.setattr(module, "BINS", 8)
    yield
    patch.undo()


def told(spread: Spread) -> tuple[list[float], list[int], float]:
    return spread.keys.tolist(), spread.counts.tolist(), spread.width


@FAST
@given(batches, batches)
def test_adding_commutes_and_is_counting_all_at_once(
    left: NDArray[np.float64], right: NDArray[np.float64]
) -> None:
    one, two = Spread.of(left), Spread.of(right)
    assert told(one.add(two)) == told(two.add(one))
    assert told(one.add(two)) == told(Spread.of(np.concatenate([left, right])))


@FAST
@given(batches, batches, batches)
@example(np.array([-5e-324]), np.arange(13.0), np.arange(13.0) * 1e70)
def test_adding_is_associative(
    one: NDArray[np.float64], two: NDArray[np.float64], three: NDArray[np.float64]
) -> None:
    a, b, c = Spread.of(one), Spread.of(two), Spread.of(three)
    assert told(a.add(b).add(c)) == told(a.add(b.add(c)))


@FAST
@given(batches, batches)
def test_what_is_taken_away_was_as_if_it_had_never_been(
    kept: NDArray[np.float64], gone: NDArray[np.float64]
) -> None:
    both = Spread.of(kept).add(Spread.of(gone))
    left = both.less(Spread.of(gone))
    assert told(left) == told(Spread.of(kept).coarser(both.width))
    more, less = both.less(Spread.of(kept)).parts()
    assert told(more) == told(Spread.of(gone).coarser(both.width))
    assert not less.rows


@FAST
@given(batches)
def test_no_row_is_lost_and_size_is_bounded(values: NDArray[np.float64]) -> None:
    spread = Spread.of(values)
    assert spread.rows == int((~np.isnan(values)).sum())
    assert len(spread.keys) <= (module.BINS if spread.width else module.EXACT)
    if spread.width:
        assert math.frexp(spread.width)[0] == 0.5
        assert (np.floor(spread.keys / spread.width) * spread.width == spread.keys).all()


@FAST
@given(batches, st.integers(0, 5))
def test_wide_bins_are_pairs_of_narrow_ones(values: NDArray[np.float64], doublings: int) -> None:
    present = values[~np.isnan(values)]
    narrow = Spread.of(values)
    if narrow.width:
        width = narrow.width * 2.0**doublings
        edges = np.unique(np.floor(present / width) * width)
        assert narrow.coarser(width).keys.tolist() == edges.tolist()


def test_a_difference_has_both_signs() -> None:
    now, then = Spread.of(np.array([1.0, 2.0, 2.0])), Spread.of(np.array([1.0, 3.0]))
    more, less = now.less(then).parts()
    assert (told(more), told(less)) == (([2.0], [2], 0.0), ([3.0], [1], 0.0))


def test_bins_are_as_fine_as_their_number_allows() -> None:
    fits, reaches_over = np.linspace(0, 7.99, 13), np.linspace(0, 8, 13)
    assert (Spread.of(fits).width, Spread.of(reaches_over).width) == (1.0, 2.0)
