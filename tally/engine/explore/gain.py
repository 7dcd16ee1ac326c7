"""`gain`: how many bits one attribute tells of another."""

from __future__ import annotations

import math

import numpy as np

from tally.engine.explore.addressing import category, wrong_count
from tally.engine.explore.context import Context, Source
from tally.engine.explore.tables import Table, contingency
from tally.errors import InvalidInput


def information_gain(source: Source, context: Context) -> dict[str, float]:
    """Return the entropy of the first target less that given the first input, in bits.

    Both are binary attributes or categories; over the rows in which both are present.

    Raises:
        InvalidInput: one is missing, unknown or continuous, or has several values in a row.
    """
    schema = source.summary.schema
    if not context.inputs:
        raise wrong_count("inputAttributes", 0, 1)
    if not context.targets:
        raise wrong_count("targets", 0, 1)
    one = category(schema, context.inputs[0], named=context.inputs_are_names)
    two = category(schema, context.targets[0], named=context.targets_are_names)
    cells = contingency(source.summary, one, two)
    if cells.sum() > source.summary.pair(one.members[0], two.members[0]).n:
        told = "several values are 1 in one row, so it is no category"  # hash buckets
        raise InvalidInput(f"attribute [{(two if one.plain else one).token}]", told)
    return {"gain": mutual_information(cells)}


def mutual_information(cells: Table) -> float:
    """Return the mutual information of the rows and the columns of a table, in bits.

    Example:
        >>> mutual_information(np.array([[2.0, 0.0], [0.0, 2.0]]))
        1.0
    """
    total = float(cells.sum())
    if not total:
        return math.nan
    expected = np.outer(cells.sum(axis=1), cells.sum(axis=0)) / total
    there = cells > 0
    bits = cells[there] / total * np.log2(cells[there] / expected[there])
    return max(0.0, float(bits.sum()))
