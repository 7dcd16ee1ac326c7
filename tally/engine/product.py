"""Rows into sums: the products of one frame, by BLAS, added to the sums in place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tally.engine import blas
from tally.engine.schema import Indexes
from tally.engine.sums import NOWHERE, Floats, Sums

ABSENT = NOWHERE

# Centred values and their squares of so many numbers at once stay in a core's cache; products of
# fewer rows are slow.
_BLOCK_NUMBERS = 1 << 17
_MIN_BLOCK_ROWS = 512

Masks: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Patterns:
    """Which attributes of a frame are missing together.

    Attributes:
        of: for each attribute, the number of its pattern; `ABSENT` where it has no value at all.
        masks: (n, F) whether the attributes of a pattern are present; None where nothing is
            missing, and there is one pattern.
    """

    of: Indexes
    masks: Masks | None

    @classmethod
    def complete(cls, attributes: int) -> Patterns:
        """Return those of a frame without missing values."""
        return cls(np.zeros(attributes, np.intp), None)

    @classmethod
    def find(cls, missing: Masks) -> Patterns:
        """Return those of a frame where `missing` (n, k).

        Example:
            >>> Patterns.find(np.array([[False, True, False], [True, True, True]])).of.tolist()
            [0, -1, 0]
        """
        bits = np.ascontiguousarray(np.packbits(missing, axis=0).T)
        numbers: dict[bytes, int] = {}
        columns: list[int] = []
        of = np.full(missing.shape[1], ABSENT, np.intp)
        for k in np.flatnonzero(~missing.all(axis=0)):
            key = bits[k].tobytes()
            if key not in numbers:
                numbers[key] = len(numbers)
                columns.append(int(k))
            of[k] = numbers[key]
        return cls(of, ~missing[:, columns])


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
    counts = _Counts.zeros(k, len(products.xxyy), patterns)
    origins = sums.origins[places]
    step = max(_MIN_BLOCK_ROWS, _BLOCK_NUMBERS // k)
    for start in range(0, n, step):
        rows = slice(start, start + step)
        y = np.subtract(values[rows], origins, order="C")
        if patterns.masks is not None:
            np.copyto(y, 0.0, where=np.isnan(y))
        square = np.square(y if products.continuous is None else y[:, products.continuous])
        products.add(y, square)
        counts.add(y, square, None if patterns.masks is None else patterns.masks[rows])
    products.settle(sums, places)
    counts.settle(sums, places, groups)


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
        if len(self.xxyy):
            blas.add_product(self.xxy, square, y)
            blas.add_square(self.xxyy, square, lower=False)

    def settle(self, sums: Sums, places: Indexes) -> None:
        """Bring what was added aside into the sums."""
        if self.inside:
            return
        ranks = sums.schema.rank[places]
        ranks = ranks[ranks >= 0]
        sums.pairs[np.ix_(places + 1, places)] += np.tril(self.xy)
        sums.pairs[np.ix_(ranks, ranks)] += np.triu(self.xxyy)
        sums.xxy[np.ix_(ranks, places)] += self.xxy


@dataclass(slots=True)
class _Counts:
    """The sums over the rows in which each pattern is present."""

    n: Floats
    s: Floats
    q: Floats

    @classmethod
    def zeros(cls, k: int, c: int, patterns: Patterns) -> _Counts:
        f = 1 if patterns.masks is None else patterns.masks.shape[1]
        return cls(np.zeros((f, f)), np.zeros((k, f)), np.zeros((c, f)))

    def add(self, y: Floats, square: Floats, masks: Masks | None) -> None:
        if masks is None:
            ones = np.ones(len(y))
            self.n += len(y)
            self.s[:, 0] += ones @ y
            self.q[:, 0] += ones @ square
            return
        # Whole numbers to 2^24 are exact in 32 bits, and a block has fewer rows.
        small = masks.astype(np.float32)
        self.n += small.T @ small
        present = masks.astype(np.float64)
        blas.add_product(self.s, y, present)
        if len(self.q):
            blas.add_product(self.q, square, present)

    def settle(self, sums: Sums, places: Indexes, groups: list[int]) -> None:
        pattern = np.array(groups, np.intp)
        here = np.flatnonzero(pattern != ABSENT)
        pattern = pattern[here]
        ranks = sums.schema.rank[places]
        ranks = ranks[ranks >= 0]
        _add_at(sums.n, here, here, self.n, pattern, pattern)
        _add_at(sums.s, places, here, self.s, None, pattern)
        _add_at(sums.q, ranks, here, self.q, None, pattern)


def _add_at(
    to: Floats, rows: Indexes, columns: Indexes, what: Floats, i: Indexes | None, j: Indexes
) -> None:
    """Add `what[i][:, j]` to `to` at these rows and columns."""
    part = what if i is None else what[i]
    part = part if len(j) == what.shape[1] and (j == np.arange(len(j))).all() else part[:, j]
    if to.shape == part.shape:
        to += part
    else:
        to[np.ix_(rows, columns)] += part
