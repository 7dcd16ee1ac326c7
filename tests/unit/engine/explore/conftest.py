"""A project made of rows, and the Iris project of the reference numbers."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tally.engine.counts import Histograms
from tally.engine.rows import Rows
from tally.engine.summary import Summary

_IRIS = Path(__file__).parents[3] / "data" / "iris" / "Iris_rtlm.csv"


@dataclass(frozen=True)
class Explored:
    """A source with its rows at hand."""

    rows: Rows
    summary: Summary
    histograms: Histograms | None


Make = Callable[..., Explored]


@pytest.fixture
def project() -> Make:
    return make


@pytest.fixture(scope="session")
def iris() -> Explored:
    with _IRIS.open() as file:
        names, *cells = csv.reader(file)
    return make(np.array(cells, float), "C" * 4 + "B" * 11, names)


def make(
    values: NDArray[np.float64],
    types: str,
    names: Sequence[str] | None = None,
    bases: Sequence[str | None] | None = None,
    *,
    counted: bool = True,
) -> Explored:
    names = names or [f"a{k}" for k in range(len(types))]
    rows = Rows(tuple(names), types, tuple(bases or [None] * len(types)), np.array(values, float))
    summary = Summary.empty().draft()
    summary.add(rows)
    histograms = Histograms.empty().draft()
    histograms.add(rows)
    return Explored(rows, summary.done(), histograms.done() if counted else None)
