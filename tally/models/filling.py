"""What stands in for missing inputs: means, or what the known attributes let expect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tally.engine.rows import BINARY
from tally.engine.summary import Summary
from tally.errors import FitFailed, InvalidInput
from tally.models.base import Attribute, Flags, Floats, Places
from tally.models.linalg import REDUNDANT, independent
from tally.models.moments import sample

MOST_KNOWN = 256
"""Attributes beside the inputs are kept for imputation up to this many in all."""

MOST_INPUTS = 1024
"""The covariances of so many inputs take 4 MB."""

_PATTERNS = 256


@dataclass(frozen=True, slots=True, eq=False)
class Filler:
    """Means of the inputs, and covariances of everything that may be known of a row.

    Attributes:
        known: the inputs of the model in their order, then other attributes of the project, but
            no target.
        mean: (k,) of each.
        covariance: (k, k) of the population; (0, 0) where it would be too large to keep.
        inputs: how many of them are inputs.
    """

    known: tuple[Attribute, ...]
    mean: Floats
    covariance: Floats
    inputs: int
    _weights: dict[bytes, Floats] = field(default_factory=dict, init=False, repr=False)

    def means(self, x: Floats) -> Floats:
        """Return inputs (n, p) with the mean wherever one is missing."""
        return np.where(np.isnan(x), self.mean[: self.inputs], x)

    def expected(self, x: Floats) -> Floats:
        """Return the inputs with the conditional expectation wherever one is missing.

        Args:
            x: (n, k) of all that is known, NaN where missing.

        Raises:
            InvalidInput: the model has too many inputs to keep their covariances.
        """
        if not len(self.covariance):
            raise InvalidInput(
                "impute", f"the model has {self.inputs} inputs, more than {MOST_INPUTS}"
            )
        filled = x[:, : self.inputs].copy()
        missing = np.isnan(x)
        rows = np.flatnonzero(missing[:, : self.inputs].any(axis=1))
        patterns, which = np.unique(missing[rows], axis=0, return_inverse=True)
        for number, pattern in enumerate(patterns):
            at = rows[which.reshape(-1) == number]
            absent = np.flatnonzero(pattern[: self.inputs])
            present = np.flatnonzero(~pattern)
            offsets = x[np.ix_(at, present)] - self.mean[present]
            weights = self._solved(pattern, absent, present)
            found = self.mean[absent] + np.einsum("na,au->nu", offsets, weights)
            binary = [k for k, i in enumerate(absent) if self.known[i].kind == BINARY]
            found[:, binary] = np.clip(found[:, binary], 0.0, 1.0)
            filled[np.ix_(at, absent)] = found
        return filled

    def _solved(self, pattern: Flags, absent: Places, present: Places) -> Floats:
        """Return the weights (present, absent) of a pattern of missing cells."""
        key = pattern.tobytes()
        cached = self._weights.get(key)
        if cached is not None:
            return cached
        scale = np.sqrt(self.covariance.diagonal()[present])
        varying = np.flatnonzero(scale > 0)
        used, spread = present[varying], scale[varying]
        correlation = self.covariance[np.ix_(used, used)] / np.outer(spread, spread)
        kept = independent(correlation, REDUNDANT)[0]
        cross = self.covariance[np.ix_(used[kept], absent)] / spread[kept, None]
        weights = np.zeros((len(present), len(absent)))
        if kept:
            solved = np.linalg.solve(correlation[np.ix_(kept, kept)], cross)
            weights[varying[kept]] = solved / spread[kept, None]
        if len(self._weights) >= _PATTERNS:
            self._weights.clear()
        self._weights[key] = weights
        return weights


def filler(summary: Summary, inputs: Sequence[int], targets: Sequence[int]) -> Filler:
    """Return what fills the missing inputs of a model.

    Attributes that share no row with the others are not used.
    """
    schema = summary.schema
    counts = summary.counts()
    others = [i for i in range(len(schema)) if i not in {*inputs, *targets} and counts[i] > 0]
    room = max(0, MOST_KNOWN - len(inputs))
    indexes = [*inputs, *others[:room]]
    try:
        known = sample(summary, indexes)
    except FitFailed:
        indexes = list(inputs)
        known = sample(summary, indexes)
    covariance = known.covariance if len(inputs) <= MOST_INPUTS else np.zeros((0, 0))
    attributes = tuple(
        Attribute(schema.names[i], i, schema.types[i], schema.bases[i]) for i in indexes
    )
    return Filler(attributes, known.mean, covariance, len(inputs))
