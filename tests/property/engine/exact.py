"""Statistics in exact arithmetic, to hold the summed ones against; and rows to make them from."""

from __future__ import annotations

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
                same_base = [table[n] for n in table if base_of(name) and base_of(n) == base_of(name)]
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
    mx, my = sum(u for u, _ in pairs) / n, sum(v for _, v in pairs) / n
    found: dict[str, Fraction] = {"mean_x": mx, "mean_y": my}
    for a, b in ((2, 0), (0, 2), (1, 1), (3, 0), (4, 0), (2, 1), (1, 2), (2, 2)):
        found[f"m{a}{b}"] = sum(((u - mx) ** a * (v - my) ** b for u, v in pairs), Fraction(0)) / n
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


def assert_exact(summary: Summary, table: Table, tolerance: float = 1e-12) -> None:
    """Check all statistics of all pairs, relative to what their terms are made of."""
    assert set(summary.schema.names) >= set(table)
    for x in table:
        for y in table:
            want, got = power_sums(table, x, y), summed(summary, x, y)
            assert got["n"] == want["n"], (x, y)
            if not want["n"]:
                continue
            # A sum of products is only as good as its largest terms.
            sx, sy = (max(math.sqrt(want[key]), 1e-290) for key in ("m20", "m02"))
            kx, ky = _spread(table, x, y), _spread(table, y, x)
            for name, value in got.items():
                if name == "n":
                    continue
                if name in ("mean_x", "mean_y"):
                    size, scale = (sx, abs(want[name])) if name == "mean_x" else (sy, abs(want[name]))
                    assert abs(value - want[name]) <= tolerance * max(size, scale), (x, y, name)
                    continue
                a, b = int(name[1]), int(name[2])
                scale = kx**a * ky**b if name in ("m21", "m12", "m22", "m30", "m40") else sx**a * sy**b
                assert abs(value - want[name]) <= tolerance * scale, (x, y, name, value, want[name])


def _spread(table: Table, x: str, y: str) -> float:
    """Return the fourth root of the fourth moment of `x` over the rows with both."""
    own = [Fraction(u) for u, v in zip(table[x], table[y], strict=True) if u == u and v == v]
    mean = sum(own) / len(own)
    return max(float(sum((u - mean) ** 4 for u in own) / len(own)) ** 0.25, 1e-290)


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
