"""The contract of a search over sets of inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np

from tally.errors import InvalidInput
from tally.models.parameters import Parameters

Subset: TypeAlias = tuple[int, ...]
"""Places of inputs among those that may be chosen, each once; in any order."""


MOST_DRAWN = 5_000_000
"""Sets that are drawn at once, times inputs: some 40 MB each time that they are looked at."""


def check_drawn(key: str, sets: int, inputs: int) -> int:
    """Return how many sets are drawn at once, if that is not too much for memory.

    Raises:
        InvalidInput: it is; names the parameter.
    """
    if sets * inputs > MOST_DRAWN:
        most = MOST_DRAWN // inputs
        raise InvalidInput(key, f"{sets} sets of {inputs} inputs are too many: take up to {most}")
    return sets


class Worth(NamedTuple):
    """How good a set of inputs is; the larger of two is the better set.

    Attributes:
        gain: of its best model, the more the better; minus infinity if there is none.
        fewer: minus the number of its inputs, which decides between sets of the same gain.
    """

    gain: float
    fewer: int


Score: TypeAlias = Callable[[Subset], Worth]
"""Tells the worth of a set that is not empty; remembers the best, and what it was asked before."""


class Search(Protocol):
    """The options of one search, checked. Immutable."""

    @classmethod
    def read(cls, parameters: Parameters, inputs: int) -> Search:
        """Return the search that these parameters ask for.

        Raises:
            InvalidInput: one of them cannot be used, or there are too many inputs.
        """
        ...

    def most(self, inputs: int) -> int:
        """Return how many sets it asks for at most."""
        ...

    def run(
        self, score: Score, inputs: int, rng: np.random.Generator, spent_s: Callable[[], float]
    ) -> None:
        """Ask for the worth of sets until there is nothing more to be found.

        Args:
            score: whom to ask.
            inputs: how many there are, at least 1.
            rng: the only source of chance.
            spent_s: tells for how many seconds the search has gone on.
        """
        ...
