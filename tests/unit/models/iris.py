"""The Iris project of the reference numbers, and fits on it."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tally.engine.rows import Rows
from tally.engine.summary import Summary
from tally.models.attributes import choose
from tally.models.base import Statistics
from tally.models.families import family
from tally.models.fitting import fit
from tally.models.model import Model

Floats = NDArray[np.float64]

TYPES = "C" * 4 + "B" * 11
X4 = ("0", "1", "2", "3")
X3 = ("1", "2", "3")
SETOSA, VERSICOLOR, VIRGINICA = "12", "13", "14"
SPECIES = ("Iris_setosa", "Iris_versicolor", "Iris_virginica")


@cache
def table() -> tuple[tuple[str, ...], Floats]:
    path = Path(__file__).parents[2] / "data" / "iris" / "Iris_rtlm.csv"
    with path.open() as file:
        names, *cells = csv.reader(file)
    return tuple(names), np.array(cells, float)


def summary_of(values: Floats) -> Summary:
    draft = Summary.empty().draft()
    draft.add(Rows(table()[0], TYPES, (None,) * 15, values))
    return draft.done()


def merged(*summaries: Summary) -> Summary:
    draft = summaries[0].draft()
    for summary in summaries[1:]:
        draft.merge(summary)
    return draft.done()


@cache
def plain() -> Statistics:
    """Return Iris as a plain project's statistics."""
    return Statistics(summary_of(table()[1]))


@cache
def partitioned() -> Statistics:
    """Return Iris as a project that is partitioned by species."""
    return partitioned_of(table()[1])


def partitioned_of(values: Floats) -> Statistics:
    parts = {name: summary_of(values[values[:, 12 + k] == 1]) for k, name in enumerate(SPECIES)}
    return Statistics(summary_of(values), parts, "species")


def build(
    algo: str,
    inputs: Sequence[str],
    targets: Sequence[str],
    statistics: Statistics | None = None,
    parameters: Mapping[str, str] | None = None,
    *,
    reduce: bool = False,
    **named: str,
) -> Model:
    line, given = family(algo), statistics or plain()
    # `lambda` is a word of Python.
    every = {**(parameters or {}), **{key.rstrip("_"): value for key, value in named.items()}}
    return fit(line, given, choose(line, given, inputs, targets), every, reduce=reduce)


def columns(rows: Sequence[int] | slice = slice(None)) -> dict[str, Floats]:
    names, values = table()
    return {name: values[rows, k] for k, name in enumerate(names)}


def answers(model: Model, key: str, rows: Sequence[int] | slice = slice(None)) -> Floats:
    chosen = columns(rows)
    found = model.predict(chosen, len(chosen["sepal_length"]))[key]
    return np.asarray(found)
