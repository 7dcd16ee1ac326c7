"""Densities: how many rows fall into each of some equal bins."""

from __future__ import annotations

from dataclasses import dataclass

from tally.engine.counts import CONDITIONAL_ATTRIBUTES, Histograms
from tally.engine.distribution import Distribution
from tally.engine.explore.addressing import inputs
from tally.engine.explore.context import Context, Source
from tally.engine.explore.refusals import HistogramDisabled, MissingParameter, UnknownAttribute
from tally.engine.rows import BINARY
from tally.errors import InvalidInput

MAX_BINS = 10_000

_FARTHEST = 1e100  # far beyond any value that is learned; bins of larger numbers overflow

_MINIMUM, _MAXIMUM, _BINS = (
    ("hist_min", "hist.min"),
    ("hist_max", "hist.max"),
    ("hist_bins", "hist.bins"),
)


@dataclass(frozen=True, slots=True)
class Density:
    """A histogram of equal bins.

    Attributes:
        name: of the attribute; `target|condition` of one under a condition.
        minimum, maximum: of the first bin and the last.
        width: of one bin.
        histogram: rows in each bin.
        error: why it is empty, or what it lacks; None if it is as asked for.
    """

    name: str
    minimum: float = 0.0
    maximum: float = 0.0
    width: float = 0.0
    histogram: tuple[float, ...] = ()
    error: str | None = None


def density(source: Source, context: Context) -> Density:
    """Return the histogram of the input.

    Each bin is closed below and open above, the last closed on both sides. `hist_bins` says how
    many; `hist_min` and `hist_max`, instead of the extremes, where they begin and end: rows
    beyond are dropped. An unknown attribute is an error inside the answer, not of the call.

    Raises:
        HistogramDisabled: the project counts no values.
        MissingParameter: `hist_bins` is absent.
        InvalidInput: there is not one input; a parameter is no number or out of range.
    """
    counted, bins = _asked(source, context)
    schema = source.summary.schema
    try:
        (i,) = inputs(schema, context, 1)
    except UnknownAttribute as error:
        return Density(context.inputs[0], error=str(error))
    values = counted.distribution(schema.names[i])
    return _binned(schema.names[i], values, values, counted, context, bins)


def conditional_density(source: Source, context: Context) -> Density:
    """Return the histogram of the second input over the rows in which the first is 1.

    The first must be binary. Bins reach over all values of the second, whatever the first is, so
    that histograms under several conditions can be compared.

    Raises:
        HistogramDisabled: the project counts no values.
        MissingParameter: `hist_bins` is absent.
        InvalidInput: there are not two inputs; a parameter is no number or out of range.
    """
    counted, bins = _asked(source, context)
    schema = source.summary.schema
    try:
        condition, target = inputs(schema, context, 2)
    except UnknownAttribute as error:
        return Density(f"{context.inputs[1]}|{context.inputs[0]}", error=str(error))
    name = f"{schema.names[target]}|{schema.names[condition]}"
    if schema.types[condition] != BINARY:
        return Density(name, error=f"condition [{schema.names[condition]}] is not binary")
    if not counted.conditional:
        told = f"values under conditions are counted up to {CONDITIONAL_ATTRIBUTES} attributes"
        return Density(name, error=told)
    values = counted.distribution(schema.names[target], given=schema.names[condition])
    every = counted.distribution(schema.names[target])
    return _binned(name, values, every, counted, context, bins)


def _asked(source: Source, context: Context) -> tuple[Histograms, int]:
    if source.histograms is None:
        raise HistogramDisabled
    bins = context.whole(1, MAX_BINS, *_BINS)
    if bins is None:
        raise MissingParameter(_BINS[0])
    return source.histograms, bins


def _binned(
    name: str,
    values: Distribution,
    every: Distribution,
    counted: Histograms,
    context: Context,
    bins: int,
) -> Density:
    low, high = context.number(*_MINIMUM), context.number(*_MAXIMUM)
    if not every.rows and (low is None or high is None):
        return Density(name, error="no values were counted")
    low = every.minimum if low is None else low
    high = every.maximum if high is None else high
    if max(abs(low), abs(high)) > _FARTHEST:
        raise InvalidInput(_MINIMUM[0], f"bins from {low:g} to {high:g} are too wide")
    if low > high:  # the API's documentation describes them the wrong way round
        low, high = high, low
    width = (high - low) / bins
    histogram = tuple(values.in_bins(low, high, bins).tolist())
    error = "partial histogram" if counted.partial else None
    return Density(name, low, high, width, histogram, error)
