"""`bayesian`: a Gaussian process guesses how good untried sets are, and the best guess is tried.

Sets are corners of a cube, projected at random where there are many inputs. The process is the sum
of one effect for each input and of a smooth rest. A guess is worth its mean and
`exploration_weight` times its standard deviation.

Source: Srinivas, Krause, Kakade, Seeger 2010, arXiv:0912.3995.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.distance import cdist

from tally.models.base import Flags, Floats
from tally.models.parameters import Parameters
from tally.selection.searches.base import Score, check_drawn

_MOST = 10_000
_MOST_REMEMBERED = 2_000  # the process solves a system of so many rows in each turn
_NOISE = 1e-6
_FEW_FLIPS = 3
_REST = 0.03  # variance of the smooth rest, against 1 of the effects together


@dataclass(frozen=True, slots=True)
class Bayesian:
    """Options of `bayesian`.

    Attributes:
        turns: sets that are tried after the first ones.
        first: sets that are drawn at random.
        weight: of the standard deviation of a guess.
        candidates: sets whose worth is guessed in each turn.
        steps: in each of which every candidate may change one input for a better guess.
        dimensions: of the points.
        memory: the best so many sets make the process.
        stagnation: turns without a better set, after which it ends.
    """

    turns: int
    first: int
    weight: float
    candidates: int
    steps: int
    dimensions: int
    memory: int
    stagnation: int

    @classmethod
    def read(cls, parameters: Parameters, inputs: int) -> Bayesian:
        """Return the options in these parameters.

        Raises:
            InvalidInput: one of them cannot be used.
        """

        def drawn(key: str, default: int) -> int:
            return check_drawn(key, parameters.whole(key, default, 1, _MOST), inputs)

        return cls(
            parameters.whole("bayesian_num_iterations", 100, 1, _MOST),
            drawn("bayesian_initial_random", 20),
            parameters.number("bayesian_exploration_weight", 0.1, 0.0, 1e6),
            drawn("bayesian_num_candidates", 100),
            parameters.whole("bayesian_local_search_steps", 10, 0, 1_000),
            parameters.whole("bayesian_embedding_dim", 50, 1, _MOST),
            parameters.whole("bayesian_top_k_memory", 200, 1, _MOST_REMEMBERED),
            parameters.whole("bayesian_stagnation_limit", 30, 1, _MOST),
        )

    def most(self, inputs: int) -> int:
        """Return how many sets it asks for at most."""
        return self.first + self.turns

    def run(
        self, score: Score, inputs: int, rng: np.random.Generator, spent_s: Callable[[], float]
    ) -> None:
        """Search."""
        turn = _projection(rng, inputs, self.dimensions)
        known: dict[bytes, tuple[float, Flags]] = {}
        best = -math.inf

        def ask(one: Flags) -> bool:
            """Return whether a set is better than all before it."""
            nonlocal best
            gain = score(tuple(np.flatnonzero(one).tolist())).gain
            known[one.tobytes()] = gain, one
            if len(known) > self.memory:
                del known[min(known, key=lambda key: known[key][0])]
            found, best = gain > best, max(gain, best)
            return found

        for one in _drawn(rng, self.first, inputs):
            ask(one)
        since = 0
        for _ in range(self.turns):
            gains = np.array([gain for gain, _ in known.values()])
            sets = np.array([one for _, one in known.values()])
            guess = _Process.of(_points(sets, turn), gains, self.weight)
            pool = self._improved(self._pool(sets, gains, rng), turn, guess, rng)
            fresh = [one for one in pool if one.tobytes() not in known]
            since = 0 if ask(fresh[0] if fresh else _drawn(rng, 1, inputs)[0]) else since + 1
            if since >= self.stagnation:
                return

    def _pool(self, sets: Flags, gains: Floats, rng: np.random.Generator) -> Flags:
        """Return candidates: random ones, and the best known with a few inputs changed."""
        inputs = sets.shape[1]
        near = (self.candidates + 1) // 2
        parents = sets[np.argsort(-gains, kind="stable")[: max(1, len(sets) // 10)]]
        pool = parents[rng.integers(len(parents), size=near)]
        for one in pool:
            flips = rng.integers(1, min(_FEW_FLIPS, inputs), endpoint=True)
            one[rng.choice(inputs, flips, replace=False)] ^= True
        return _filled(np.vstack([pool, _drawn(rng, self.candidates - near, inputs)]), rng)

    def _improved(
        self, pool: Flags, turn: Floats, guess: _Process, rng: np.random.Generator
    ) -> Flags:
        """Return candidates after a local search, the best guess first."""
        hopes = guess.hopes(_points(pool, turn))
        rows = np.arange(len(pool))
        for _ in range(self.steps):
            changed = pool.copy()
            changed[rows, rng.integers(pool.shape[1], size=len(pool))] ^= True
            changed = _filled(changed, rng)
            theirs = guess.hopes(_points(changed, turn))
            better = theirs > hopes
            pool[better], hopes[better] = changed[better], theirs[better]
        ordered: Flags = pool[np.argsort(-hopes, kind="stable")]
        return ordered


@dataclass(frozen=True, slots=True, eq=False)
class _Process:
    """A Gaussian process of mean 0 about standardised gains.

    Attributes:
        points: (n, d) that are known.
        length2: twice the square of the distance over which the smooth rest is alike.
        factor: of their covariances.
        weights: (n,) of the mean.
        deviation: how many standard deviations a hope lies above the mean.
    """

    points: Floats
    length2: float
    factor: tuple[Floats, bool]
    weights: Floats
    deviation: float

    @classmethod
    def of(cls, points: Floats, gains: Floats, deviation: float) -> _Process:
        finite = gains[np.isfinite(gains)]
        spread = float(finite.std()) if len(finite) else 0.0
        mean = float(finite.mean()) if len(finite) else 0.0
        # What cannot be fitted is bad, but not so bad that nothing else matters.
        lowest = float(finite.min()) - spread if len(finite) else 0.0
        standard = (np.where(np.isfinite(gains), gains, lowest) - mean) / (spread or 1.0)
        apart = cdist(points, points, "sqeuclidean")
        length2 = 2 * float(np.median(apart[apart > 0])) if (apart > 0).any() else 1.0
        covariance = _alike(points, points, length2) + _NOISE * np.eye(len(points))
        factor = cho_factor(covariance, lower=True)
        return cls(points, length2, factor, cho_solve(factor, standard), deviation)

    def hopes(self, points: Floats) -> Floats:
        """Return mean and weighted deviation at some points (m,)."""
        cross = _alike(points, self.points, self.length2)
        solved = cho_solve(self.factor, cross.T)
        prior = (points**2).sum(axis=1) + _REST
        variance = np.maximum(0.0, prior - np.einsum("mn,nm->m", cross, solved))
        found: Floats = cross @ self.weights + self.deviation * np.sqrt(variance)
        return found


def _alike(left: Floats, right: Floats, length2: float) -> Floats:
    """Return the covariances of the gains at some points and at others (m, n)."""
    rest = np.exp(-cdist(left, right, "sqeuclidean") / length2)
    found: Floats = left @ right.T + _REST * rest
    return found


def _projection(rng: np.random.Generator, inputs: int, dimensions: int) -> Floats:
    """Return what takes corners into so many dimensions, and leaves their lengths about 1."""
    if inputs <= dimensions:
        return np.eye(inputs) / math.sqrt(inputs)
    return rng.normal(size=(inputs, dimensions)) / math.sqrt(inputs * dimensions)


def _points(sets: Flags, turn: Floats) -> Floats:
    """Return the points (n, d) of sets (n, p)."""
    return (2.0 * sets - 1.0) @ turn


def _drawn(rng: np.random.Generator, count: int, inputs: int) -> Flags:
    """Return random sets (count, inputs), of all sizes alike."""
    found: Flags = rng.random((count, inputs)) < rng.random((count, 1))
    return _filled(found, rng)


def _filled(sets: Flags, rng: np.random.Generator) -> Flags:
    """Return sets, with one input in those that had none."""
    empty = np.flatnonzero(~sets.any(axis=1))
    sets[empty, rng.integers(sets.shape[1], size=len(empty))] = True
    return sets
