"""Rows as numbers: what the statistics are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONTINUOUS, BINARY = "C", "B"


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one frame, with categories expanded into binary attributes.

    Attributes:
        names: of the attributes, unique; those of one category base stand together.
        types: `C` or `B` for each.
        bases: for each, the category that it is one value of; None for a plain attribute.
        values: (n, k), NaN where missing; a binary attribute is 0 or 1. The members of one base
            are missing together.

    Example:
        >>> rows = Rows(("x", "color$red"), "CB", (None, "color"), np.array([[1.5, 1.0]]))
        >>> rows.complete
        True
    """

    names: tuple[str, ...]
    types: str
    bases: tuple[str | None, ...]
    values: NDArray[np.float64]

    @property
    def complete(self) -> bool:
        """Whether no value is missing."""
        return not np.isnan(self.values).any()
