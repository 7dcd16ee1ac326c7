"""How numbers are held against those that the reference prints for the Iris data.

Relative to 1e-9 (1e-12 absolute near 0); p-values to 1e-6.
"""

from __future__ import annotations

from typing import Protocol

import pytest

from tally.engine.counts import Histograms
from tally.engine.explore import Context
from tally.engine.rows import Rows
from tally.engine.summary import Summary

PROBABILITIES = {"zp", "tp", "tpu", "fp", "P", "pval"}


class Source(Protocol):
    @property
    def rows(self) -> Rows: ...
    @property
    def summary(self) -> Summary: ...
    @property
    def histograms(self) -> Histograms | None: ...


def near(value: float) -> object:
    return pytest.approx(value, rel=1e-9, abs=1e-12)


def near_all(values: list[float]) -> object:
    return pytest.approx(values, rel=1e-9, abs=1e-12)


def assert_values(found: dict[str, float], **expected: float) -> None:
    for key, value in expected.items():
        if key in PROBABILITIES:
            assert found[key] == pytest.approx(value, rel=1e-6, abs=0), key
        else:
            assert found[key] == near(value), key


def asked(*inputs: int, targets: tuple[int, ...] = (), **params: str) -> Context:
    return Context(tuple(map(str, inputs)), tuple(map(str, targets)), params)


def upto(last: int) -> Context:
    return asked(*range(last + 1))
