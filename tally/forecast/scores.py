"""How good a fit is, as data that every part of Tally may know; needs no numpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Scores:
    """Errors in the units of the series; None where undefined.

    Attributes:
        mae, rmse: mean absolute and root mean squared error.
        mase: `mae` over that of the one-season-back forecast within the training part.
        coverage: by level in percent, the share of values inside the interval.
    """

    mae: float | None = None
    rmse: float | None = None
    mase: float | None = None
    coverage: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Backtest:
    """The scores of a family and of the seasonal naive forecast on the same moments.

    Attributes:
        skill: 1 - mae / mae of seasonal naive; None where undefined.
        origins, horizon: how many moments, and how many steps from each.
        note: why scores or skill are undefined, where they are.
    """

    model: Scores
    seasonal_naive: Scores
    skill: float | None
    origins: int
    horizon: int
    note: str = ""
