"""A model: what a fit gives, what is stored, and what predicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tally.engine.cells import category, is_missing, number
from tally.errors import InvalidInput
from tally.models.base import Answers, Attribute, Floats, Rule, Source, Table, Value
from tally.models.filling import Filler

Cells = NDArray[np.float64] | Sequence[str | None]
"""A column of a request: numbers, NaN where missing, or texts, None where missing."""


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A fitted model. Immutable: predicting does not change it.

    Attributes:
        family: that made it.
        targets: names of what it predicts; empty for none, or the partition column's.
        parameters: of the fit, as given.
        rule: what it predicts by.
        filler: its inputs, and what stands in for missing ones.
        rows: the fewest rows behind any number of it.
        learned: rows of the statistics that it was made from.
        sources: the states that those came from; empty if nobody told.
        info: single values for people.
        tables: of coefficients and the like.
        dropped: inputs that play no part, and why.
    """

    family: str
    targets: tuple[str, ...]
    parameters: Mapping[str, str]
    rule: Rule
    filler: Filler
    rows: float
    learned: float
    sources: tuple[Source, ...] = ()
    info: Mapping[str, Value] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)
    dropped: Mapping[str, str] = field(default_factory=dict)

    @property
    def inputs(self) -> tuple[Attribute, ...]:
        """What it predicts from, in its order."""
        return self.filler.known[: self.filler.inputs]

    def predict(
        self, columns: Mapping[str, Cells], rows: int, *, impute: bool = False
    ) -> dict[str, Answers]:
        """Answer rows.

        Columns are found by name, whatever their type; others are ignored. A value of a category
        is read from its own column, or from that of the category. A cell is missing where its
        column is, or where it is no number.

        Args:
            columns: by name, each of `rows` cells.
            rows: how many.
            impute: stand the conditional expectation in for what is missing, not the mean.

        Returns:
            `rule.keys` in order, with one answer for each row.

        Raises:
            InvalidInput: models of this family do not predict, or a column is of another length.
        """
        if not self.rule.keys:
            raise InvalidInput("modelid", f"a model of {self.family} does not predict")
        if impute:
            x = self.filler.expected(matrix(self.filler.known, columns, rows))
        else:
            x = self.filler.means(matrix(self.inputs, columns, rows))
        return self.rule.answer(x)


def matrix(attributes: Sequence[Attribute], columns: Mapping[str, Cells], rows: int) -> Floats:
    """Return the cells (rows, k) of some attributes, NaN where missing, as `predict` finds them.

    Raises:
        InvalidInput: a column is of another length.
    """
    found = np.full((rows, len(attributes)), np.nan)
    for k, attribute in enumerate(attributes):
        base = attribute.base
        if attribute.name in columns:
            name, value = attribute.name, None
        elif base is not None and base in columns:
            name, value = base, attribute.name[len(base) + 1 :]
        else:
            continue
        cells = columns[name]
        if len(cells) != rows:
            raise InvalidInput(name, f"{len(cells)} cells for {rows} rows")
        found[:, k] = _numbers(cells) if value is None else _members(cells, value)
    return found


def _numbers(cells: Cells) -> Floats:
    if isinstance(cells, np.ndarray):
        return np.where(np.isfinite(cells), cells, np.nan)
    return np.array([_number(cell) for cell in cells], float)


def _number(cell: str | None) -> float:
    try:
        return np.nan if cell is None else number(cell)
    except ValueError:
        return np.nan


def _members(cells: Cells, value: str) -> Floats:
    if isinstance(cells, np.ndarray):
        return np.full(len(cells), np.nan)
    return np.array(
        [np.nan if c is None or is_missing(c) else float(category(c) == value) for c in cells]
    )
