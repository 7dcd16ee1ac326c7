"""Which attributes of a frame are missing together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tally.engine.schema import Indexes
from tally.engine.sums import NOWHERE, Floats

ABSENT = NOWHERE
_BLOCK_ROWS = 1024


@dataclass(frozen=True, slots=True)
class Patterns:
    """The attributes of a frame, by the rows in which they are present.

    Attributes:
        of: (k,) the pattern of each attribute, numbered in order of first appearance; `ABSENT`
            where it has no value at all.
        columns: (F,) an attribute of each pattern; None where nothing is missing, and there is
            one pattern.
        n: (F, F) rows in which both patterns are present.
    """

    of: Indexes
    columns: Indexes | None
    n: Floats

    @classmethod
    def complete(cls, rows: int, attributes: int) -> Patterns:
        """Return those of a frame without missing values."""
        return cls(np.zeros(attributes, np.intp), None, np.full((1, 1), float(rows)))

    @classmethod
    def find(cls, values: Floats) -> Patterns:
        """Return those of values (n, k), NaN where missing.

        Example:
            >>> nan = np.nan
            >>> Patterns.find(np.array([[1, nan, 2], [nan, nan, nan], [3, nan, 4]])).of.tolist()
            [0, -1, 0]
        """
        both = np.zeros((values.shape[1], values.shape[1]))
        for start in range(0, len(values), _BLOCK_ROWS):
            # Whole numbers up to 2^24 are exact in 32 bits, and sums of them twice as fast.
            present = (~np.isnan(values[start : start + _BLOCK_ROWS])).astype(np.float32)
            both += present.T @ present
        own = both.diagonal()
        # Two attributes are present in the same rows if both are in as many as either.
        first = ((both == own) & (both == own[:, None])).argmax(axis=1)
        columns = np.flatnonzero((first == np.arange(len(own))) & (own > 0))
        of = np.where(own > 0, np.searchsorted(columns, first), ABSENT)
        return cls(of, columns, both[np.ix_(columns, columns)])

    @property
    def count(self) -> int:
        """How many patterns there are."""
        return len(self.n)
