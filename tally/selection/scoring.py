"""The worth of a set of inputs: that of the best model that can be made of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tally.errors import FitFailed
from tally.models.attributes import Chosen
from tally.models.base import Answers, Checkpoint, OutOfTime, Problem, Progress, Statistics
from tally.selection.candidates import Candidate
from tally.selection.metrics import Metric
from tally.selection.searches.base import Subset, Worth
from tally.selection.validation import Validation

_MOST_KNOWN = 200_000
_DIGITS = 12
"""After so many decimals of what means something, gains are the same: rounding decides nothing."""


@dataclass(frozen=True, slots=True)
class Best:
    """The best model so far.

    Attributes:
        worth: of it.
        value: of the metric.
        subset: its inputs, by place.
        candidate: the place of how it was made.
    """

    worth: Worth
    value: float
    subset: Subset
    candidate: int

    @property
    def rank(self) -> tuple[Worth, int]:
        """What decides: the gain, then fewer inputs, then the earlier candidate."""
        return self.worth, -self.candidate


@dataclass(slots=True)
class Scorer:
    """Fits and scores; remembers.

    Attributes:
        statistics, chosen: of the fits; sets are places in its inputs.
        candidates: that are tried on each set.
        metric, validation: what tells how good one is.
        checkpoint: called before each fit; what it raises ends the search.
        progress, most: told of each set, of how many at most.
        best: the best of all.
        fits: models that were made.
        failed: fits that were not possible.
        reasons: why, by family.
    """

    statistics: Statistics
    chosen: Chosen
    candidates: Sequence[Candidate]
    metric: Metric
    validation: Validation
    checkpoint: Checkpoint
    progress: Progress
    most: int
    best: Best | None = None
    fits: int = 0
    failed: int = 0
    reasons: dict[str, str] = field(default_factory=dict)
    _known: dict[Subset, Worth] = field(default_factory=dict)
    _asked: int = 0

    @property
    def subsets(self) -> int:
        """How many different sets were scored, as far as that is remembered."""
        return len(self._known)

    def __call__(self, subset: Subset) -> Worth:
        """Return the worth of a set."""
        self.checkpoint()
        places = tuple(sorted(subset))
        worth = self._known.get(places)
        if worth is None:
            worth = self._scored(places)
            if len(self._known) < _MOST_KNOWN:
                self._known[places] = worth
        self._asked += 1
        self.progress(min(self._asked, self.most), self.most)
        return worth

    def _scored(self, places: Subset) -> Worth:
        worth = Worth(-math.inf, -len(places))
        inputs = tuple(self.chosen.inputs[k] for k in places)
        x = self.validation.x[:, places]
        problem = Problem(self.statistics, inputs, self.chosen.targets, self.checkpoint)
        for number, candidate in enumerate(self.candidates):
            self.checkpoint()
            try:
                rule = candidate.fitter.fit(problem).rule
            except OutOfTime:
                raise
            except FitFailed as error:
                self._fail(candidate, str(error))
                continue
            self.fits += 1
            answers = rule.answer(x)
            key = rule.scores[0] if self.metric.ranks else "res"
            value = self._measured(answers[key])
            gain = self.metric.gain(value)
            if gain == -math.inf:
                self._fail(candidate, f"{self.metric.name} is not defined for its predictions")
                continue
            rounded = round(gain / self.validation.unit, _DIGITS)
            worth = max(worth, Worth(rounded, -len(places)))
            found = Best(Worth(rounded, -len(places)), value, places, number)
            if self.best is None or found.rank > self.best.rank:
                self.best = found
        return worth

    def _measured(self, answers: Answers) -> float:
        return float(self.metric.measure(self.validation.truth, np.asarray(answers)))

    def _fail(self, candidate: Candidate, reason: str) -> None:
        self.failed += 1
        self.reasons[candidate.family.name] = reason
