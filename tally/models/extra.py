"""What a model tells of itself as tables, each under the names that clients look for."""

from __future__ import annotations

import numpy as np

from tally.models.base import Table
from tally.models.linear import Linear
from tally.models.model import Model
from tally.models.sized import Sized

JOINED = "coefficients"


def extra(model: Model) -> dict[str, Table]:
    """Return the tables of a model.

    Beside its own tables, each column of the coefficients is one too, and so is each number of
    its information, and the mean of a regression's target.
    """
    found: dict[str, Table] = dict(model.tables)
    for name, column in model.tables.get(JOINED, {}).items():
        found.setdefault(name, {name: column})
    if isinstance(model.rule, Linear | Sized):  # which go through the means
        name = f"mean_{model.targets[0]}"
        found[name] = {name: np.array([model.rule.level])}
    for name, value in model.info.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            found.setdefault(name, {name: np.array([float(value)])})
    return found
