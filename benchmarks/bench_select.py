"""Choosing models: how long a whole search takes, and how many models it fits in a second."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.rows import Row, Spread
from tally.engine.explore import Context
from tally.engine.rows import Rows
from tally.engine.summary import Summary
from tally.models.base import Statistics
from tally.selection.searches import SEARCHES
from tally.selection.select import Selection, check, select

_INPUTS, _LEARNED, _ASKED = 30, 100_000, 1_000
_MATTER = {4: 1.0, 11: -2.0, 17: 1.5}
_TASKS = {"number": "regression", "class": "binary_classification"}
_QUICK = ("selector_type_fw_bw", "selector_type_simple")
_PARAMETERS: Mapping[str, Mapping[str, str]] = {
    "selector_type_iteration": {"selector_max_iterations": "200"}
}
_LEFT_OUT = "selector_type_brute"  # it takes 20 inputs


async def measure(*, quick: bool) -> list[Row]:
    """Return the rows about selection."""
    names = _QUICK if quick else [name for name in SEARCHES if name != _LEFT_OUT]
    asked = _asker()
    return [
        _searched(name, asked(target, name), task, 1 if quick else 3)
        for target, task in _TASKS.items()
        for name in names
    ]


def _searched(name: str, asked: Selection, task: str, repeats: int) -> Row:
    spent, fits = [], 0
    for _ in range(repeats):
        began = time.perf_counter()
        found = select(asked)
        spent.append(time.perf_counter() - began)
        fits = found.fits
    kept = {attribute.name for attribute in found.model.inputs}
    planted = sum(f"x{k}" in kept for k in _MATTER)
    seconds = Spread.of(spent)
    return Row(
        name=f"autoSelect, {name}, {task}, {_INPUTS} attributes",
        unit="s",
        against="",
        ours=seconds,
        value=round(fits / seconds.median),
        value_unit="fits and scores a second",
        aim="for information",
        note=f"{fits} models of {found.model.info['selection_candidates']}; the best has"
        f" {planted} of the {len(_MATTER)} attributes that matter, and {len(kept)} in all.",
    )


def _asker() -> partial[Selection]:
    """Return what checks a question about rows of which three attributes make the target."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(_LEARNED + _ASKED, _INPUTS))
    y = sum((weight * x[:, k] for k, weight in _MATTER.items()), rng.normal(size=len(x)))
    values = np.column_stack([x, y, y > 0])
    names = (*(f"x{k}" for k in range(_INPUTS)), *_TASKS)
    draft = Summary.empty().draft()
    types = "C" * (_INPUTS + 1) + "B"
    draft.add(Rows(names, types, (None,) * len(names), values[:_LEARNED]))
    frame = dict(zip(names, values[_LEARNED:].T.copy(), strict=True))
    return partial(_asked, Statistics(draft.done()), frame)


def _asked(
    statistics: Statistics, frame: Mapping[str, NDArray[np.float64]], target: str, selector: str
) -> Selection:
    parameters = {"selector_type": selector, **_PARAMETERS.get(selector, {})}
    inputs = tuple(f"x{k}" for k in range(_INPUTS))
    return check(statistics, Context(inputs, (target,), parameters), frame, _ASKED)
