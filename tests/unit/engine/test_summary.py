from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from tally.engine.rows import Rows
from tally.engine.schema import Schema
from tally.engine.summary import Summary
from tally.errors import InvalidInput, TooLarge

Values = NDArray[np.float64]


def rows(values: Values, names: str = "abcd", types: str = "CCBC") -> Rows:
    return Rows(tuple(names), types, (None,) * len(names), values)


def example(count: int, *, missing: float = 0.0, width: int = 4) -> Values:
    random = np.random.default_rng(count)
    values = random.normal(5, 2, size=(count, width))
    values[:, 2] = values[:, 2] > 5
    values[random.random(values.shape) < missing] = np.nan
    return values


def learned(*parts: Rows) -> Summary:
    draft = Summary.empty().draft()
    for part in parts:
        draft.add(part)
    return draft.done()


def assert_sums(summary: Summary, values: Values) -> None:
    """Check every sum of every pair against one made by hand."""
    for i, j in itertools.product(range(values.shape[1]), repeat=2):
        pair = summary.pair(i, j)
        both = ~np.isnan(values[:, i]) & ~np.isnan(values[:, j])
        u, v = values[both, i] - pair.origin_x, values[both, j] - pair.origin_y
        want = (len(u), u.sum(), v.sum(), u @ u, v @ v, u @ v, u**2 @ v**2, u**2 @ v, v**2 @ u)
        got = (
            pair.n, pair.px, pair.py, pair.qx, pair.qy, pair.c, pair.d, pair.e_xy, pair.e_yx,
        )  # fmt: skip
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9, err_msg=f"{i}, {j}")


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_sum_is_that_of_the_rows(missing: float, order: str) -> None:
    values = example(3000, missing=missing)
    assert_sums(learned(rows(np.asarray(values, order=order))), values)  # type: ignore[call-overload]


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("binary", [0, 20])
def test_every_sum_of_many_attributes_is_that_of_the_rows(missing: float, binary: int) -> None:
    values = example(700, missing=missing, width=50)
    values[:, 2] = values[:, 3] * 2
    for k in range(binary):
        values[:, k] = np.where(np.isnan(values[:, k]), np.nan, values[:, k] > 5)
    names = tuple(f"x{k}" for k in range(50))
    types = "B" * binary + "C" * (50 - binary)
    parts = [Rows(names, types, (None,) * 50, part) for part in np.split(values, [1, 333])]
    summary = learned(*parts)
    assert_sums(summary, values)
    draft = summary.draft()
    draft.subtract(parts[1])
    assert_sums(draft.done(), np.concatenate([values[:1], values[333:]]))


def test_attributes_in_another_order_or_missing_from_a_frame_keep_their_places() -> None:
    values = example(60, missing=0.2)
    summary = learned(
        rows(values[:20]),
        rows(values[20:40][:, [3, 1, 0, 2]], "dbac", "CCCB"),
        rows(values[40:][:, [1, 3]], "bd", "CC"),
    )
    values[40:, [0, 2]] = np.nan
    assert summary.schema.names == tuple("abcd")
    assert_sums(summary, values)


def test_complete_rows_need_one_presence_group_and_16_bytes_for_each_pair() -> None:
    width = 100
    values = np.random.default_rng(1).normal(size=(10, width))
    names = tuple(map(str, range(width)))
    summary = learned(Rows(names, "C" * width, (None,) * width, values))
    assert summary.schema.group_count == 1
    assert summary.size_bytes < 16 * width * width + 40 * width


def test_attributes_that_are_missing_together_share_a_presence_group() -> None:
    values = example(8)
    values[3, :2] = np.nan
    summary = learned(rows(values))
    assert summary.schema.groups == (0, 0, 1, 1)
    values = example(8)
    values[5, 1:3] = np.nan
    draft = summary.draft()
    draft.add(rows(values))
    assert draft.done().schema.groups == (0, 1, 2, 3)


