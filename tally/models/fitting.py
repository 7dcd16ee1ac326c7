"""One fit: check, reduce, fit, and gather what the model must know of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tally.errors import FitFailed
from tally.models.attributes import Chosen
from tally.models.base import Checkpoint, Problem, Source, Statistics, Value, nothing, settled
from tally.models.families import Family
from tally.models.filling import filler
from tally.models.linalg import independent, told
from tally.models.model import Model
from tally.models.moments import sample
from tally.models.parameters import MOST_INPUTS, Parameters


def check(family: Family, parameters: Mapping[str, str], inputs: int = MOST_INPUTS) -> None:
    """Check the parameters of a fit; needs no statistics.

    Args:
        family: of the model.
        parameters: texts by name.
        inputs: that it has, at most.

    Raises:
        InvalidInput: one of them cannot be used; names it and its value.
    """
    family.fitter.read(Parameters(parameters, inputs))


def fit(
    family: Family,
    statistics: Statistics,
    chosen: Chosen,
    parameters: Mapping[str, str],
    *,
    reduce: bool = False,
    sources: Sequence[Source] = (),
    checkpoint: Checkpoint = nothing,
) -> Model:
    """Make a model. The same arguments make a model with the same bytes.

    Args:
        family: of the model.
        statistics: to make it from.
        chosen: its inputs and targets.
        parameters: texts by name; those that the family does not know are kept as notes.
        reduce: leave out inputs that those before them determine.
        sources: what the statistics came from, to be kept with the model.
        checkpoint: called between the steps of a fit that takes many; what it raises ends it.

    Raises:
        InvalidInput: a parameter cannot be used.
        FitFailed: the statistics do not allow such a model; says why, and what would help.

    Example:
        >>> import numpy as np
        >>> from tally.engine.rows import Rows
        >>> from tally.engine.summary import Summary
        >>> from tally.models.families import family
        >>> draft = Summary.empty().draft()
        >>> draft.add(Rows(("x", "y"), "CC", (None, None), np.array(
        ...     [[0.0, 1.0], [1.0, 3.0], [2.0, 5.0], [3.0, 7.0]])))
        >>> model = fit(family("mlr"), Statistics(draft.done()), Chosen((0,), (1,)), {})
        >>> model.predict({"x": np.array([4.0])}, 1)["res"].round(9)
        array([9.])
    """
    read = Parameters(parameters)
    fitter = family.fitter.read(read)
    summary = statistics.summary
    inputs = chosen.inputs
    dropped: dict[str, str] = {}
    if reduce:
        inputs, dropped = _reduced(statistics, inputs)
        checkpoint()
    outcome = fitter.fit(Problem(statistics, inputs, chosen.targets, checkpoint))
    checkpoint()
    names = summary.schema.names
    unread = {key: value for key, value in parameters.items() if key not in read.used}
    info: dict[str, Value] = {**unread, **read.used, **outcome.info}
    for place, (name, reason) in enumerate({**dropped, **outcome.dropped}.items()):
        info[f"dropped_{place}"] = f"{name}: {reason}"
    targets = tuple(names[i] for i in chosen.targets)
    if not targets and statistics.partition_column is not None and outcome.rule.keys:
        targets = (statistics.partition_column,)
    return Model(
        family.name,
        targets,
        dict(parameters),
        settled(outcome.rule),
        filler(summary, inputs, chosen.targets),
        outcome.rows,
        float(summary.counts().max()),
        tuple(sources),
        info,
        outcome.tables,
        {**dropped, **outcome.dropped},
    )


def _reduced(
    statistics: Statistics, inputs: tuple[int, ...]
) -> tuple[tuple[int, ...], dict[str, str]]:
    """Return the inputs that those before them do not determine, and why the others do not stay."""
    every = sample(statistics.summary, inputs)
    dropped = {
        name: "constant"
        for name, varies in zip(every.names, every.varies, strict=True)
        if not varies
    }
    places = [k for k, varies in enumerate(every.varies) if varies]
    if not places:
        raise FitFailed("no input varies: learn rows in which they differ")
    varying = every.of(places)
    kept, explained = independent(varying.correlation)
    for row, weights in explained.items():
        scale = varying.scale
        words = told(varying.names, scale, weights * scale[row])
        dropped[varying.names[row]] = f"linear combination of {words}"
    return tuple(inputs[places[k]] for k in kept), dropped
