"""The grids of penalties that are tried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Grid:
    """Every `eta` is tried with every `lambda`.

    Attributes:
        etas: shares of the absolute penalty; of `elasticnet` only.
        lambdas: penalties.
    """

    etas: tuple[float, ...]
    lambdas: tuple[float, ...]


PREFIX = "autoselect_grid_type_"

GRIDS: Mapping[str, Grid] = {
    f"{PREFIX}tiny": Grid((0.0, 0.5, 1.0), (1e-3, 1e-2, 0.1)),
    f"{PREFIX}small": Grid((0.0, 0.5, 1.0), (1e-3, 1e-2, 0.1, 1.0)),
    f"{PREFIX}normal": Grid((0.0, 0.3333, 0.6666, 1.0), (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)),
    f"{PREFIX}large": Grid(
        (0.0, 0.2, 0.4, 0.6, 0.8, 1.0), tuple(float(f"1e{power}") for power in range(-9, 4))
    ),
}
