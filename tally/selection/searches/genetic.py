"""`genetic`: sets of inputs that breed; the better ones more often."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tally.errors import InvalidInput
from tally.models.base import Flags
from tally.models.parameters import Parameters
from tally.selection.searches.base import Score, Worth, check_drawn

_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Genetic:
    """Options of `genetic`.

    Attributes:
        population: sets in each generation.
        generations: how many there are.
        mutation: with this chance each input of a child is taken in, or left out, after all.
        crossover: with this chance a child has two parents.
        elite: the best sets that stay as they are.
        tournament: a parent is the best of so many.
        first: with this chance an input is in a set of the first generation.
        fewest, largest: inputs of a set.
        stagnation: generations without a better set, after which it ends.
    """

    population: int
    generations: int
    mutation: float
    crossover: float
    elite: int
    tournament: int
    first: float
    fewest: int
    largest: int
    stagnation: int

    @classmethod
    def read(cls, parameters: Parameters, inputs: int) -> Genetic:
        """Return the options in these parameters.

        Raises:
            InvalidInput: one of them cannot be used.
        """
        key = "genetic_population_size"
        population = check_drawn(key, parameters.whole(key, 50, 2, _MOST), inputs)
        fewest = parameters.whole("genetic_min_features", 1, 1, inputs)
        parameters.whole("genetic_parallel_threads", 4, 1, 1024)  # a fit is too short to share
        made = cls(
            population,
            parameters.whole("genetic_num_generations", 100, 1, _MOST),
            parameters.number("genetic_mutation_rate", 0.05, 0.0, 1.0),
            parameters.number("genetic_crossover_rate", 0.8, 0.0, 1.0),
            parameters.whole("genetic_elite_count", 2, 0, _MOST),
            parameters.whole("genetic_tournament_size", 3, 1, _MOST),
            parameters.number("genetic_initial_feature_prob", 0.1, 0.0, 1.0),
            fewest,
            min(inputs, parameters.whole("genetic_max_features", inputs, 1, 2**31)),
            parameters.whole("genetic_stagnation_limit", 20, 1, _MOST),
        )
        if made.elite >= population:
            raise InvalidInput(
                "genetic_elite_count", f"{made.elite} is not below the population of {population}"
            )
        if made.largest < fewest:
            raise InvalidInput(
                "genetic_max_features", f"{made.largest} is below genetic_min_features {fewest}"
            )
        return made

    def most(self, inputs: int) -> int:
        """Return how many sets it asks for at most."""
        return self.population * (self.generations + 1)

    def run(
        self, score: Score, inputs: int, rng: np.random.Generator, spent_s: Callable[[], float]
    ) -> None:
        """Search."""
        sets = rng.random((self.population, inputs)) < self.first
        worths = self._scored(score, sets, rng)
        best, since = max(worths), 0
        for _ in range(self.generations):
            order = sorted(range(self.population), key=lambda k: worths[k], reverse=True)
            children = [self._child(sets, worths, rng) for _ in order[self.elite :]]
            sets = np.array([*(sets[k] for k in order[: self.elite]), *children])
            worths = self._scored(score, sets, rng)
            top = max(worths)
            best, since = (top, 0) if top > best else (best, since + 1)
            if since >= self.stagnation:
                return

    def _scored(self, score: Score, sets: Flags, rng: np.random.Generator) -> list[Worth]:
        """Bring sets to an allowed size, in place, and return their worths."""
        for one in sets:
            count = int(one.sum())
            if count < self.fewest:
                one[rng.choice(np.flatnonzero(~one), self.fewest - count, replace=False)] = True
            elif count > self.largest:
                one[rng.choice(np.flatnonzero(one), count - self.largest, replace=False)] = False
        return [score(tuple(np.flatnonzero(one).tolist())) for one in sets]

    def _child(self, sets: Flags, worths: list[Worth], rng: np.random.Generator) -> Flags:
        def parent() -> Flags:
            drawn = rng.integers(len(worths), size=self.tournament).tolist()
            best: Flags = sets[max(drawn, key=lambda k: worths[k])]
            return best

        child = parent().copy()
        if rng.random() < self.crossover:
            child = np.where(rng.random(len(child)) < 0.5, child, parent())
        mutated: Flags = child ^ (rng.random(len(child)) < self.mutation)
        return mutated
