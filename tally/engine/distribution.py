"""What a histogram says of one attribute: extremes, median, rows in bins."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tally.engine.sketch import Counts, Values


@dataclass(frozen=True, slots=True)
class Distribution:
    """Counted values of one attribute.

    Attributes:
        values: (k,), ascending: the distinct values, or the centroids of a sketch.
        counts: (k,), rows at each, all positive.
        minimum, maximum: of all rows, also where they lie outside the outer centroids; NaN
            without rows.
    """

    values: Values
    counts: Counts
    minimum: float
    maximum: float

    @classmethod
    def of(
        cls, values: Values, counts: Counts, extremes: tuple[float, float] | None = None
    ) -> Distribution:
        """Return the distribution of values with these counts, zeros among them.

        Args:
            values, counts: (k,) each.
            extremes: of a sketch; None where the values are exact.
        """
        there = counts > 0
        values, counts = values[there], counts[there]
        low, high = (values[0], values[-1]) if len(values) else (math.nan, math.nan)
        if extremes is not None and len(values):
            # Rows forgotten since may have been the extremes; the centroids are there still.
            low, high = min(low, extremes[0]), max(high, extremes[1])
        return cls(values, counts, float(low), float(high))

    @property
    def rows(self) -> int:
        """How many rows were counted."""
        return int(self.counts.sum())

    @property
    def median(self) -> float:
        """The mean of the two middle values, or centroids; NaN without rows.

        Example:
            >>> Distribution.of(np.array([1.0, 2.0, 8.0]), np.array([1, 1, 2])).median
            5.0
        """
        if not len(self.values):
            return math.nan
        upto = np.cumsum(self.counts)
        rows = int(upto[-1])
        lower, upper = np.searchsorted(upto, [(rows + 1) // 2, rows // 2 + 1])
        return float(self.values[lower] / 2 + self.values[upper] / 2)

    def in_bins(self, low: float, high: float, bins: int) -> Values:
        """Return the rows in each of `bins` equal parts of [low, high]; the last is closed.

        Values outside are dropped. Where low = high, all that is there falls into the first.

        Returns:
            (bins,), as doubles.

        Example:
            >>> Distribution.of(np.array([0.0, 1.0, 2.0]), np.array([1, 1, 3])).in_bins(0, 2, 2)
            array([1., 4.])
        """
        inside = (self.values >= low) & (self.values <= high)
        # One of several formulas that round differently: a value on an edge may tell them apart.
        edges = low + (high - low) * np.arange(bins + 1) / bins
        at = np.searchsorted(edges, self.values[inside], side="right") - 1
        at = np.zeros_like(at) if low == high else np.clip(at, 0, bins - 1)
        return np.bincount(at, weights=self.counts[inside], minlength=bins).astype(np.float64)
