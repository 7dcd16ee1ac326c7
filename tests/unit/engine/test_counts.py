"""Histograms beyond their laws: bounds, changing types, damaged arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from tally.engine import counts
from tally.engine.counts import CONDITIONAL_ATTRIBUTES, Histograms
from tally.engine.rows import Rows
from tally.engine.sketch import CENTROIDS
from tally.errors import CorruptState

Arrays = dict[str, NDArray[np.generic]]
Meta = dict[str, object]


def rows(values: ArrayLike, types: str, names: Sequence[str] = "abcdefgh") -> Rows:
    cells = np.array(values, float)
    bases = tuple(name.split("$")[0] if "$" in name else None for name in names[: len(types)])
    return Rows(tuple(names[: len(types)]), types, bases, cells)


def learned(*batches: Rows) -> Histograms:
    draft = Histograms.empty().draft()
    for batch in batches:
        draft.add(batch)
    return draft.done()


def counted(found: Histograms, name: str, given: str | None = None) -> dict[float, int]:
    said = found.distribution(name, given)
    return dict(zip(said.values.tolist(), said.counts.tolist(), strict=True))


def test_a_snapshot_does_not_change_with_its_draft() -> None:
    before = learned(rows([[1, 1], [2, 0]], "CB"))
    draft = before.draft()
    draft.add(rows([[2, 1], [3, 1]], "CB"))
    assert counted(before, "a") == {1: 1, 2: 1}
    assert counted(draft.done(), "a") == {1: 1, 2: 2, 3: 1}
    assert counted(before, "a", "b") == {1: 1}
    assert counted(draft.done(), "a", "b") == {1: 1, 2: 1, 3: 1}


def test_an_attribute_that_was_never_counted_has_no_rows() -> None:
    found = learned(rows([[1, 1]], "CB"))
    never = found.distribution("z")
    assert never.rows == 0
    assert found.distribution("a", "z").rows == 0
    assert np.isnan([never.minimum, never.maximum, never.median]).all()


def test_rows_from_before_counting_began_are_forgotten_without_effect() -> None:
    draft = learned(rows([[1, 1], [2, 1]], "CB")).draft()
    draft.subtract(rows([[7, 0], [2, 1], [2, 1]], "CB"))
    assert counted(draft.done(), "a") == {1: 1}
    assert counted(draft.done(), "b") == {}


def test_a_median_is_the_mean_of_the_two_middle_values() -> None:
    found = learned(rows([[1, 0], [1, 0], [4, 1], [9, 1]], "CB"))
    assert found.distribution("a").median == 2.5
    assert found.distribution("b").median == 0.5
    assert found.distribution("a", "b").median == 6.5


def test_four_thousand_and_ninety_six_values_are_exact_and_one_more_is_not() -> None:
    column = np.arange(CENTROIDS, dtype=float)[:, None]
    draft = learned(rows(column, "C")).draft()
    assert counted(draft.done(), "a") == dict.fromkeys(range(CENTROIDS), 1)
    draft.add(rows([[1e6]], "C"))
    said = draft.done().distribution("a")
    assert (len(said.values), said.rows) == (CENTROIDS, CENTROIDS + 1)
    assert (said.minimum, said.maximum) == (0, 1e6)
    draft.subtract(rows(np.append(column, [[1e6]], axis=0), "C"))
    draft.add(rows([[5.0]], "C"))
    assert counted(draft.done(), "a") == {5: 1}


def test_the_first_rows_alone_may_be_too_many_values() -> None:
    found = learned(rows(np.random.default_rng(1).normal(size=(9000, 1)), "C"))
    said = found.distribution("a")
    assert (len(said.values), said.rows) == (CENTROIDS, 9000)


def test_counts_under_conditions_share_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "CONDITIONAL_CELLS", 2 * 3 * 100)
    rng = np.random.default_rng(1)
    values = np.hstack([rng.normal(size=(3000, 2)), rng.integers(0, 2, (3000, 3))])
    found = learned(rows(values, "CCBBB"))
    assert found.given is not None
    assert {len(table.values) for table in found.given.values()} == {100}
    said = found.distribution("a", given="c")
    picked = values[values[:, 2] == 1, 0]
    assert (said.rows, said.minimum, said.maximum) == (len(picked), picked.min(), picked.max())
    assert abs((picked <= said.median).mean() - 0.5) < 0.02
    assert found.distribution("a").rows == 3000


def test_with_too_many_attributes_nothing_is_counted_under_conditions() -> None:
    few, many = CONDITIONAL_ATTRIBUTES, CONDITIONAL_ATTRIBUTES + 1
    names = [f"a{k}" for k in range(many)]
    found = learned(rows(np.ones((2, few)), "C" + "B" * (few - 1), names))
    assert found.conditional
    draft = found.draft()
    draft.add(rows(np.zeros((1, 1)), "B", names[few:]))
    assert not draft.done().conditional
    assert draft.done().binary.given is None
    assert counted(draft.done(), "a5") == {1: 2}
    # What was dropped would not be all of it later.
    draft.merge(found)
    assert not draft.done().conditional


def test_what_is_binary_here_and_continuous_there_is_continuous() -> None:
    left = learned(rows([[1, 0, 1], [0, 1, 1]], "BBB"))
    right = learned(rows([[2.5, 1, 0]], "CBB"))
    for one, two in ((left, right), (right, left)):
        draft = one.draft()
        draft.merge(two)
        found = draft.done()
        assert found.binary.names == ("b", "c")
        assert counted(found, "a") == {0: 1, 1: 1, 2.5: 1}
        assert counted(found, "a", "b") == {0: 1, 2.5: 1}
        assert counted(found, "a", "c") == {0: 1, 1: 1}
        assert counted(found, "b", "c") == {0: 1, 1: 1}


def test_the_last_condition_may_become_continuous() -> None:
    values = np.hstack([np.random.default_rng(3).normal(size=(9000, 1)), np.ones((9000, 1))])
    draft = learned(rows(values, "CB")).draft()
    draft.merge(learned(rows([[0.5, 2.5]], "CC")))
    draft.subtract(rows(values[:10], "CC"))
    found = draft.done()
    assert found.binary.names == ()
    assert (found.distribution("a").rows, counted(found, "b")) == (8991, {1: 8990, 2.5: 1})


def test_numbers_for_a_binary_attribute_stay_binary_and_the_other_way_round() -> None:
    draft = learned(rows([[1, 2.5]], "BC")).draft()
    draft.add(rows([[0, 1]], "CB"))
    found = draft.done()
    assert found.binary.names == ("a",)
    assert counted(found, "b") == {1: 1, 2.5: 1}
    assert counted(found, "b", "a") == {2.5: 1}


def test_merging_uncounted_rows_is_marked_and_stays_so() -> None:
    draft = learned(rows([[1.0]], "C")).draft()
    draft.mark_partial()
    arrays, meta = draft.done().to_arrays()
    assert Histograms.from_arrays(arrays, meta).partial
    other = Histograms.empty().draft()
    other.merge(draft.done())
    assert other.done().partial


def stored() -> tuple[Arrays, Meta]:
    rng = np.random.default_rng(3)
    values = np.hstack([rng.normal(size=(5000, 1)), rng.integers(0, 2, (5000, 2))])
    values[:3, 1] = np.nan
    return learned(rows(values, "CBB")).to_arrays()


def test_a_sketch_is_read_as_it_was_written() -> None:
    arrays, meta = stored()
    assert all(np.isfinite(array.astype(float)).all() for array in arrays.values())
    again, again_meta = Histograms.from_arrays(arrays, meta).to_arrays()
    assert again_meta == meta
    assert {k: v.tobytes() for k, v in again.items()} == {k: v.tobytes() for k, v in arrays.items()}


def test_a_condition_that_no_row_met_is_read_as_it_was_written() -> None:
    values = np.hstack([np.random.default_rng(3).normal(size=(5000, 1)), np.zeros((5000, 1))])
    values[1:, 1] = 1
    values[:, 1] *= np.arange(5000) < 4900
    batch = rows(np.hstack([values, np.zeros((5000, 1))]), "CBB")
    found = learned(batch)
    again = Histograms.from_arrays(*found.to_arrays())
    assert again.distribution("a", "c").rows == 0
    draft = again.draft()
    draft.add(rows([[3e6, 0, 1]], "CBB"))
    said = draft.done().distribution("a", "c")
    assert (said.rows, said.minimum, said.maximum) == (1, 3e6, 3e6)


Damage = Callable[[Arrays, Meta], None]


def without(key: str) -> Damage:
    def damage(arrays: Arrays, meta: Meta) -> None:
        arrays.pop(key, None)
        meta.pop(key, None)

    return damage


def changed(key: str, change: Callable[[NDArray[np.generic]], object]) -> Damage:
    def damage(arrays: Arrays, meta: Meta) -> None:
        arrays[key] = np.asarray(change(arrays[key]))

    return damage


def renamed(key: str, value: object) -> Damage:
    def damage(arrays: Arrays, meta: Meta) -> None:
        meta[key] = value

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        without("continuous.values"),
        without("given.extremes"),
        without("binary.every"),
        without("bases"),
        changed("continuous.values", lambda a: a[::-1]),
        changed("continuous.values", lambda a: a[:-1]),
        changed("continuous.counts", lambda a: -a.astype(np.int64)),
        changed("continuous.counts", lambda a: a.astype(np.float64)),
        changed("continuous.counts", lambda a: np.zeros_like(a)),
        changed("continuous.sizes", lambda a: a.astype(np.int64) + 1),
        changed("continuous.sketched", lambda a: a[:0]),
        changed("continuous.extremes", lambda a: a[:0]),
        changed("continuous.extremes", lambda a: a.astype(float) * np.nan),
        changed("binary.every", lambda a: a[:, :1]),
        changed("binary.given", lambda a: a[0]),
        changed("binary.every", lambda a: a.astype(np.int64) + 2**60),
        renamed("continuous", ["a", "a"]),
        renamed("continuous", ["b"]),
        renamed("continuous", "a"),
        renamed("continuous", 5),
        renamed("continuous", [5]),
        renamed("binary", ["b"]),
        renamed("bases", [None]),
        renamed("given", ["z"]),
    ],
)
def test_damaged_arrays_are_refused(damage: Damage) -> None:
    arrays, meta = stored()
    damage(arrays, meta)
    with pytest.raises(CorruptState, match="stored histograms"):
        Histograms.from_arrays(arrays, meta)
