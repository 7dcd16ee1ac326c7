"""The sums that a project keeps of its rows.

With y = x - origin, over the rows in which all attributes of a sum are present. `p` attributes,
`c` of them continuous, `G` presence groups:

    n (G, G)      rows
    s (p, G)      sum of y, over the rows with group g
    q (c, G)      sum of y^2
    pairs (p+1, p)  row i+1 and column j <= i: sum of y_i y_j; row r and column t >= r: sum of
                  y_r^2 y_t^2 of the continuous attributes r and t, counted among those
    xxy (c, p)    sum of y_i^2 y_j

Two triangles share `pairs` because each of its first and last p rows is a square matrix in one
piece, which BLAS can add to in place, touching its triangle only: a symmetric matrix takes half
its size, and nothing is packed or unpacked for a change.

A binary attribute has origin 0 and x^2 = x: its squares are its sums, and are not kept again.
The sums of one attribute are those of its pair with itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tally.engine.schema import Indexes, Schema

Floats: TypeAlias = NDArray[np.float64]

NOWHERE = -1
"""The group of attributes that were in no row yet."""


@dataclass(slots=True)
class Sums:
    """Sums of one set of rows, about `origins` (p,), for the attributes of `schema`."""

    schema: Schema
    origins: Floats
    n: Floats
    s: Floats
    q: Floats
    pairs: Floats
    xxy: Floats

    @classmethod
    def zeros(cls, schema: Schema) -> Sums:
        """Return the sums of no rows."""
        p, c, g = len(schema), len(schema.continuous), schema.group_count
        zeros = np.zeros
        return cls(
            schema, zeros(p), zeros((g, g)), zeros((p, g)), zeros((c, g)),
            zeros((p + 1, p)), zeros((c, p)),
        )  # fmt: skip

    @property
    def arrays(self) -> tuple[Floats, ...]:
        """All sums."""
        return self.n, self.s, self.q, self.pairs, self.xxy

    def copy(self) -> Sums:
        """Return the same in arrays of its own."""
        origins, *arrays = (array.copy() for array in (self.origins, *self.arrays))
        return Sums(self.schema, origins, *arrays)

    def counts(self) -> Floats:
        """Return the rows in which each attribute is present (p,)."""
        found: Floats = self.n.diagonal()[self.schema.group_of]
        return found

    def xy(self) -> Floats:
        """Return the sums of y_i y_j as a symmetric matrix (p, p), a copy."""
        return _symmetric(np.tril(self.pairs[1:]))

    def xxyy(self) -> Floats:
        """Return the sums of y_i^2 y_j^2 of the continuous attributes (c, c), a copy."""
        c = len(self.schema.continuous)
        return _symmetric(np.triu(self.pairs[:c, :c]))

    def fold(self, xy: Floats, xxyy: Floats) -> None:
        """Replace the sums of pairs; `xy` is read below the diagonal, `xxyy` above it."""
        c = len(xxyy)
        self.pairs[1:] = np.tril(xy)
        np.copyto(self.pairs[:c, :c], xxyy, where=~np.tri(c, k=-1, dtype=bool))

    def add(self, other: Sums, sign: int) -> None:
        """Add, or take away, sums of the same schema and origins."""
        for ours, theirs in zip(self.arrays, other.arrays, strict=True):
            if sign > 0:
                ours += theirs
            else:
                ours -= theirs

    def clear_empty_pairs(self) -> None:
        """Set sums over no rows to exactly 0: rounding must not outlive its rows."""
        empty = self.n == 0
        if not empty.any():
            return
        groups, c = self.schema.group_of, self.schema.continuous
        by_group = empty[groups]
        pairs = by_group[:, groups]
        self.s[by_group] = 0
        self.q[by_group[c]] = 0
        self.pairs[1:][np.tril(pairs)] = 0
        self.pairs[: len(c), : len(c)][np.triu(pairs[np.ix_(c, c)])] = 0
        self.xxy[pairs[c]] = 0

    def moved(self, schema: Schema, places: Indexes, parents: Sequence[int]) -> Sums:
        """Return the sums for another schema, which has all of these attributes.

        Args:
            schema: of the result.
            places: (p,) where each attribute stands in it.
            parents: for each of its groups, the group here that has the same rows; `NOWHERE`.
        """
        stays = [*parents] == [*range(schema.group_count)]
        if stays and schema == self.schema and (places == np.arange(len(schema))).all():
            return self.copy()  # takes a tenth of the time of moving each sum to where it is
        ours, old = Sums.zeros(schema), self.schema
        here = np.flatnonzero(np.array(parents, np.intp) != NOWHERE)
        there = np.array(parents, np.intp)[here]
        was, rows = old.continuous, schema.rank[places[old.continuous]]
        ours.origins[places] = self.origins
        ours.n[np.ix_(here, here)] = self.n[np.ix_(there, there)]
        ours.s[np.ix_(places, here)] = self.s[:, there]
        ours.q[np.ix_(rows, here)] = self.q[:, there]
        ours.xxy[np.ix_(rows, places)] = self.xxy
        old_xy = self.xy()
        xy = np.zeros((len(schema), len(schema)))
        xy[np.ix_(places, places)] = old_xy
        xxyy = np.zeros((len(schema.continuous), len(schema.continuous)))
        xxyy[np.ix_(rows, rows)] = self.xxyy()
        # What was binary and is continuous now: its squares are its sums.
        rank = schema.rank[places]
        fresh = np.setdiff1d(np.flatnonzero(rank >= 0), was)
        if len(fresh):
            new = rank[fresh]
            ours.q[np.ix_(new, here)] = self.s[np.ix_(fresh, there)]
            ours.xxy[np.ix_(new, places)] = old_xy[fresh]
            xxyy[np.ix_(rows, new)] = self.xxy[:, fresh]
            xxyy[np.ix_(new, rows)] = self.xxy[:, fresh].T
            xxyy[np.ix_(new, new)] = old_xy[np.ix_(fresh, fresh)]
        ours.fold(xy, xxyy)
        return ours


def refine(ours: Sequence[int], theirs: Sequence[int]) -> tuple[list[int], list[int], list[int]]:
    """Return the common refinement of two partitions of the same attributes.

    Returns:
        The group of each attribute, numbered in order of first appearance, and for each group its
        number in `ours` and in `theirs`.

    Example:
        >>> refine([0, 0, 1], [5, 6, 6])
        ([0, 1, 2], [0, 0, 1], [5, 6, 6])
    """
    numbers: dict[tuple[int, int], int] = {}
    groups = [numbers.setdefault(pair, len(numbers)) for pair in zip(ours, theirs, strict=True)]
    return groups, [left for left, _ in numbers], [right for _, right in numbers]


@lru_cache(maxsize=8)
def lower(order: int) -> NDArray[np.bool_]:
    """Return where the lower triangle of a matrix is, its diagonal included; not to be changed."""
    found = np.tri(order, dtype=bool)
    found.flags.writeable = False
    return found


def _symmetric(triangle: Floats) -> Floats:
    """Complete a matrix that is zero on one side of its diagonal, in place."""
    diagonal = triangle.diagonal().copy()
    triangle += triangle.T
    np.fill_diagonal(triangle, diagonal)
    return triangle
