"""Choosing the inputs that matter, one by one, by a score that needs no rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tally.errors import FitFailed, InvalidInput
from tally.models.attributes import Chosen
from tally.models.base import Checkpoint, Problem, Progress, Statistics, nothing, untold
from tally.models.families import Family
from tally.models.parameters import Parameters

SCORE = "OverallContribution"


@dataclass(frozen=True, slots=True)
class Reduction:
    """How inputs are chosen.

    Attributes:
        delta: what an input must add to the score, or losing it must cost, to be kept.
        rounds: each adds inputs as long as that helps, then drops those that do not matter.
    """

    delta: float = 0.01
    rounds: int = 5


@dataclass(frozen=True, slots=True)
class Reduced:
    """What came of it: the inputs, in the order in which they were chosen, and how many fits."""

    chosen: Chosen
    fits: int


def check(family: Family) -> None:
    """Raise `InvalidInput` if models of a family have no score to choose by."""
    if family.name != "lda":
        raise InvalidInput("algo", f"models of {family.name} have no {SCORE}; those of lda have")


def reduce(
    family: Family,
    statistics: Statistics,
    chosen: Chosen,
    parameters: Mapping[str, str],
    how: Reduction,
    checkpoint: Checkpoint = nothing,
    progress: Progress = untold,
) -> Reduced:
    """Return the inputs among those chosen that matter.

    Of inputs that add the same, the one that comes first is taken; those without which no model
    can be made are skipped.

    Args:
        family, statistics, chosen, parameters: of the fit.
        how: when to stop.
        checkpoint: called before each fit; what it raises ends the search.
        progress: told before the first round, and after each.

    Raises:
        InvalidInput: the family has no score.
        FitFailed: not one input allows a model.
    """
    check(family)
    fitter = family.fitter.read(Parameters(parameters))
    fits = 0

    def score(inputs: tuple[int, ...]) -> float:
        nonlocal fits
        if not inputs:
            return 0.0
        checkpoint()
        fits += 1
        try:
            outcome = fitter.fit(Problem(statistics, inputs, chosen.targets, checkpoint))
        except FitFailed:
            return -1.0
        return float(outcome.info[SCORE])

    kept: tuple[int, ...] = ()
    best = 0.0
    for round_ in range(how.rounds):
        progress(round_, how.rounds)
        before = kept
        while rest := [i for i in chosen.inputs if i not in kept]:
            scores = [score((*kept, i)) for i in rest]
            top = max(scores)
            if top - best < how.delta:
                break
            kept, best = (*kept, rest[scores.index(top)]), top
        for i in kept:
            less = tuple(j for j in kept if j != i)
            if less and best - (left := score(less)) < how.delta:
                kept, best = less, left
        if kept == before:
            break
    progress(how.rounds, how.rounds)
    if not kept:
        raise FitFailed(
            f"no input adds {how.delta:g} to the score: lower delta, or learn more rows"
        )
    return Reduced(Chosen(kept, chosen.targets), fits)
