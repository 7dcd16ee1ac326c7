"""Projects whose target depends on a few of many inputs, and rows to choose models on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tally.engine.explore import Context
from tally.engine.rows import Rows
from tally.engine.summary import Summary
from tally.models.base import Statistics
from tally.selection.select import Selection, check

Floats = NDArray[np.float64]
INPUTS = tuple(f"x{k}" for k in range(30))
MATTER = (4, 11, 17)
NUMBER, CLASS = "y", "b"
NAMES = (*INPUTS, NUMBER, CLASS)
_LEARNED = 400


@cache
def table(noise: float = 0.0) -> Floats:
    """Return rows of 30 inputs of which 3 make the number exactly, and the class."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(600, len(INPUTS)))
    y = x[:, 4] - 2 * x[:, 11] + 1.5 * x[:, 17] + noise * rng.normal(size=600)
    return np.column_stack([x, y, y > 0])


@cache
def learned(noise: float = 0.0) -> Statistics:
    draft = Summary.empty().draft()
    types = "C" * (len(INPUTS) + 1) + "B"
    draft.add(Rows(NAMES, types, (None,) * len(NAMES), table(noise)[:_LEARNED]))
    return Statistics(draft.done())


def columns(noise: float = 0.0) -> dict[str, Floats]:
    """Return rows that were not learned."""
    rows = table(noise)[_LEARNED:]
    return {name: rows[:, k] for k, name in enumerate(NAMES)}


def asked(
    target: str = NUMBER,
    inputs: Sequence[str] = INPUTS,
    *,
    noise: float = 0.0,
    frame: dict[str, Any] | None = None,
    algo: str = "",
    task: str = "",
    given: Mapping[str, str] | None = None,
    **parameters: str,
) -> Selection:
    """Return what is asked, checked."""
    cells = columns(noise) if frame is None else frame
    rows = len(next(iter(cells.values())))
    every = {**(given or {}), **parameters}
    context = Context(tuple(inputs), (target,) if target else (), every)
    return check(learned(noise), context, cells, rows, algo=algo, task=task)
