"""`brute`: all sets of inputs, the small ones first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from tally.errors import InvalidInput
from tally.models.parameters import Parameters
from tally.selection.searches.base import Score

MOST_INPUTS = 20
"""They have a million sets."""


@dataclass(frozen=True, slots=True)
class Brute:
    """It has no options."""

    @classmethod
    def read(cls, parameters: Parameters, inputs: int) -> Brute:
        """Return the search.

        Raises:
            InvalidInput: there are too many inputs.
        """
        if inputs > MOST_INPUTS:
            raise InvalidInput(
                "selector_type",
                f"selector_type_brute takes up to {MOST_INPUTS} inputs, here are {inputs}",
            )
        return cls()

    def most(self, inputs: int) -> int:
        """Return how many sets there are."""
        return (1 << inputs) - 1

    def run(
        self, score: Score, inputs: int, rng: np.random.Generator, spent_s: Callable[[], float]
    ) -> None:
        """Search."""
        for count in range(1, inputs + 1):
            for subset in combinations(range(inputs), count):
                score(subset)
