"""How often each binary attribute was 0 and 1, in all rows and where another one was 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tally.engine.distribution import Distribution
from tally.engine.sketch import Counts

_ZERO_ONE = np.array([0.0, 1.0])
_ROWS_AT_ONCE = 1 << 20  # float32 counts exactly to 2^24


@dataclass(frozen=True, slots=True)
class BinaryCounts:
    """Exact counts of binary attributes.

    Attributes:
        names: (b,), unique.
        bases: for each, the category that it is one value of; None for a plain attribute.
        every: (2, b), the rows in which each is 0, and those in which it is 1.
        given: (2, b, b), the same over the rows in which the attribute of the last axis is 1;
            None where counts under conditions are not kept.

    Example:
        >>> counts = BinaryCounts.of("xy", (None, None), np.array([[1.0, 1.0], [0.0, 1.0]]))
        >>> counts.distribution("x").counts.tolist(), counts.distribution("y", "x").counts.tolist()
        ([1, 1], [1])
    """

    names: tuple[str, ...]
    bases: tuple[str | None, ...]
    every: Counts
    given: Counts | None

    @classmethod
    def empty(cls) -> BinaryCounts:
        """Return the counts of no attributes."""
        return cls((), (), np.zeros((2, 0), np.int64), np.zeros((2, 0, 0), np.int64))

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        bases: Sequence[str | None],
        values: NDArray[np.float64],
        *,
        conditional: bool = True,
    ) -> BinaryCounts:
        """Count rows (n, b) of zeros and ones, NaN where missing."""
        every = np.stack([(values == 0).sum(axis=0), (values == 1).sum(axis=0)]).astype(np.int64)
        if not conditional:
            return cls(tuple(names), tuple(bases), every, None)
        given = np.zeros((2, len(names), len(names)), np.int64)
        for start in range(0, len(values), _ROWS_AT_ONCE):
            block = values[start : start + _ROWS_AT_ONCE]
            one = (block == 1).astype(np.float32)
            for k in (0, 1):
                given[k] += ((block == k).astype(np.float32).T @ one).astype(np.int64)
        return cls(tuple(names), tuple(bases), every, given)

    @property
    def size_bytes(self) -> int:
        """Bytes that the arrays take."""
        return self.every.nbytes + (0 if self.given is None else self.given.nbytes)

    def unconditional(self) -> BinaryCounts:
        """Return the same without counts under conditions."""
        return BinaryCounts(self.names, self.bases, self.every, None)

    def aligned(self, names: Sequence[str], bases: Sequence[str | None]) -> BinaryCounts:
        """Return the same for these names, which may leave out some of ours and add others.

        A new value of a known category was 0 in all rows in which the category was present: the
        rows of any other of its values. Any other new attribute was in no row.

        Example:
            >>> red = BinaryCounts.of(["c$red"], ["c"], np.array([[1.0], [0.0]]))
            >>> red.aligned(["c$red", "c$blue"], ["c", "c"]).distribution("c$blue").counts.tolist()
            [2]
        """
        if tuple(names) == self.names:
            return self
        place = {name: k for k, name in enumerate(self.names)}
        sibling = {base: k for k, base in enumerate(self.bases) if base is not None}
        known = [k for k, name in enumerate(names) if name in place]
        late = [k for k, name in enumerate(names) if name not in place and bases[k] in sibling]
        old = [place[names[k]] for k in known]
        beside = [sibling[base] for k in late if (base := bases[k]) is not None]
        every = np.zeros((2, len(names)), np.int64)
        every[:, known] = self.every[:, old]
        every[0, late] = self.every[:, beside].sum(axis=0)
        given = None
        if self.given is not None:
            given = np.zeros((2, len(names), len(names)), np.int64)
            given[np.ix_((0, 1), known, known)] = self.given[np.ix_((0, 1), old, old)]
            given[0][np.ix_(late, known)] = self.given[:, beside].sum(axis=0)[:, old]
        return BinaryCounts(tuple(names), tuple(bases), every, given)

    def combined(self, other: BinaryCounts, sign: int) -> BinaryCounts:
        """Return these counts and (1) or less (-1) those of `other`, for the same names.

        What would fall below zero was never counted, and stops at zero.
        """
        every = np.maximum(self.every + sign * other.every, 0)
        given = None
        if self.given is not None and other.given is not None:
            given = np.maximum(self.given + sign * other.given, 0)
        return BinaryCounts(self.names, self.bases, every, given)

    def distribution(self, name: str, given: str | None = None) -> Distribution:
        """Return what is counted for one attribute, in all rows or where `given` is 1."""
        k = self.names.index(name)
        counts = self.every[:, k]
        if given is not None:
            assert self.given is not None, "counts under conditions are not kept"
            counts = self.given[:, k, self.names.index(given)]
        return Distribution.of(_ZERO_ONE, counts)
