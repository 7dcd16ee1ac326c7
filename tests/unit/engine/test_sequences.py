from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.engine import lagged
from tally.engine.frame import Frame
from tally.engine.lagged import sequence_rows
from tally.engine.options import ORDER, Options
from tally.engine.rows import Rows
from tally.engine.schema import Schema
from tally.errors import InvalidInput, TooLarge

TOKENS = st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=30)


def options(order: int) -> Options:
    return Options("sequence", {ORDER: str(order)})


def one_column(tokens: list[str | None] | str, letter: str = "S") -> Frame:
    return Frame(("step",), letter, (tuple(tokens),), len(tokens))


def whole(frame: Frame, order: int = 1) -> Rows:
    [rows] = sequence_rows(frame, Schema(), options(order))
    return rows


def column(rows: Rows, name: str) -> np.ndarray:
    values: np.ndarray = rows.values[:, rows.names.index(name)]
    return values


def present(rows: Rows, name: str) -> np.ndarray:
    values = column(rows, name)
    found: np.ndarray = values[~np.isnan(values)]
    return found


def pair_sum(rows: Rows, one: str, other: str) -> float:
    if not {one, other} <= set(rows.names):
        return 0.0
    return float(np.nansum(column(rows, one) * column(rows, other)))


def test_forty_tokens_in_blocks_have_the_captured_counts() -> None:
    rows = whole(one_column("a" * 10 + "b" * 10 + "c" * 20))
    first, last = present(rows, "t0$a"), present(rows, "tm1$c")
    assert (len(first), first.mean()) == (10, 0.9)
    assert (len(last), last.mean()) == (20, 0.95)
    assert pair_sum(rows, "tm1$a", "t0$a") / present(rows, "tm1$a").sum() == 0.9
    assert pair_sum(rows, "tm1$a", "t0$b") == 1
    assert pair_sum(rows, "tm1$b", "t0$a") == 0


@given(TOKENS, st.integers(1, 4))
def test_each_occurrence_counts_once_at_every_distance(
    tokens: list[str | None], order: int
) -> None:
    rows = whole(one_column(tokens), order)
    for token, count in Counter(token for token in tokens if token is not None).items():
        for group in ["t0", *(f"tm{lag}" for lag in range(1, order + 1))]:
            assert len(present(rows, f"{group}${token}")) == count


@given(TOKENS)
def test_pair_sums_count_transitions_and_no_others(tokens: list[str | None]) -> None:
    rows = whole(one_column(tokens), 2)
    transitions = Counter(pairwise(tokens))
    for one in "abc":
        for other in "abc":
            assert pair_sum(rows, f"tm1${one}", f"t0${other}") == transitions[one, other]
            inside = sum(
                (x, z) == (one, other) and y is not None
                for x, y, z in zip(tokens, tokens[1:], tokens[2:], strict=False)
            )
            assert pair_sum(rows, f"tm2${one}", f"t0${other}") == inside


def test_several_columns_of_texts_are_one_sequence_a_row() -> None:
    frame = Frame(("1", "2", "3"), "SSS", (("a", "x"), ("b", "y"), (None, " Z")), 2)
    rows = whole(frame)
    assert rows.names == ("tm1$a", "tm1$b", "tm1$x", "tm1$y", "tm1$z", "t0$a", "t0$b", "t0$x",
                          "t0$y", "t0$z")  # fmt: skip
    assert pair_sum(rows, "tm1$y", "t0$z") == 1
    assert pair_sum(rows, "tm1$b", "t0$x") == 0


def test_tokens_that_look_like_numbers_are_tokens() -> None:
    frame = Frame(("step",), "C", (np.array([1.0, 2.0, np.nan]),), 3)
    assert whole(frame).names == ("tm1$1", "tm1$2", "t0$1", "t0$2")


def test_one_category_alone_is_read_by_rows() -> None:
    assert whole(one_column("ab", "T")).names[0] == "tm1$a"


class TestStreams:
    frame = Frame(
        ("hidden", "seen", "level"),
        "TTC",
        (("h", "H", "i", "i"), ("x", "y", "y", "x"), np.arange(4.0)),
        4,
    )

    def test_each_category_has_its_own_lagged_attributes_beside_its_plain_ones(self) -> None:
        rows = whole(self.frame)
        assert rows.names == (
            "hidden$h", "hidden$i", "seen$x", "seen$y", "level",
            "hidden_tm1$h", "hidden_tm1$i", "hidden_t0$h", "hidden_t0$i",
            "seen_tm1$x", "seen_tm1$y", "seen_t0$x", "seen_t0$y",
        )  # fmt: skip
        assert pair_sum(rows, "hidden_tm1$h", "hidden_t0$i") == 1
        assert pair_sum(rows, "seen_tm1$y", "seen_t0$x") == 1

    def test_what_is_hidden_and_what_is_seen_stand_in_one_row(self) -> None:
        rows = whole(self.frame)
        assert pair_sum(rows, "hidden$h", "seen$y") == 1
        assert pair_sum(rows, "hidden$i", "level") == 5
        assert len(present(rows, "level")) == 4

    def test_a_missing_token_breaks_its_own_stream_only(self) -> None:
        frame = Frame(("u", "v"), "TT", (("a", None, "b"), ("x", "x", "x")), 3)
        rows = whole(frame)
        assert present(rows, "u_t0$b").tolist() == [0]
        assert pair_sum(rows, "v_tm1$x", "v_t0$x") == 2

    def test_a_lagged_attribute_cannot_have_the_name_of_a_plain_one(self) -> None:
        frame = Frame(("u", "u_t0"), "TT", (("a",), ("a",)), 1)
        with pytest.raises(InvalidInput, match=r"u_t0\$a"):
            whole(frame)


@given(tokens=TOKENS, order=st.integers(1, 3), by_columns=st.booleans())
def test_blocks_say_what_one_block_says(
    tokens: list[str | None], order: int, by_columns: bool
) -> None:
    frame = one_column(tokens)
    if by_columns:
        frame = Frame(("u", "n"), "TC", (tuple(tokens), np.arange(float(len(tokens)))), len(tokens))
    one = whole(frame, order)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lagged, "_BLOCK_CELLS", 3 * max(1, len(one.names)))
        blocks = list(sequence_rows(frame, Schema(), options(order)))
    assert blocks[0].names == one.names
    stacked = np.full_like(one.values, np.nan)
    start = 0
    for block in blocks:
        places = [one.names.index(name) for name in block.names]
        stacked[start : start + len(block.values), places] = block.values
        start += len(block.values)
    np.testing.assert_array_equal(stacked, one.values)


def test_a_token_must_fit_into_a_name() -> None:
    with pytest.raises(InvalidInput, match="300 characters"):
        whole(one_column(["a" * 300]))


def test_too_many_different_tokens_are_refused() -> None:
    with pytest.raises(TooLarge, match="6000 attributes"):
        whole(one_column([str(n) for n in range(3000)]))


def test_too_many_rows_of_many_attributes_are_refused() -> None:
    with pytest.raises(TooLarge, match="send fewer tokens"):
        whole(one_column([str(n % 1000) for n in range(40_000)]))
