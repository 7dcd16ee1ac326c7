"""The contract between a family of forecasting models and the rest of Tally."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
OptionValue = int | float | str | bool


@dataclass(frozen=True, slots=True)
class State:
    """A fitted model as plain data: what is stored instead of a pickled object.

    Attributes:
        family: name of the family that restores it.
        arrays: by name; numeric, finite, C-contiguous.
        meta: JSON values only.
    """

    family: str
    arrays: Mapping[str, NDArray[np.generic]]
    meta: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a model says of the next `h` steps.

    Attributes:
        mean: (h,) point forecasts in the units of the series.
        lower, upper: by level in percent, (h,) each; the interval that holds the value with
            that probability, as far as the model is right.
    """

    mean: Vector
    lower: Mapping[float, Vector]
    upper: Mapping[float, Vector]


class Model(Protocol):
    """A fitted model. It is immutable: forecasting does not change it."""

    def forecast(self, steps: int, levels: Sequence[float] = ()) -> Forecast:
        """Forecast the `steps` values after the last one seen.

        Args:
            steps: 1 or more. The first `k` values do not depend on how many are asked for.
            levels: of the intervals, in percent, each in (0, 100).
        """
        ...

    def state(self) -> State:
        """Return what `Fitter.restore` needs to make an equal model."""
        ...


class Fitter(Protocol):
    """What the module of a family offers, as module-level functions of these names."""

    def fit(self, values: Vector, period: int, options: Mapping[str, OptionValue]) -> Model:
        """Fit a series.

        Args:
            values: (t,) finite, equally spaced in time, oldest first; t is at least 1. Constant
                and very short series must work, with wide or zero intervals.
            period: steps in a season; 1 where there is none.
            options: every option of the family's table line, checked and with its default.

        Raises:
            FitFailed: the series cannot be fitted; says why, and what would help.
        """
        ...

    def restore(self, state: State) -> Model:
        """Return the model whose `state()` this is; its forecasts are bit-identical.

        Raises:
            CorruptState: arrays are missing or of the wrong shape.
        """
        ...
