"""Data sets that scikit-learn and statsmodels ship, and the statistics that we learn from them."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tally.engine.rows import Rows
from tally.engine.summary import Summary
from tally.models.attributes import choose
from tally.models.base import Statistics
from tally.models.families import family
from tally.models.fitting import fit
from tally.models.model import Model

Floats = NDArray[np.float64]

_PARTS = 3  # learned apart and merged, as from as many sites


def library(name: str) -> Any:
    """Return a module; skip with the line that installs it, or fail where it must be there."""
    package = {"sklearn": "scikit-learn"}.get(top := name.partition(".")[0], top)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        reason = f"{package} is not installed: pip install {package}"
        if os.environ.get("TALLY_REQUIRE_EXTRAS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Rows: inputs, and what is to be told from them.

    Attributes:
        names: of the inputs.
        x: (n, p).
        y: (n,); numbers, or the codes of classes.
        classes: how many; 0: `y` is a number.
    """

    names: tuple[str, ...]
    x: Floats
    y: Floats
    classes: int = 0

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes, each a binary attribute."""
        return tuple(f"is{k}" for k in range(self.classes))

    def statistics(self) -> Statistics:
        """Return what is kept of the rows; the classes are partitions as well."""
        whole = _learned(self, slice(None))
        parts = {label: _learned(self, self.y == k) for k, label in enumerate(self.labels)}
        return Statistics(whole, parts, "class" if parts else None)

    def build(
        self, algo: str, targets: Sequence[str] = ("y",), /, **parameters: str
    ) -> tuple[Model, Callable[[str], Any]]:
        """Return a model of all inputs, and what gives its answers to the rows that it learned."""
        line, statistics = family(algo), self.statistics()
        given = {key.rstrip("_"): value for key, value in parameters.items()}
        chosen = choose(
            line, statistics, self.names, targets, inputs_are_names=True, targets_are_names=True
        )
        model = fit(line, statistics, chosen, given)
        columns = dict(zip(self.names, self.x.T, strict=True))
        return model, lambda key: model.predict(columns, len(self.x))[key]


def coefficients(model: Model) -> tuple[Floats, float]:
    """Return a linear model's weights and its intercept."""
    found = np.asarray(model.tables["coefficients"]["coefficient"], float)
    return found[:-1], float(found[-1])


def _learned(table: Table, rows: slice | NDArray[np.bool_]) -> Summary:
    ones = [(table.y == k).astype(float) for k in range(table.classes)]
    values = np.column_stack([table.x, table.y, *ones])[rows]
    names = (*table.names, "y", *table.labels)
    types = "C" * (len(table.names) + 1) + "B" * table.classes
    draft = Summary.empty().draft()
    for k in range(_PARTS):
        part = Summary.empty().draft()
        part.add(Rows(names, types, (None,) * len(names), values[k::_PARTS]))
        draft.merge(part.done())
    return draft.done()


@cache
def shipped(name: str) -> Table:
    """Return a data set of scikit-learn, or of statsmodels if its name has a dot before it."""
    return _statsmodels(name[1:]) if name.startswith(".") else _sklearn(name)


def _sklearn(name: str) -> Table:
    data = getattr(library("sklearn.datasets"), f"load_{name}")()
    classes = len(getattr(data, "target_names", ())) if name != "diabetes" else 0
    names = tuple(str(one) for one in data.feature_names)
    return Table(names, np.asarray(data.data, float), np.asarray(data.target, float), classes)


def _statsmodels(name: str) -> Table:
    data: Mapping[str, Any] = library(f"statsmodels.datasets.{name}").load_pandas()
    exog, endog = data["exog"], data["endog"]
    return Table(tuple(exog.columns), np.asarray(exog, float), np.asarray(endog, float))
