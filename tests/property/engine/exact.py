"""Statistics in exact arithmetic, to hold the summed ones against; and rows to make them from."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from tally.engine.rows import Rows
from tally.engine.summary import Summary

Table = dict[str, list[float]]
"""Columns by name, NaN where missing; names with `$` are values of a category."""

PLAIN = {"x": "C", "y": "B", "z": "C"}
MEMBERS = ("t$a", "t$b", "t$c")


def base_of(name: str) -> str | None:
    return name.partition("$")[0] if "$" in name else None


def rows_of(table: Mapping[str, list[float]]) -> Rows:
    names = tuple(table)
    types = "".join(PLAIN.get(name, "B") for name in names)
    bases = tuple(base_of(name) for name in names)
    count = len(next(iter(table.values()), []))
    values = np.array([table[name] for name in names], float).reshape(len(names), count).T
    return Rows(names, types, bases, values)


def concatenated(tables: list[Table]) -> Table:
    """Return the rows of all; a value of a category is 0 where another one was 1."""
    names = list(dict.fromkeys(name for table in tables for name in table))
    whole: Table = {name: [] for name in names}
    for table in tables:
        count = len(next(iter(table.values()), []))
        for name in names:
            column = table.get(name)
            if column is None:
                same_base = [
                    table[n] for n in table if base_of(name) and base_of(n) == base_of(name)
                ]
                column = (
                    [0.0 * value for value in same_base[0]] if same_base else [math.nan] * count
                )
            whole[name] += column
    return whole


def power_sums(table: Table, x: str, y: str) -> dict[str, float]:
    """Return the central sums of a pair over the rows with both, exactly rounded once."""
    pairs = [
        (Fraction(u), Fraction(v))
        for u, v in zip(table[x], table[y], strict=True)
        if u == u and v == v
    ]
    n = len(pairs)
    if not n:
        return {"n": 0.0}
    zero = Fraction(0)
    mx, my = sum((u for u, _ in pairs), zero) / n, sum((v for _, v in pairs), zero) / n
    found: dict[str, Fraction] = {"mean_x": mx, "mean_y": my}
    for a, b in ((2, 0), (0, 2), (1, 1), (3, 0), (4, 0), (2, 1), (1, 2), (2, 2)):
        found[f"m{a}{b}"] = sum(((u - mx) ** a * (v - my) ** b for u, v in pairs), zero) / n
    return {"n": float(n)} | {name: float(value) for name, value in found.items()}


def summed(summary: Summary, x: str, y: str) -> dict[str, float]:
    """Return the same from a summary, also in exact arithmetic: what is left is its own error."""
    i, j = summary.schema.index[x], summary.schema.index[y]
    pair = summary.pair(i, j)
    if not pair.n:
        return {"n": 0.0}
    n = Fraction(pair.n)
    px, py, qx, qy, c, d, e, f = (
        Fraction(value) / n
        for value in (pair.px, pair.py, pair.qx, pair.qy, pair.c, pair.d, pair.e_xy, pair.e_yx)
    )
    found = {
        "mean_x": Fraction(pair.origin_x) + px,
        "mean_y": Fraction(pair.origin_y) + py,
        "m20": qx - px * px,
        "m02": qy - py * py,
        "m11": c - px * py,
        "m21": e - 2 * px * c - py * qx + 2 * px * px * py,
        "m12": f - 2 * py * c - px * qy + 2 * py * py * px,
        "m22": d - 2 * py * e - 2 * px * f + py * py * qx + px * px * qy + 4 * px * py * c
        - 3 * px * px * py * py,
    }  # fmt: skip
    if x == y:
        found["m30"] = e - 3 * px * qx + 2 * px**3
        found["m40"] = d - 4 * px * e + 6 * px * px * qx - 3 * px**4
    return {"n": float(pair.n)} | {name: float(value) for name, value in found.items()}


def assert_exact(
    summary: Summary, table: Table, tolerance: float = 1e-12, among: Table | None = None
) -> None:
    """Check the statistics of all pairs.

    Args:
        summary: to check.
        table: its rows.
        tolerance: relative to the largest deviations that a sum is made of.
        among: all rows that were ever summed, those forgotten since included.
    """
    assert set(summary.schema.names) >= set(table)
    # The origin of a binary attribute is 0, also where it is 1 in all rows.
    largest = {
        name: _range(column) if PLAIN.get(name) == "C" else 1.0
        for name, column in (among or table).items()
    }
    for x, y in itertools.product(table, table):
        want, got = power_sums(table, x, y), summed(summary, x, y)
        assert got["n"] == want["n"], (x, y)
        for name in got.keys() - {"n"}:
            if name.startswith("mean"):
                scale = abs(want[name]) + largest[x if name == "mean_x" else y]
            else:
                scale = largest[x] ** int(name[1]) * largest[y] ** int(name[2])
            assert abs(got[name] - want[name]) <= tolerance * scale, (x, y, name, got, want)


def _range(column: list[float]) -> float:
    present = [value for value in column if value == value]
    return max(present) - min(present) if present else 0.0


@st.composite
def tables(draw: st.DrawFn, *, most: int = 8, offset: float = 0.0) -> Table:
    """Some rows of some of the attributes, some cells missing."""
    count = draw(st.integers(1, most))
    names = draw(st.lists(st.sampled_from([*PLAIN, "t"]), unique=True, min_size=1))
    table: Table = {}
    for name in names:
        if name == "t":
            members = draw(st.lists(st.sampled_from(MEMBERS), unique=True, min_size=1))
            choices = draw(
                st.lists(st.sampled_from([None, *members]), min_size=count, max_size=count)
            )
            for member in members:
                table[member] = [
                    math.nan if choice is None else float(choice == member) for choice in choices
                ]
        elif PLAIN[name] == "B":
            table[name] = draw(_column(st.sampled_from([0.0, 1.0, math.nan]), count))
        else:
            numbers = st.integers(-1000, 1000).map(lambda value: offset + value / 8)
            table[name] = draw(_column(st.one_of(numbers, st.just(math.nan)), count))
    return table


def _column(cells: st.SearchStrategy[float], count: int) -> st.SearchStrategy[list[float]]:
    return st.lists(cells, min_size=count, max_size=count)
