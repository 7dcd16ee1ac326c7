"""Selecting a model: what is asked for is checked first, and searched then."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from tally.engine.explore import Context
from tally.engine.rows import BINARY
from tally.errors import FitFailed, InvalidInput
from tally.models import fitting
from tally.models.attributes import Chosen, choose, expanded
from tally.models.base import (
    Checkpoint,
    OutOfTime,
    Progress,
    Source,
    Statistics,
    Value,
    nothing,
    untold,
)
from tally.models.families import FAMILIES, family
from tally.models.model import Cells, Model
from tally.models.parameters import Parameters
from tally.selection.candidates import AUTOMATIC, Candidate, candidates, check_family, tasks
from tally.selection.grids import GRIDS
from tally.selection.metrics import METRICS, Metric, Task, names
from tally.selection.scoring import Scorer
from tally.selection.searches import SEARCHES
from tally.selection.searches.base import Search
from tally.selection.validation import Validation, validation

DEFAULT_SEED = 0
"""Of the chance in a search, unless `rnd_seed` says otherwise: the same question has one answer."""

_TASKS: Mapping[str, Task] = {
    "regression": Task.REGRESSION,
    "binary_classification": Task.BINARY,
    "binary_classifier": Task.BINARY,
    "multiclass_classification": Task.MULTICLASS,
    "multiclass_classifier": Task.MULTICLASS,
}
_MOST_THREADS = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """What is asked for, checked against the statistics of a project.

    Attributes:
        statistics: that models are made of.
        chosen: the inputs that may be taken, and the targets.
        candidates: what is tried on each set of inputs.
        metric, validation: what tells how good a model is.
        selector, search: how sets are found.
        seed: of its chance.
    """

    statistics: Statistics
    chosen: Chosen
    candidates: tuple[Candidate, ...]
    metric: Metric
    validation: Validation
    selector: str
    search: Search
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class Selected:
    """What a search came to.

    Attributes:
        model: the best.
        chosen: its inputs and targets.
        parameters: with which a build makes it again.
        value: of the metric.
        fits: models that were made to find it.
    """

    model: Model
    chosen: Chosen
    parameters: Mapping[str, str]
    value: float
    fits: int


def check(
    statistics: Statistics,
    asked: Context,
    columns: Mapping[str, Cells],
    rows: int,
    *,
    algo: str = "",
    task: str = "",
) -> Selection:
    """Return what is asked for.

    Args:
        statistics: to make models of.
        asked: attributes and parameters.
        columns, rows: that tell how good a model is.
        algo: the only family that is tried; empty for all of the task.
        task: what models are for; empty: what the targets let expect.

    Raises:
        InvalidInput: something cannot be used; names it and its value.
    """
    asked = _completed(statistics, asked)
    only = family(algo).name if algo else ""
    wanted = _task(statistics, asked, only, task)
    given = Parameters(asked.params)
    grid = GRIDS[given.choice("autoselect_grid_type", next(iter(GRIDS)), tuple(GRIDS))]
    metrics = names(wanted)
    metric = METRICS[given.choice("sml_model_assessment_type", metrics[0], metrics)]
    selector = given.choice("selector_type", next(iter(SEARCHES)), tuple(SEARCHES))
    # Checked, not used: a fit holds the interpreter's lock most of the time.
    given.whole("autoselect_thread_pool_size", 8, 1, _MOST_THREADS)
    seed = given.whole("rnd_seed", DEFAULT_SEED, 0, 2**63 - 1)
    families, chosen = _usable([only] if only else AUTOMATIC[wanted], statistics, asked)
    return Selection(
        statistics,
        chosen,
        candidates(families, grid, asked.params, len(chosen.inputs)),
        metric,
        validation(metric, statistics, chosen, columns, rows),
        selector,
        SEARCHES[selector].read(given, len(chosen.inputs)),
        seed,
    )


def select(
    asked: Selection,
    *,
    sources: Sequence[Source] = (),
    checkpoint: Checkpoint = nothing,
    progress: Progress = untold,
    spent_s: Callable[[], float] = lambda: 0.0,
) -> Selected:
    """Return the best model that a search finds.

    Of equal ones that with fewer inputs wins, then that of the earlier candidate, then that which
    was found first. What cannot be fitted is skipped. Where the time is over before the search
    is, it is the best so far, with a warning in its `info`.

    Args:
        asked: what to search.
        sources: what the statistics came from, to be kept with the model.
        checkpoint: called before each fit; what it raises ends the search.
        progress: told after each set of inputs.
        spent_s: tells for how many seconds the search has gone on.

    Raises:
        FitFailed: no candidate could be fitted to any set that was tried; says why.
        OutOfTime: none was, as a checkpoint raised it first.
    """
    inputs = len(asked.chosen.inputs)
    scorer = Scorer(
        asked.statistics,
        asked.chosen,
        asked.candidates,
        asked.metric,
        asked.validation,
        checkpoint,
        progress,
        asked.search.most(inputs),
    )
    cut = ""
    try:
        asked.search.run(scorer, inputs, np.random.default_rng(asked.seed), spent_s)
    except OutOfTime as error:
        if scorer.best is None:
            raise
        cut = f"the search was cut short after {scorer.subsets} sets of inputs: {error}"
    best = scorer.best
    if best is None:
        told = "; ".join(f"{name}: {reason}" for name, reason in scorer.reasons.items())
        raise FitFailed(f"no candidate could be fitted: {told}")
    candidate = asked.candidates[best.candidate]
    chosen = Chosen(tuple(asked.chosen.inputs[k] for k in best.subset), asked.chosen.targets)
    model = fitting.fit(
        candidate.family,
        asked.statistics,
        chosen,
        candidate.parameters,
        sources=sources,
        checkpoint=_after_all(checkpoint),
    )
    tried: dict[str, Value] = {
        "selection_metric": asked.metric.name,
        "selection_score": best.value,
        "selection_rows": len(asked.validation.truth),
        "selection_selector": asked.selector,
        "selection_seed": asked.seed,
        "selection_candidates": _told(asked.candidates),
        "selection_subsets": scorer.subsets,
        "selection_fits": scorer.fits,
        "selection_failed": scorer.failed,
    }
    for name, reason in scorer.reasons.items():
        tried[f"selection_failed_{name}"] = reason
    if cut:
        warnings = (str(model.info["warning"]),) if "warning" in model.info else ()
        tried["warning"] = "; ".join((cut, *warnings))
    return Selected(
        replace(model, info={**model.info, **tried}),
        chosen,
        candidate.parameters,
        best.value,
        scorer.fits,
    )


def _after_all(checkpoint: Checkpoint) -> Checkpoint:
    """Return a checkpoint that lets one fit more pass, which was made once within the time."""

    def go_on() -> None:
        with suppress(OutOfTime):
            checkpoint()

    return go_on


def _told(every: Sequence[Candidate]) -> str:
    """Return the families that were tried, and with how many points of the grid each."""
    counts: dict[str, int] = {}
    for one in every:
        counts[one.family.name] = counts.get(one.family.name, 0) + 1
    return ", ".join(name if n == 1 else f"{name} {n}" for name, n in counts.items())


def _task(statistics: Statistics, asked: Context, algo: str, task: str) -> Task:
    """Return what models are chosen for."""
    named = _TASKS.get(task.strip().lower())
    if task and named is None:
        raise InvalidInput("task", f"[{task[:40]}] is unknown; there are {', '.join(_TASKS)}")
    if not algo:
        return named or _implied(statistics, asked)
    line = FAMILIES[algo]
    return check_family(line, _implied(statistics, asked) if len(tasks(line)) > 1 else None)


def _completed(statistics: Statistics, asked: Context) -> Context:
    """Return a question that names its inputs: all that is no target, unless it says so itself.

    The other values of a target's category tell the target, and are left out.
    """
    if asked.inputs:
        return asked
    schema = statistics.summary.schema
    targets = expanded(schema, asked.targets, asked.targets_are_names)
    bases = {schema.bases[i] for i in targets} - {None}
    names = (
        name
        for i, name in enumerate(schema.names)
        if i not in targets and schema.bases[i] not in bases
    )
    return replace(asked, inputs=tuple(names), inputs_are_names=True)


def _implied(statistics: Statistics, asked: Context) -> Task:
    """Return the task that the targets let expect."""
    column, targets = statistics.partition_column, list(asked.targets)
    if column is not None and (not targets or targets == [column]):
        return Task.MULTICLASS
    schema = statistics.summary.schema
    found = expanded(schema, targets, asked.targets_are_names)
    if not found:
        raise InvalidInput("targets", "they are missing: a model is chosen to predict something")
    if len(found) > 1:
        return Task.MULTICLASS
    return Task.BINARY if schema.types[found[0]] == BINARY else Task.REGRESSION


def _usable(
    families: Sequence[str], statistics: Statistics, asked: Context
) -> tuple[list[str], Chosen]:
    """Return the families that these targets suit, and the attributes.

    Raises:
        InvalidInput: they suit none.
    """
    found: list[str] = []
    chosen: Chosen | None = None
    refused: InvalidInput | None = None
    for name in families:
        try:
            chosen = choose(
                FAMILIES[name],
                statistics,
                asked.inputs,
                asked.targets,
                inputs_are_names=asked.inputs_are_names,
                targets_are_names=asked.targets_are_names,
            )
        except InvalidInput as error:
            refused = refused or error
        else:
            found.append(name)
    if chosen is None:
        assert refused is not None
        raise refused
    return found, chosen
