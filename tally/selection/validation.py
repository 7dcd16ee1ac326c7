"""The rows that tell how good a model is: they are asked of models, and never learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tally.engine.cells import category, number_text
from tally.errors import FitFailed, InvalidInput
from tally.models.attributes import Chosen
from tally.models.base import Attribute, Floats, Problem, Statistics
from tally.models.classes import label
from tally.models.model import Cells, matrix
from tally.models.moments import sample
from tally.selection.metrics import Column, Metric, Task, check_truth, unit


@dataclass(frozen=True, slots=True, eq=False)
class Validation:
    """Rows of which the truth is known.

    Attributes:
        x: (n, p) the inputs, in their order; what is missing is the mean of what was learned.
        truth: (n,) numbers, 0 and 1, or labels.
        unit: the size of a difference of the metric that means something.
    """

    x: Floats
    truth: Column
    unit: float


def validation(
    metric: Metric,
    statistics: Statistics,
    chosen: Chosen,
    columns: Mapping[str, Cells],
    rows: int,
) -> Validation:
    """Return the rows that have a truth.

    Args:
        metric: that will be taken.
        statistics, chosen: of the fits.
        columns: by name, each of `rows` cells, found as for predictions.
        rows: how many.

    Raises:
        InvalidInput: the inputs or the target are not there, or they cannot tell models apart.
    """
    known = _attributes(statistics, chosen.inputs)
    if not any(one.name in columns or one.base in columns for one in known):
        raise InvalidInput("dataframe", f"it has none of the inputs, such as [{known[0].name}]")
    truth, there, target = _truth(metric.task, statistics, chosen, columns, rows)
    check_truth(metric, truth, target)
    x = matrix(known, columns, rows)[there]
    return Validation(
        np.where(np.isnan(x), _means(statistics, chosen), x), truth, unit(metric, truth)
    )


def _truth(
    task: Task,
    statistics: Statistics,
    chosen: Chosen,
    columns: Mapping[str, Cells],
    rows: int,
) -> tuple[Column, Column, str]:
    """Return the truth of the rows that have one, which rows those are, and what it is called."""
    if not chosen.targets:
        return _partition(statistics.partition_column or "", columns)
    targets = _attributes(statistics, chosen.targets)
    for one in targets:
        if one.name not in columns and one.base not in columns:
            raise InvalidInput("dataframe", f"it has no column of the target [{one.name}]")
    y = matrix(targets, columns, rows)
    if task is not Task.MULTICLASS:
        there = ~np.isnan(y[:, 0])
        return y[there, 0], there, targets[0].name
    # A row is of one class: another one has no truth that a model could tell.
    there = (np.isin(y, (0, 1)).all(axis=1)) & (y.sum(axis=1) == 1)
    problem = Problem(statistics, chosen.inputs, chosen.targets)
    labels = np.array([label(problem, i) for i in chosen.targets])
    return labels[y[there].argmax(axis=1)], there, ", ".join(one.name for one in targets)


def _partition(column: str, columns: Mapping[str, Cells]) -> tuple[Column, Column, str]:
    if column not in columns:
        raise InvalidInput("dataframe", f"it has no column of the target [{column}]")
    cells = columns[column]
    if isinstance(cells, np.ndarray):
        texts = [None if np.isnan(cell) else number_text(float(cell)) for cell in cells]
    else:
        texts = [None if cell is None else category(cell) for cell in cells]
    there = np.array([bool(text) for text in texts], bool)
    return np.array([text for text in texts if text]), there, column


def _attributes(statistics: Statistics, indexes: tuple[int, ...]) -> tuple[Attribute, ...]:
    schema = statistics.summary.schema
    return tuple(Attribute(schema.names[i], i, schema.types[i], schema.bases[i]) for i in indexes)


def _means(statistics: Statistics, chosen: Chosen) -> Floats:
    """Return the mean of each input (p,), as models have it; NaN where it was never learned."""
    found = np.full(len(chosen.inputs), np.nan)
    for place, i in enumerate(chosen.inputs):
        try:
            found[place] = sample(statistics.summary, [i]).mean[0]
        except FitFailed:  # no candidate can be fitted with it either
            continue
    return found
