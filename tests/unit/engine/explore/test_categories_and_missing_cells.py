"""Categories, values that come late, and cells that are missing."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from tally.engine.counts import Histograms
from tally.engine.explore import Context, explore, principal_components, variance_inflation
from tally.engine.rows import Rows
from tally.engine.summary import Summary
from tally.errors import InvalidInput

NAN = math.nan
FIRST = Rows(
    ("x", "y", "color$red", "color$blue"),
    "CBBB",
    (None, None, "color", "color"),
    np.array([[1, 1, 1, 0], [2, 0, 0, 1], [NAN, 1, 1, 0], [4, 0, NAN, NAN]]),
)
SECOND = Rows(
    ("x", "y", "color$red", "color$blue", "color$green", "w"),
    "CBBBBC",
    (None, None, "color", "color", "color", None),
    np.array([[3, 1, 0, 0, 1, 10], [5, 0, 0, 1, 0, 20]], float),
)
DICE = {
    "d1": (182, 161, 156, 174, 178, 149),
    "d2": (145, 162, 180, 194, 141, 178),
    "d3": (175, 179, 149, 168, 174, 155),
    "d4": (158, 155, 179, 196, 166, 146),
    "d5": (169, 172, 164, 177, 156, 162),
}


class Both:
    """Statistics and histograms of the same rows."""

    def __init__(self, *learned: Rows, forgotten: tuple[Rows, ...] = ()) -> None:
        summary, histograms = Summary.empty().draft(), Histograms.empty().draft()
        for rows in learned:
            summary.add(rows)
            histograms.add(rows)
        for rows in forgotten:
            summary.subtract(rows)
            histograms.subtract(rows)
        self.summary = summary.done()
        self.histograms: Histograms | None = histograms.done()


def described(source: Both) -> dict[str, tuple[float, float]]:
    found = {}
    for name in source.summary.schema.names:
        uni = explore(source, "uni", Context((name,), inputs_are_names=True))
        found[name] = (uni["count"], round(uni["mean"], 12))
        if uni["count"]:
            assert source.histograms is not None
            counted = source.histograms.distribution(name)
            assert counted.rows == uni["count"], name
            assert counted.values @ counted.counts / counted.rows == pytest.approx(uni["mean"])
    return found


@pytest.mark.parametrize("order", [(FIRST, SECOND), (SECOND, FIRST)])
def test_late_values_of_a_category_were_zero_before(order: tuple[Rows, Rows]) -> None:
    source = Both(*order)
    assert described(source) == {
        "x": (5, 3),
        "y": (6, 0.5),
        "color$red": (5, 0.4),
        "color$blue": (5, 0.4),
        "color$green": (5, 0.2),
        "w": (2, 15),
    }
    found = explore(source, "bi", Context(("x", "y")))
    expected = {
        "covar": -0.4, "linCorr": -0.5773502691896258, "condCount": 2, "condSum": 4,
        "condMean": 2, "condVariance": 1, "condStddev": 1,
    }  # fmt: skip
    assert found == pytest.approx(expected, rel=1e-9)


def test_forgetting_leaves_what_was_learned_since() -> None:
    assert described(Both(FIRST, SECOND, forgotten=(FIRST,))) == {
        "x": (2, 4),
        "y": (2, 0.5),
        "color$red": (2, 0),
        "color$blue": (2, 0.5),
        "color$green": (2, 0.5),
        "w": (2, 15),
    }
    counts = [count for count, _ in described(Both(FIRST, forgotten=(FIRST,))).values()]
    assert counts == [0, 0, 0, 0]


def dice() -> Both:
    names = [f"{die}${face}" for die in DICE for face in range(1, 7)]
    bases = [die for die in DICE for _ in range(6)]
    faces = [np.repeat(np.eye(6), counts, axis=0) for counts in DICE.values()]
    return Both(Rows(tuple(names), "B" * 30, tuple(bases), np.hstack(faces)))


def test_chi2_of_categories() -> None:
    found = explore(dice(), "chi2", Context(tuple(DICE)))
    assert found["chiStat"] == pytest.approx(24.914771949871792, rel=1e-9)
    assert found["df"] == 20
    assert found["pval"] == pytest.approx(0.20471118597209406, rel=1e-6)
    assert found["coef"] == pytest.approx(0.0333799711575125, rel=1e-9)
    assert found["obs$d1:4"] == 174
    assert [found[f"obs$d5:{face}"] for face in range(1, 7)] == list(DICE["d5"])


def test_chi2_passes_over_what_never_occurred() -> None:
    whole = Both(FIRST, SECOND)
    found = explore(whole, "chi2", Context(("y",), ("color",)))
    assert [found[f"obs$1:{j}"] for j in (2, 3, 4)] == [2, 0, 1]
    assert (found["df"], found["chiStat"], found["pval"]) == (0, 0, 1)
    assert math.isnan(found["coef"])


def test_gain_of_categories(project: Callable[..., Both]) -> None:
    rng = np.random.default_rng(3)
    color, shape = rng.integers(0, 3, 500), rng.integers(0, 2, 500)
    shape[color == 2] = 1
    values = np.column_stack([np.eye(3)[color], np.eye(2)[shape], shape])
    names = ["c$r", "c$g", "c$b", "s$1", "s$2", "flat"]
    source = project(values, "BBBBBB", names, ["c", "c", "c", "s", "s", None])
    table = np.zeros((3, 2))
    np.add.at(table, (color, shape), 1)
    shares = table / 500
    outer = shares.sum(axis=1)[:, None] * shares.sum(axis=0)
    bits = (shares * np.log2(np.where(shares, shares, 1) / outer)).sum()
    for one, two in (("c", "s"), ("s", "c"), ("c", "flat"), ("flat", "c"), ("c", "s$2")):
        found = explore(source, "gain", Context((one,), (two,)))
        assert found["gain"] == pytest.approx(bits, rel=1e-9), (one, two)
    assert explore(source, "gain", Context(("s",), ("flat",)))["gain"] == pytest.approx(
        -(shares.sum(axis=0) * np.log2(shares.sum(axis=0))).sum()
    )


def test_hash_buckets_are_no_category(project: Callable[..., Both]) -> None:
    values = np.array([[1, 1, 0], [1, 0, 1], [0, 1, 1]])
    source = project(values, "BBB", ["hash$0", "hash$1", "y"], ["hash", "hash", None])
    for context in (Context(("hash",), ("y",)), Context(("y",), ("hash",))):
        with pytest.raises(InvalidInput, match=r"^attribute \[hash\]: several values are 1"):
            explore(source, "gain", context)


def test_a_category_stands_for_its_values_where_several_attributes_are_asked_for() -> None:
    source = Both(FIRST, SECOND)
    assert list(variance_inflation(source, Context(("x", "color")))) == [
        "x", "color$red", "color$blue", "color$green",
    ]  # fmt: skip
    by_color = explore(source, "anova", Context(("x",), ("color",)))
    assert by_color == explore(source, "anova", Context(("x",), ("2", "3", "4")))
    with pytest.raises(InvalidInput, match=r"\[color\$red\] is there twice"):
        variance_inflation(source, Context(("color", "2")))


def test_correlations_are_those_of_the_rows_with_both() -> None:
    values = np.array([[1, 2, NAN], [2, 4.5, NAN], [3, 5.5, 1], [4, NAN, 3], [9, NAN, 1]])
    source = Both(Rows(("a", "b", "c"), "CCC", (None, None, None), values))
    found = principal_components(source, Context())
    ab = explore(source, "bi", Context(("a", "b")))["linCorr"]
    assert ab == pytest.approx(np.corrcoef(values[:3, :2].T)[0, 1])
    ac = explore(source, "bi", Context(("a", "c")))["linCorr"]
    # b and c were together in one row only, where neither varies: as good as unrelated.
    matrix = np.array([[1, ab, ac], [ab, 1, 0], [ac, 0, 1]])
    np.testing.assert_allclose(found.values, np.linalg.eigvalsh(matrix)[::-1])
    assert found.total == pytest.approx(3)


def test_correlations_that_contradict_each_other_show_as_negative_eigenvalues() -> None:
    pair = np.array([[0.0, 0.0], [1.0, 1.0]])
    values = np.full((6, 3), NAN)
    values[0:2, [0, 1]] = pair
    values[2:4, [1, 2]] = pair
    values[4:6, [0, 2]] = pair * [1, -1]
    source = Both(Rows(("a", "b", "c"), "CCC", (None, None, None), values))
    found = principal_components(source, Context())
    np.testing.assert_allclose(found.values, [2, 2, -1], atol=1e-12)
    assert all(factor < 1 for factor in variance_inflation(source, Context()).values())


def test_gain_is_over_the_rows_with_both(project: Callable[..., Both]) -> None:
    rng = np.random.default_rng(4)
    n = 300
    color, flags = rng.integers(0, 3, n), rng.integers(0, 2, (n, 2)).astype(float)
    flags[:, 1] = np.where(rng.random(n) < 0.5, flags[:, 0], flags[:, 1])
    values = np.column_stack([np.eye(3)[color], flags])
    values[rng.random(n) < 0.3, :3] = NAN
    values[rng.random(n) < 0.3, 3] = NAN
    values[rng.random(n) < 0.3, 4] = NAN
    source = project(values, "BBBBB", ["c$r", "c$g", "c$b", "x", "y"], ["c", "c", "c", None, None])
    codes = {
        "c": np.where(np.isnan(values[:, 0]), NAN, color),
        "x": values[:, 3],
        "y": values[:, 4],
        "c$g": values[:, 1],
    }
    for one, two in (("x", "y"), ("y", "x"), ("c", "x"), ("y", "c"), ("c$g", "y"), ("x", "c$g")):
        both = np.column_stack([codes[one], codes[two]])
        both = both[~np.isnan(both).any(axis=1)].astype(int)
        table = np.zeros((3, 3))
        np.add.at(table, (both[:, 0], both[:, 1]), 1 / len(both))
        outer = table.sum(axis=1)[:, None] * table.sum(axis=0)
        bits = sum(p * math.log2(p / q) for p, q in zip(table.flat, outer.flat, strict=True) if p)
        assert explore(source, "gain", Context((one,), (two,)))["gain"] == pytest.approx(bits)
