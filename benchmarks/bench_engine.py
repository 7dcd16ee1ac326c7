"""The engine alone: all sums of a project, against one product of the same rows."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from benchmarks.rows import Row, Spread
from tally.engine.rows import Rows
from tally.engine.summary import Summary
from tally.engine.sums import Floats

_WIDTHS = (15, 100, 1000)
_CHUNK_ROWS = 4096
_MISSING = 0.05
_PRODUCT = "BLAS X'X, numpy"
_RIVER = "River, EmpiricalCovariance.update_many"
_MOST = {"complete": 4.0, "cells missing at random": 9.0}
_SIZES = {100: 160e3, 1000: 16e6}
_MOST_MEMORY = 3.0


async def measure(*, quick: bool) -> list[Row]:
    """Return the rows about learning in memory."""
    rows = []
    for width in _WIDTHS:
        values = np.random.default_rng(1).normal(5, 2, size=(_CHUNK_ROWS, width))
        repeats = {15: 1000, 100: 100, 1000: 15}[width] // (5 if quick else 1)
        for kind in _MOST:
            rows.append(_update(width, kind, _with_missing(values, kind), repeats))
        rows.append(_river(width, values, max(3, repeats // 20)))
    return [*rows, *(_memory(width, size) for width, size in _SIZES.items())]


def _with_missing(values: Floats, kind: str) -> Floats:
    if kind == "complete":
        return values
    missing = np.random.default_rng(2).random(values.shape) < _MISSING
    return np.where(missing, np.nan, values)


def _update(width: int, kind: str, values: Floats, repeats: int) -> Row:
    chunk, present = _rows(values), np.nan_to_num(values)
    known = _learned(Summary.empty(), chunk)
    _learned(known, chunk)  # the first time, memory is fetched
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(repeats):
        # In turn, so that whatever else the machine does meets both.
        ours.append(_seconds(lambda: _learned(known, chunk)))
        theirs.append(_seconds(lambda: present.T @ present))
    most = _MOST[kind]
    ratio = float(f"{np.median(ours) / np.median(theirs):.3g}")
    return Row(
        name=f"engine update, {width} columns, {kind}",
        unit="s",
        against=_PRODUCT,
        ours=Spread.of(ours),
        theirs=Spread.of(theirs),
        value=ratio,
        value_unit="times its time",
        aim=f"at most {most:g} times",
        met=ratio <= most,
        note=f"From one snapshot to the next, {_CHUNK_ROWS} rows; the copy of the sums included.",
    )


def _river(width: int, values: Floats, repeats: int) -> Row:
    name = f"engine update, {width} columns, against River"
    try:
        covariance: Any = import_module("river.covariance")
        pandas: Any = import_module("pandas")
    except ModuleNotFoundError as error:
        return Row(name=name, unit="s", against=_RIVER, note=f"{error.name} is not installed")
    chunk = _rows(values)
    frame = pandas.DataFrame(values, columns=list(chunk.names))
    known = _learned(Summary.empty(), chunk)
    other = covariance.EmpiricalCovariance()
    other.update_many(frame)
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(repeats):
        ours.append(_seconds(lambda: _learned(known, chunk)))
        theirs.append(_seconds(lambda: other.update_many(frame)))
    ratio = float(f"{np.median(theirs) / np.median(ours):.3g}")
    return Row(
        name=name,
        unit="s",
        against=_RIVER,
        ours=Spread.of(ours),
        theirs=Spread.of(theirs),
        value=ratio,
        value_unit="times as fast",
        aim="for information",
        note="River keeps means and covariances; ours also third and fourth powers by pairs.",
    )


def _memory(width: int, size: float) -> Row:
    """Compare the most memory that a change takes with the size of the sums."""
    chunk = _rows(np.random.default_rng(1).normal(5, 2, size=(_CHUNK_ROWS, width)))
    _learned(Summary.empty(), chunk)  # what is made once and kept does not count
    tracemalloc.start()
    summary = _learned(Summary.empty(), chunk)
    tracemalloc.reset_peak()
    known = _learned(summary, chunk)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    ratio = float(f"{peak / size:.3g}")
    return Row(
        name=f"memory of a project during a change, {width} columns",
        unit="bytes",
        against="16 d^2 bytes",
        ours=Spread.of([float(peak)]),
        theirs=Spread.of([size]),
        value=ratio,
        value_unit="times its size",
        aim=f"at most {_MOST_MEMORY:g} times",
        met=ratio <= _MOST_MEMORY,
        note=f"At rest {known.size_bytes} bytes; the snapshot before, the one after and the work.",
    )


def _learned(summary: Summary, rows: Rows) -> Summary:
    draft = summary.draft()
    draft.add(rows)
    return draft.done()


def _rows(values: Floats) -> Rows:
    width = values.shape[1]
    return Rows(tuple(f"x{k}" for k in range(width)), "C" * width, (None,) * width, values)


def _seconds(call: Callable[[], object]) -> float:
    # Of the processor, in this one thread: what other processes take counts for neither side.
    started = time.thread_time()
    call()
    return time.thread_time() - started
