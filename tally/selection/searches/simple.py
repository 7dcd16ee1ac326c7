"""`simple`: the first input, the first two, and so on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tally.models.parameters import Parameters
from tally.selection.searches.base import Score


@dataclass(frozen=True, slots=True)
class Simple:
    """It has no options."""

    @classmethod
    def read(cls, parameters: Parameters, inputs: int) -> Simple:
        """Return the search."""
        return cls()

    def most(self, inputs: int) -> int:
        """Return how many sets it asks for."""
        return inputs

    def run(
        self, score: Score, inputs: int, rng: np.random.Generator, spent_s: Callable[[], float]
    ) -> None:
        """Search."""
        for count in range(1, inputs + 1):
            score(tuple(range(count)))
