"""The fewest rows of a local project that is a fusion."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.federation.messages import Leaf
from tally.federation.privacy.cells import MOST_GONE, gone_from, too_few_in_cells, turned_over
from tally.federation.privacy.minimum import Turnover
from tally.federation.privacy.reason import Reason

Told = dict[str, tuple[str, int]]
SHARED: Told = {"north": ("1-1", 30), "south": ("1-1", 30)}


def leaves(told: Told) -> tuple[Leaf, ...]:
    return tuple(
        Leaf(source_uuid=name, version=version, rows=rows) for name, (version, rows) in told.items()
    )


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (SHARED, None),
        ({**SHARED, "south": ("1-2", 39)}, None),
        ({**SHARED, "south": ("1-2", 38)}, Reason.MIN_DELTA),
        ({**SHARED, "south": ("1-2", 21)}, None),
        ({**SHARED, "south": ("1-2", 22)}, Reason.MIN_DELTA),
        # As many rows as before, but they may be others.
        ({**SHARED, "south": ("1-2", 30)}, Reason.MIN_DELTA),
        # The sum of both is large enough, each by itself is not.
        ({"north": ("1-2", 35), "south": ("1-2", 35)}, Reason.MIN_DELTA),
        # A large change does not hide a small one.
        ({"north": ("1-2", 90), "south": ("1-2", 31)}, Reason.MIN_DELTA),
        ({"north": ("1-1", 30)}, None),
        ({**SHARED, "lab": ("1-1", 9)}, None),
        ({**SHARED, "lab": ("1-1", 8)}, Reason.MIN_DELTA),
        ({**SHARED, "centre": ("7-1", 0)}, None),
        ({"north": ("1-1", 4), "south": ("1-1", 4)}, Reason.MIN_ROWS),
    ],
)
def test_each_cell_that_changes_must_change_by_enough(now: Told, reason: Reason | None) -> None:
    found = too_few_in_cells(leaves(now), leaves(SHARED), 4)
    assert (None if found is None else found.reason) is reason


def test_at_first_the_sum_of_the_cells_must_be_large_enough() -> None:
    assert too_few_in_cells(leaves({"a": ("1-1", 5), "b": ("1-1", 4)}), None, 4) is None
    found = too_few_in_cells(leaves({"a": ("1-1", 4), "b": ("1-1", 4)}), None, 4)
    assert found is not None
    assert found.reason is Reason.MIN_ROWS
    strict = too_few_in_cells(leaves({"a": ("1-1", 10)}), None, 4, strict=True)
    assert strict is not None
    assert "11 rows are needed" in strict.detail


@pytest.mark.parametrize("away", [{}, {"south": ("1-2", 0)}])
@pytest.mark.parametrize(
    ("back", "passes"),
    [(("1-1", 30), True), (("1-3", 30), False), (("1-3", 31), False), (("1-3", 39), True)],
)
def test_a_cell_that_comes_back_is_compared_with_what_it_left_with(
    away: Told, back: tuple[str, int], passes: bool
) -> None:
    gone: tuple[Leaf, ...] = ()
    then, without = leaves(SHARED), leaves({"north": SHARED["north"], **away})
    for now in (without, without):  # another round, in which nobody came or went
        assert too_few_in_cells(now, then, 4, gone) is None
        gone, then = gone_from(now, then, gone), now
    now = leaves({**SHARED, "south": back})
    assert (too_few_in_cells(now, then, 4, gone) is None) is passes
    assert gone_from(now, then, gone) == ()


def test_so_many_cells_that_went_are_remembered_and_no_more() -> None:
    many = leaves({f"cell{number}": ("1-1", 9) for number in range(MOST_GONE + 1)})
    assert gone_from((), many, leaves(SHARED)) == many[1:]


_TOLD = st.dictionaries(
    st.sampled_from("abc"), st.tuples(st.sampled_from(["1-1", "1-2"]), st.integers(0, 40))
)


@given(_TOLD, _TOLD)
def test_the_turnover_never_goes_back_and_ends_at_the_rows_of_now(
    before: Told, after: Told
) -> None:
    old = Turnover(sum(rows for _, rows in before.values()))
    now = turned_over(old, leaves(before), leaves(after))
    assert now.added >= old.added
    assert now.removed >= old.removed
    assert now.rows == sum(rows for _, rows in after.values())
    changed = any(
        before.get(name, ("", 0)) != after.get(name, ("", 0))
        and (before.get(name, ("", 0))[1] or after.get(name, ("", 0))[1])
        for name in before.keys() | after.keys()
    )
    assert (now != old) is changed
