"""`iteration`: random sets of inputs, for as many turns or seconds as are given."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tally.errors import InvalidInput
from tally.models.parameters import Parameters
from tally.selection.searches.base import Score

_MOST_TURNS = 1_000_000
_LONGEST_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Iteration:
    """Options of `iteration`.

    Attributes:
        turns: how many sets are drawn.
        seconds: when to stop drawing.
    """

    turns: int
    seconds: float

    @classmethod
    def read(cls, parameters: Parameters, inputs: int) -> Iteration:
        """Return the options in these parameters.

        Raises:
            InvalidInput: nothing says when to stop.
        """
        turns, seconds = "selector_max_iterations", "selector_max_seconds"
        if not parameters.has(turns) and not parameters.has(seconds):
            raise InvalidInput(turns, f"selector_type_iteration needs it, or {seconds}")
        return cls(
            parameters.whole(turns, _MOST_TURNS, 1, _MOST_TURNS),
            parameters.number(seconds, math.inf, 1e-3, _LONGEST_S)
            if parameters.has(seconds)
            else math.inf,
        )

    def most(self, inputs: int) -> int:
        """Return how many sets it asks for at most."""
        return self.turns

    def run(
        self, score: Score, inputs: int, rng: np.random.Generator, spent_s: Callable[[], float]
    ) -> None:
        """Search. Each size of a set is as likely as any other; one set at least is tried."""
        for _ in range(self.turns):
            size = int(rng.integers(1, inputs, endpoint=True))
            score(tuple(rng.choice(inputs, size, replace=False).tolist()))
            if spent_s() >= self.seconds:
                return
