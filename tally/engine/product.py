"""Rows into sums: the products of one frame, by BLAS, added to the sums in place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tally.engine import blas
from tally.engine.patterns import ABSENT, Patterns
from tally.engine.schema import Indexes
from tally.engine.sums import Floats, Sums, lower


def accumulate(
    sums: Sums, places: Indexes, values: Floats, patterns: Patterns, groups: list[int]
) -> None:
    """Add the products of rows to sums, in place.

    Args:
        sums: changed.
        places: (k,) the attributes of the columns of `values`, ascending.
        values: (n, k), NaN where missing.
        patterns: of the values.
        groups: for each presence group of the sums, its pattern here; `ABSENT`.
    """
    n, k = values.shape
    if n == 0 or k == 0:
        return
    products = _Products.within(sums, places)
    # Where all attributes were in all rows, the squares are those of the pairs with themselves.
    alone = patterns.columns is None and k == len(sums.schema) and len(sums.n) == 1
    firsts = _Firsts.zeros(k, None if alone else len(products.xxyy), patterns)
    origins, continuous = sums.origins[places], products.continuous
    columns: Indexes | slice | None = patterns.columns
    if patterns.columns is not None and len(patterns.columns) == k:
        columns = slice(None)  # of all: a view
    most = min(n, _block_rows(k))
    # Memory that is used again is in the cache, and costs no page faults.
    centred, squares = np.empty((most, k)), np.empty((most, len(products.xxyy)))
    for start in range(0, n, most):
        block = values[start : start + most]
        y, square = centred[: len(block)], squares[: len(block)]
        np.subtract(block, origins, out=y)
        present = None
        if columns is not None:
            missing = np.isnan(block)
            np.copyto(y, 0.0, where=missing)
            present = np.logical_not(missing[:, columns]).astype(np.float64)
        np.square(y if continuous is None else y[:, continuous], out=square)
        products.add(y, square)
        firsts.add(y, square, present)
    products.settle(sums, places)
    firsts.settle(sums, places, groups, patterns)
    if firsts.q is None:
        sums.q[:, 0] = sums.pairs[1:].diagonal()[sums.schema.continuous]


def _block_rows(k: int) -> int:
    """Return how many rows of `k` attributes to centre at once.

    Few, so that they stay in the cache until they are squared and multiplied, and take no more
    memory than the sums; but products of too few rows are slow.
    """
    if k <= blas.FEW:
        return 1024
    return max(96, 9600 // k) if k < 512 else 256


@dataclass(slots=True)
class _Products:
    """The sums over pairs of the attributes of a frame.

    Attributes:
        xy: (k, k), read below its diagonal.
        xxy: (c, k).
        xxyy: (c, c), read above its diagonal.
        continuous: the columns of continuous attributes; None for all.
        inside: whether all three are those of the project, to add to in place.
    """

    xy: Floats
    xxy: Floats
    xxyy: Floats
    continuous: Indexes | None
    inside: bool

    @classmethod
    def within(cls, sums: Sums, places: Indexes) -> _Products:
        """Return those of the project where the frame has just its attributes, or else zeros."""
        k, p = len(places), len(sums.schema)
        continuous = np.flatnonzero(sums.schema.rank[places] >= 0)
        c = len(continuous)
        if k == c == p and k > blas.FEW:
            return cls(sums.pairs[1:], sums.xxy, sums.pairs[:-1], None, inside=True)
        zeros = np.zeros
        every = None if k == c else continuous
        return cls(zeros((k, k)), zeros((c, k)), zeros((c, c)), every, inside=False)

    def add(self, y: Floats, square: Floats) -> None:
        """Add the products of centred values (n, k) and of the squares of some (n, c)."""
        blas.add_square(self.xy, y, lower=True)
        blas.add_product(self.xxy, square, y)
        blas.add_square(self.xxyy, square, lower=False)

    def settle(self, sums: Sums, places: Indexes) -> None:
        """Bring what was added aside into the sums."""
        if self.inside:
            return
        ranks = sums.schema.rank[places]
        ranks = ranks[ranks >= 0]
        k, c, all_c = len(places), len(ranks), len(sums.xxy)
        add_at(sums.pairs[1:], places, places, self.xy * lower(k))
        add_at(sums.pairs[:all_c, :all_c], ranks, ranks, self.xxyy * lower(c).T)
        add_at(sums.xxy, ranks, places, self.xxy)


@dataclass(slots=True)
class _Firsts:
    """The sums and squares (None: not wanted) over the rows in which each pattern is present."""

    s: Floats
    q: Floats | None

    @classmethod
    def zeros(cls, k: int, c: int | None, patterns: Patterns) -> _Firsts:
        f = patterns.count
        return cls(np.zeros((k, f)), None if c is None else np.zeros((c, f)))

    def add(self, y: Floats, square: Floats, present: Floats | None) -> None:
        if present is None:
            ones = np.ones(len(y))
            self.s[:, 0] += ones @ y
            if self.q is not None:
                self.q[:, 0] += ones @ square
            return
        blas.add_product(self.s, y, present)
        if self.q is not None:
            blas.add_product(self.q, square, present)

    def settle(self, sums: Sums, places: Indexes, groups: list[int], patterns: Patterns) -> None:
        pattern = np.array(groups, np.intp)
        here = np.flatnonzero(pattern != ABSENT)
        pattern = pattern[here]
        # The same patterns in the same order are the rule; a copy of large matrices is not free.
        same = len(pattern) == patterns.count and (pattern == np.arange(len(pattern))).all()
        n = patterns.n if same else patterns.n[np.ix_(pattern, pattern)]
        add_at(sums.n, here, here, n)
        add_at(sums.s, places, here, self.s if same else self.s[:, pattern])
        if self.q is not None:
            ranks = sums.schema.rank[places]
            ranks = ranks[ranks >= 0]
            add_at(sums.q, ranks, here, self.q if same else self.q[:, pattern])


def add_at(to: Floats, rows: Indexes, columns: Indexes, what: Floats) -> None:
    """Add a matrix at these rows and columns, ascending ones, of another."""
    if to.shape == what.shape:
        to += what
    else:
        to[np.ix_(rows, columns)] += what
