"""The 150 rows of Iris as the federation's reference numbers have them."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tally.engine.rows import Rows
from tally.engine.summary import Summary

TYPES = "C" * 4 + "B" * 11


@cache
def rows() -> Rows:
    path = Path(__file__).parents[2] / "data" / "iris" / "Iris_rtlm.csv"
    with path.open() as file:
        names, *cells = csv.reader(file)
    return Rows(tuple(names), TYPES, (None,) * 15, np.array(cells, float))


def summary_of(*parts: Rows) -> Summary:
    draft = Summary.empty().draft()
    for part in parts:
        draft.add(part)
    return draft.done()


@cache
def summary() -> Summary:
    return summary_of(rows())


def plain(values: NDArray[np.float64], names: str = "abcdefgh", types: str = "") -> Rows:
    """Return rows (n, p) of attributes with one-letter names, continuous unless `types` says."""
    p = values.shape[1]
    return Rows(tuple(names[:p]), types or "C" * p, (None,) * p, values)
