"""What one comparison found: two spreads, their ratio, and whether the aim was met."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import msgspec


class Spread(msgspec.Struct, frozen=True):
    """Repeated measurements of one thing.

    Example:
        >>> Spread.of([3.0, 1.0, 2.0, 10.0, 4.0])
        Spread(median=3.0, low=2.0, high=4.0, repeats=5)
    """

    median: float
    low: float
    """First quartile."""
    high: float
    """Third quartile."""
    repeats: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return median and quartiles."""
        low, median, high = (
            statistics.quantiles(values, n=4, method="inclusive")
            if len(values) > 1
            else [values[0]] * 3
        )
        return cls(_rounded(median), _rounded(low), _rounded(high), len(values))

    def __str__(self) -> str:
        return f"{self.median:g} ({self.low:g} to {self.high:g})"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison, measured side by side.

    Attributes:
        name: of the row, for people who look for it in two result files.
        unit: of `ours` and `theirs`.
        ours, theirs: None where there was nothing to measure; `note` says why.
        value, value_unit: what the aim is about: a ratio or a difference of the two.
        aim: in words.
        met: None where the row was not measured, or has no aim.
        note: what limits it, or how to read it.
    """

    name: str
    unit: str
    against: str
    ours: Spread | None = None
    theirs: Spread | None = None
    value: float | None = None
    value_unit: str = "times"
    aim: str = ""
    met: bool | None = None
    note: str = ""

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.name}: not measured, {self.note}"
        verdict = {True: "met", False: "MISSED", None: "no aim"}[self.met]
        told = f"{self.name}: {self.value:g} {self.value_unit} [{self.aim}: {verdict}]"
        for who, spread in (("ours", self.ours), (self.against, self.theirs)):
            if spread is not None:
                told += f"\n    {who}: {spread} {self.unit}"
        return f"{told}\n    {self.note}" if self.note else told


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
