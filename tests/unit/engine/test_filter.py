from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.engine.filter import accepted
from tally.engine.frame import Frame
from tally.engine.predicates import parse
from tally.errors import InvalidInput

FRAME = Frame(
    ("amount", "late", "region", "code"),
    "CBTS",
    (
        np.array([1200.5, 300.0, np.nan, -1.0]),
        np.array([0.0, 1.0, np.nan, 1.0]),
        (" North ", "south", None, "7"),
        ("A1", " 7.0 ", "", "a1"),
    ),
    4,
)


def rows(text: str) -> list[int]:
    return np.flatnonzero(accepted(FRAME, parse(text))).tolist()


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("", [0, 1, 2, 3]),
        ("amount>0", [0, 1]),
        ("amount>=300;late==1", [1]),
        ("amount>=300,late==1;", [1]),
        (" amount <= 300 ; ", [1, 3]),
        ("amount<0", [3]),
        ("amount!=300", [0, 3]),
        ("amount==3e2", [1]),
        ("amount!=north", [0, 1, 3]),
        ("amount==north", []),
        ("region==NORTH", [0]),
        ("region!= north ", [1, 3]),
        ("region==7.0", [3]),
        ("region$north==1", [0]),
        ("region$north!=1", [1, 3]),
        ("region$West==0", [0, 1, 3]),
        ("code==A1", [0]),
        ("code!=A1", [1, 2, 3]),
        ("code>6", [1]),
        ("code==7", [1]),
        ("absent!=1", []),
        ("amount$north==1", []),
    ],
)
def test_a_row_is_kept_if_it_fulfils_every_predicate(text: str, kept: list[int]) -> None:
    assert rows(text) == kept


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("amount", 1, "'amount' has no operator"),
        ("late==1;  amount=1", 11, "'amount=1' has no operator"),
        ("late==1;;amount>1", 9, "a predicate is missing"),
        ("late==1; >3", 10, "no name before >"),
        ("late==", 1, "nothing after late =="),
        ("late==1,region>north", 9, "region > wants a number, not 'north'"),
        ("late>nan", 1, "late > wants a number, not 'nan'"),
    ],
)
def test_an_error_names_the_position_of_the_predicate(
    text: str, position: int, reason: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(text)
    assert f"position {position}: {reason}" in str(caught.value)


def test_the_longest_operator_wins() -> None:
    assert [predicate.op for predicate in parse("a>=1;a<=1;a!=1;a==1;a>1;a<1")] == [
        ">=", "<=", "!=", "==", ">", "<",
    ]  # fmt: skip


def test_a_filter_has_a_longest_length() -> None:
    with pytest.raises(InvalidInput, match="at most 16384"):
        parse("a==1;" * 4000)


@given(st.text("ab$ =!<>;,01.", max_size=30))
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    try:
        predicates = parse(text)
    except InvalidInput:
        return
    assert accepted(FRAME, predicates).shape == (4,)


@given(st.sampled_from(["==", "!=", ">=", "<=", ">", "<"]), st.integers(-2, 1300))
def test_a_missing_cell_fulfils_nothing(op: str, value: int) -> None:
    assert 2 not in rows(f"amount{op}{value}")
    assert 2 not in rows(f"region{op}{value}")
