"""`fw_bw`: inputs are added one by one while that helps, then dropped one by one, and so again."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tally.models.parameters import Parameters
from tally.selection.searches.base import Score, Subset, Worth

_MOST_ROUNDS = 1000


@dataclass(frozen=True, slots=True)
class ForwardBackward:
    """Options of `fw_bw`.

    Attributes:
        rounds: each adds as long as that helps, then drops as long as it does.
    """

    rounds: int

    @classmethod
    def read(cls, parameters: Parameters, inputs: int) -> ForwardBackward:
        """Return the options in these parameters."""
        return cls(parameters.whole("selector_max_iterations", 5, 1, _MOST_ROUNDS))

    def most(self, inputs: int) -> int:
        """Return how many sets it asks for at most."""
        return self.rounds * inputs * (inputs + 1)

    def run(
        self, score: Score, inputs: int, rng: np.random.Generator, spent_s: Callable[[], float]
    ) -> None:
        """Search. Each step makes the set better, so none comes twice."""
        kept: Subset = ()
        worth = Worth(-math.inf, 0)
        for _ in range(self.rounds):
            before = kept
            kept, worth = self._climb(score, kept, worth, lambda kept: _more(kept, inputs))
            kept, worth = self._climb(score, kept, worth, _less)
            if kept == before:
                return

    @staticmethod
    def _climb(
        score: Score, kept: Subset, worth: Worth, beside: Callable[[Subset], list[Subset]]
    ) -> tuple[Subset, Worth]:
        """Return where steps to the best set beside the last one end."""
        while sets := beside(kept):
            worths = [score(one) for one in sets]
            top = max(worths)
            if top <= worth:
                break
            kept, worth = sets[worths.index(top)], top
        return kept, worth


def _more(kept: Subset, inputs: int) -> list[Subset]:
    return [(*kept, k) for k in range(inputs) if k not in kept]


def _less(kept: Subset) -> list[Subset]:
    return [tuple(k for k in kept if k != out) for out in kept] if len(kept) > 1 else []
