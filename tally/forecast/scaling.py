"""A series moved and scaled to unit size, so that 1e308 and 1e-300 fit like any other."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tally.forecast.base import Vector


@dataclass(frozen=True, slots=True)
class Scale:
    """`series = size * (centre + spread * unit)`; size first, so that nothing overflows."""

    size: float
    centre: float
    spread: float

    @classmethod
    def of(cls, values: Vector) -> tuple[Scale, Vector]:
        """Return the scale of a series, and the series in unit size.

        A constant series gives zeros, exactly, and spread 0.

        Example:
            >>> scale, unit = Scale.of(np.array([1e308, -1e308]))
            >>> unit.tolist(), scale.values(unit).tolist()
            ([1.0, -1.0], [1e+308, -1e+308])
        """
        # A power of two: dividing by it rounds nothing, also at an offset of 1e9.
        size = math.ldexp(1.0, math.frexp(float(np.abs(values).max()) or 1.0)[1] - 1)
        sized = values / size
        # Constant is told by the values: a mean of equal numbers may differ from them by a bit.
        if sized.min() == sized.max():
            return cls(size, float(sized[0]), 0.0), np.zeros_like(sized)
        centre = float(sized.mean())
        spread = float(np.sqrt(np.mean((sized - centre) ** 2))) or 1.0
        return cls(size, centre, spread), (sized - centre) / spread

    def values(self, unit: Vector) -> Vector:
        """Return unit numbers in the units of the series."""
        with np.errstate(over="ignore"):
            return np.asarray(self.size * (self.centre + self.spread * unit))

    def deviation(self, unit: Vector) -> Vector:
        """Return standard deviations in the units of the series."""
        with np.errstate(over="ignore"):
            return np.asarray(self.size * (self.spread * unit))
