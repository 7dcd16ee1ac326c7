"""Questions about 100 and 1000 attributes, against numpy over the rows that were learned."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.rows import Row, Spread
from tally.engine.counts import Histograms
from tally.engine.explore import (
    Context,
    conditional_density,
    density,
    drift,
    explore,
    principal_components,
    singular_values,
    singular_values_of_subset,
    variance_inflation,
)
from tally.engine.rows import Rows
from tally.engine.summary import Summary

_ROWS = 20_000
_CHUNK = 5_000
_AGAINST = "numpy and scipy over the rows in memory"
_NOTE = f"{_ROWS} rows; ours does not depend on their number, theirs grows with it."

Matrix = NDArray[np.float64]
Question = tuple[str, Callable[[], object], Callable[[], object] | None]


@dataclass(frozen=True, slots=True)
class _Project:
    summary: Summary
    histograms: Histograms | None


async def measure(*, quick: bool) -> list[Row]:
    """Return the rows about exploration."""
    found = []
    for d in (100, 1000):
        rows = _made(d, _CHUNK if quick else _ROWS)
        project, counting, summing = _learned(rows, d)
        found.append(
            Row(
                name=f"count the values of {_CHUNK} rows, {d} attributes",
                unit="s",
                against="the sums of the same rows",
                ours=Spread.of(counting),
                theirs=Spread.of(summing),
                value=_ratio(counting, summing),
                value_unit="times its time",
                aim="for information",
                note="Half of the attributes continuous with as many values as rows, the worst "
                "case; with 100, also under each of 50 conditions.",
            )
        )
        for name, ours, theirs in _questions(project, rows, d):
            found.append(_row(f"{name}, {d} attributes", ours, theirs, 3 if quick else 9))
    return found


def _made(d: int, n: int) -> Matrix:
    """Return correlated rows, the second half of whose columns is binary."""
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(n, 10)) @ rng.normal(size=(10, d)) + rng.normal(size=(n, d))
    rows[:, d // 2 :] = rows[:, d // 2 :] > 0
    return np.asarray(rows, np.float64)


def _learned(rows: Matrix, d: int) -> tuple[_Project, list[float], list[float]]:
    """Return the project, and the seconds that counting and summing took for each chunk."""
    names, types = tuple(f"a{k}" for k in range(d)), "C" * (d // 2) + "B" * (d - d // 2)
    summary, histograms = Summary.empty().draft(), Histograms.empty().draft()
    counting, summing = [], []
    for start in range(0, len(rows), _CHUNK):
        batch = Rows(names, types, (None,) * d, rows[start : start + _CHUNK])
        summing.append(_seconds(partial(summary.add, batch)))
        counting.append(_seconds(partial(histograms.add, batch)))
    return _Project(summary.done(), histograms.done()), counting, summing


def _questions(project: _Project, rows: Matrix, d: int) -> list[Question]:
    half = d // 2
    one, pair = Context(("0",)), Context(("0", "1"))
    binary = tuple(str(k) for k in range(half, d))
    bins = {"hist_bins": "20"}
    every = Context()
    ones = rows[:, half:]
    questions: list[Question] = [
        ("uni", lambda: explore(project, "uni", one), lambda: _described(rows[:, 0])),
        ("bi", lambda: explore(project, "bi", pair), lambda: np.cov(rows[:, :2].T, bias=True)),
        (
            f"chi2 of {half} by {half}",
            lambda: explore(project, "chi2", Context(binary, binary)),
            lambda: stats.chi2_contingency(ones.T @ ones, correction=False),
        ),
        ("vif", lambda: variance_inflation(project, every), lambda: np.linalg.inv(_r(rows))),
        ("pca", lambda: principal_components(project, every), lambda: np.linalg.eigh(_r(rows))),
        (
            "svd",
            lambda: singular_values(project, every),
            lambda: np.linalg.svd(np.cov(rows.T, bias=True), compute_uv=False),
        ),
        ("svdfs", lambda: singular_values_of_subset(project, every), None),
        (
            "drift by pca",
            lambda: drift(project.summary, project.summary, "pca_reconstruction_error"),
            None,
        ),
        (
            "density",
            lambda: density(project, Context(("0",), params=bins)),
            lambda: np.histogram(rows[:, 0], 20),
        ),
    ]
    if project.histograms is not None and project.histograms.conditional:
        given = Context((str(half), "0"), params=bins)
        picked = (
            "conditional density",
            lambda: conditional_density(project, given),
            lambda: np.histogram(rows[rows[:, half] == 1, 0], 20),
        )
        questions.append(picked)
    return questions


def _described(x: Matrix) -> tuple[object, ...]:
    moments = x.mean(), x.var(), stats.skew(x), stats.kurtosis(x)
    return *moments, x.min(), x.max(), np.median(x)


def _r(rows: Matrix) -> Matrix:
    return np.asarray(np.corrcoef(rows.T))


def _row(
    name: str, ours: Callable[[], object], theirs: Callable[[], object] | None, repeats: int
) -> Row:
    mine: list[float] = []
    other: list[float] = []
    for _ in range(repeats):
        # In turn, so that whatever else the machine does meets both.
        mine.append(_seconds(ours))
        if theirs is not None:
            other.append(_seconds(theirs))
    if not other:
        latency = Spread.of(mine)
        return Row(
            name=name,
            unit="s",
            against="",
            ours=latency,
            value=float(f"{latency.median * 1e3:.3g}"),
            value_unit="ms",
            aim="for information",
        )
    return Row(
        name=name,
        unit="s",
        against=_AGAINST,
        ours=Spread.of(mine),
        theirs=Spread.of(other),
        value=_ratio(other, mine),
        value_unit="times as fast",
        aim="for information",
        note=_NOTE,
    )


def _ratio(above: list[float], below: list[float]) -> float:
    return float(f"{float(np.median(above)) / float(np.median(below)):.3g}")


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
