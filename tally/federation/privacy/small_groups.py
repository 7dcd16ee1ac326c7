"""Small groups of rows that sums of pairs tell of, for whoever decides what to share.

Sums under a condition are sums of a group: of a binary attribute that is 1 in one row, the pair
sums with every other attribute are the values of that row. The rules of a federation do not look
into pairs; this does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tally.engine.summary import Summary
from tally.engine.sums import Floats


@dataclass(frozen=True, slots=True)
class SmallGroup:
    """Rows of which every sum can be computed from a summary.

    Attributes:
        rows: how many.
        where: which, in words.
    """

    rows: int
    where: str


def small_groups(summary: Summary, fewest: int, most: int = 100) -> list[SmallGroup]:
    """Return groups of fewer than `fewest` rows, the smallest first, and at most so many of them.

    Groups are told apart by which attributes are present, by the value of a binary attribute, and
    by the values of two.

    Example:
        >>> from tally.engine.rows import Rows
        >>> draft = Summary.empty().draft()
        >>> draft.add(Rows(("x", "rare"), "CB", (None, None), np.array([[7.0, 1], [8, 0], [9, 0]])))
        >>> small_groups(draft.done(), fewest=2)
        [SmallGroup(rows=1, where='rare = 1')]
    """
    found = [*_by_presence(summary, fewest, most), *_by_values(summary, fewest, most)]
    return sorted(found, key=lambda group: group.rows)[:most]


def _by_presence(summary: Summary, fewest: int, most: int) -> Iterator[SmallGroup]:
    n, schema = summary.sums.n, summary.schema
    names = [schema.names[schema.groups.index(g)] for g in range(schema.group_count)]
    for g, h, rows in _small(n, fewest, most, symmetric=True):
        also = "" if g == h else f" and {names[h]}"
        yield SmallGroup(rows, f"{names[g]}{also} present")
    for g, h, rows in _small(n.diagonal()[:, None] - n, fewest, most):
        yield SmallGroup(rows, f"{names[g]} present, {names[h]} missing")


def _by_values(summary: Summary, fewest: int, most: int) -> Iterator[SmallGroup]:
    sums, schema = summary.sums, summary.schema
    b = np.flatnonzero(schema.rank < 0)
    names, groups = [schema.names[i] for i in b], schema.group_of[b]
    n = sums.n[np.ix_(groups, groups)]
    ones = sums.s[b][:, groups]
    both = sums.xy()[np.ix_(b, b)]
    for i, _, rows in _small(np.diag(ones.diagonal()), fewest, most):
        yield SmallGroup(rows, f"{names[i]} = 1")
    for i, _, rows in _small(np.diag((n - ones).diagonal()), fewest, most):
        yield SmallGroup(rows, f"{names[i]} = 0")
    apart = ~np.eye(len(b), dtype=bool)
    for i, j, rows in _small(both * apart, fewest, most, symmetric=True):
        yield SmallGroup(rows, f"{names[i]} = 1 and {names[j]} = 1")
    for i, j, rows in _small((ones - both) * apart, fewest, most):
        yield SmallGroup(rows, f"{names[i]} = 1 and {names[j]} = 0")
    for i, j, rows in _small((n - ones - ones.T + both) * apart, fewest, most, symmetric=True):
        yield SmallGroup(rows, f"{names[i]} = 0 and {names[j]} = 0")


def _small(
    rows: Floats, fewest: int, most: int, *, symmetric: bool = False
) -> Iterator[tuple[int, int, int]]:
    """Yield row, column and value of the smallest counts, at most so many."""
    small = (rows > 0) & (rows < fewest)
    i, j = np.nonzero(np.tril(small) if symmetric else small)
    smallest = np.argsort(rows[i, j], kind="stable")[:most]
    for k, m in zip(i[smallest], j[smallest], strict=True):
        yield int(k), int(m), int(rows[k, m])