def test_a_summary_cannot_be_written_to() -> None:
    summary = learned(rows(example(5)))
    for array in (summary.sums.origins, *summary.sums.arrays):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_a_draft_goes_on_after_it_was_done() -> None:
    values = example(20)
    draft = Summary.empty().draft()
    draft.add(rows(values[:5]))
    first = draft.done()
    draft.add(rows(values[5:]))
    assert_sums(first, values[:5])
    assert_sums(draft.done(), values)


def test_the_variance_of_equal_values_is_exactly_zero() -> None:
    same = np.full((7, 1), 0.1)
    summary = learned(rows(same, "a", "C"), rows(same, "a", "C"))
    assert summary.covariance([0])[0].tolist() == [[0.0]]


@pytest.mark.parametrize("far", [1e9, 1e12])
def test_a_zero_before_values_far_away_costs_no_digits_once_it_is_forgotten(far: float) -> None:
    values = far + np.random.default_rng(3).normal(size=(500, 1))
    zero = rows(np.zeros((1, 1)), "a", "C")
    draft = Summary.empty().draft()
    draft.add(zero)
    draft.subtract(zero)
    draft.add(rows(values, "a", "C"))
    variance = draft.done().covariance([0])[0][0, 0]
    assert variance == pytest.approx(float(np.var(values - far)), rel=1e-9)


def test_an_origin_follows_values_that_wander_off() -> None:
    draft = Summary.empty().draft()
    parts = [level * 1e4 + example(200)[:, :1] for level in (0, *[1] * 400)]
    draft.add(rows(parts[0], "a", "C"))
    for part in parts[1:]:
        draft.add(rows(part, "a", "C"))
    assert draft.done().sums.origins[0] > 9000


@pytest.mark.parametrize("value", [1e71, -1e300])
def test_a_number_too_large_for_its_fourth_power_is_refused(value: float) -> None:
    draft = learned(rows(example(5))).draft()
    before = draft.done()
    values = example(5)
    values[3, 1] = value
    with pytest.raises(InvalidInput, match=r"b: .* is beyond 1e\+70"):
        draft.add(rows(values))
    assert draft.done().sums is before.sums


def test_numbers_other_than_0_and_1_are_refused_for_a_binary_attribute() -> None:
    draft = learned(rows(example(5))).draft()
    draft.add(rows(np.array([[0.0], [1.0], [np.nan]]), "c", "C"))
    assert draft.schema.types == "CCBC"
    with pytest.raises(InvalidInput, match="c: 2 is not 0 or 1"):
        draft.add(rows(np.array([[2.0]]), "c", "C"))


def test_the_four_cells_of_two_binary_attributes_are_counts_that_cannot_be_negative() -> None:
    learned_rows = np.array([[1.0, 0.0], [0.0, 1.0]])
    draft = learned(rows(learned_rows, "yz", "BB")).draft()
    with pytest.raises(InvalidInput, match="z: rows with a value of it and of 'y'"):
        draft.subtract(rows(np.array([[1.0, 1.0]]), "yz", "BB"))
    draft.subtract(rows(learned_rows, "yz", "BB"))
    assert not draft.done().counts().any()


def test_there_is_a_bound_on_attributes() -> None:
    names = tuple(map(str, range(4097)))
    with pytest.raises(TooLarge, match="4097 are more than the 4096"):
        Schema().union(names, "B" * 4097, (None,) * 4097)


def test_rows_of_nothing_make_attributes_without_values() -> None:
    draft = Summary.empty().draft()
    draft.add(rows(np.empty((0, 4))))
    draft.add(rows(np.full((3, 4), np.nan)))
    summary = draft.done()
    assert summary.counts().tolist() == [0, 0, 0, 0]
    covariances, pairs = summary.covariance(range(4))
    assert np.isnan(covariances).all()
    assert not pairs.any()
    draft.add(rows(example(9)))
    assert_sums(draft.done(), example(9))
