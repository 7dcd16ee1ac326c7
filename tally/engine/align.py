"""Rows brought into the order of a schema, with what they leave unsaid about categories."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tally.engine import blas
from tally.engine.rows import BINARY, Rows
from tally.engine.schema import Indexes, Schema
from tally.engine.sums import Floats
from tally.errors import InvalidInput

LARGEST = 1e70
"""Fourth powers of larger numbers, summed, are no floats any more."""


@dataclass(frozen=True, slots=True)
class Aligned:
    """Rows in the order of `schema`, which knows all their attributes.

    Attributes:
        places: (k,) the attribute of each column, ascending.
        values: (n, k), NaN where missing.
        complete: whether nothing is missing.
    """

    schema: Schema
    places: Indexes
    values: Floats
    complete: bool


def align(rows: Rows, schema: Schema) -> Aligned:
    """Return rows in the order of the schema and of what they add to it.

    Where a row has a value of a category, it is 0 for those values of the category that the rows
    do not name.

    Raises:
        InvalidInput: a number is too large, is not 0 or 1 for an attribute that is binary here, or
            a name is known as something else.

    Example:
        >>> schema = Schema(("a$u", "a$v"), "BB", ("a", "a"), (0, 0))
        >>> align(Rows(("a$v",), "B", ("a",), np.array([[1.0], [np.nan]])), schema).values
        array([[ 0.,  1.],
               [nan, nan]])
    """
    values = rows.values
    complete = _complete(rows)
    if (rows.names, rows.types, rows.bases) == (schema.names, schema.types, schema.bases):
        return Aligned(schema, np.arange(len(schema)), values, complete)
    kinds = _kinds(rows, schema)
    union, places = schema.union(rows.names, kinds, rows.bases)
    named = set(places.tolist())
    bases = {base: k for k, base in enumerate(rows.bases) if base is not None}
    unsaid = [(i, k) for base, k in bases.items() for i in union.members[base] if i not in named]
    if unsaid:
        zeros = values[:, [k for _, k in unsaid]] * 0.0  # NaN stays NaN
        values = np.concatenate([values, zeros], axis=1)
        places = np.concatenate([places, np.array([i for i, _ in unsaid], np.intp)])
    if np.any(places[1:] < places[:-1]):
        order = np.argsort(places)
        places, values = places[order], values[:, order]
    return Aligned(union, places, values, complete)


def _complete(rows: Rows) -> bool:
    # One pass tells both: numbers that may be too large, and NaN.
    if blas.sum_of_squares(rows.values.ravel(order="K")) < LARGEST**2:
        return True
    over = np.abs(rows.values) > LARGEST
    if over.any():
        row, k = (int(at) for at in np.argwhere(over)[0])
        raise InvalidInput(
            rows.names[k], f"{rows.values[row, k]:g} is beyond {LARGEST:g}, the largest number here"
        )
    return rows.complete


def _kinds(rows: Rows, schema: Schema) -> str:
    """Return the types of the rows, where numbers for a binary attribute that are 0 or 1 are B."""
    kinds = list(rows.types)
    for k, (name, kind) in enumerate(zip(rows.names, rows.types, strict=True)):
        i = schema.index.get(name)
        if i is None or kind == schema.types[i]:
            continue
        if kind != BINARY:
            column = rows.values[:, k]
            odd = column[~((column == 0) | (column == 1) | np.isnan(column))]
            if len(odd):
                raise InvalidInput(name, f"{odd[0]:g} is not 0 or 1, and the attribute is binary")
        kinds[k] = schema.types[i]
    return "".join(kinds)
