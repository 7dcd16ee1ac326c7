"""`chi2`: do the rows of a table differ? Pearson's test, and how strongly."""

from __future__ import annotations

import math

import numpy as np

from tally.engine.explore.addressing import binary, expanded, wrong_count
from tally.engine.explore.arithmetic import divide
from tally.engine.explore.context import Context, Source
from tally.engine.explore.p_values import chi2_upper
from tally.engine.explore.refusals import UnknownAttribute
from tally.engine.explore.tables import Table, together
from tally.engine.frame import SEPARATOR
from tally.engine.summary import Summary
from tally.errors import TooLarge

MAX_CELLS = 250_000
"""The answer tells each of them by name."""


def chi_squared(source: Source, context: Context) -> dict[str, float]:
    """Return the statistic, its p-value, Tschuprow's T as `coef`, and every cell.

    With targets: inputs are rows, targets columns, all binary; a cell counts the rows in which
    both are 1, and is called by the indexes, `obs$10:12`. Without: inputs are categories, one row
    each, and the columns are their values, `obs$d1:4`.

    Raises:
        InvalidInput: there are too few attributes, one that is not binary, or no such category.
    """
    summary, schema = source.summary, source.summary.schema
    if not context.inputs:
        raise wrong_count("inputAttributes", 0, 1)
    if not context.targets:
        return _by_category(summary, context)
    named = context.inputs_are_names
    rows = list(expanded(schema, context.inputs, named=named).values())
    columns = list(expanded(schema, context.targets, named=context.targets_are_names).values())
    for i in (*rows, *columns):
        binary(schema, i)
    _refuse_large(len(rows), len(columns))
    cells = together(summary, rows, columns)
    return tested(cells) | {
        f"obs${i}:{j}": float(cells[a, b])
        for a, i in enumerate(rows)
        for b, j in enumerate(columns)
    }


def tested(cells: Table) -> dict[str, float]:
    """Return the test of a table; rows and columns of zeros count for nothing.

    No correction for 2 x 2 tables. Of a single row or column: 0, with p = 1 and no coefficient.

    Example:
        >>> found = tested(np.array([[50.0, 0, 0], [0, 50, 50]]))
        >>> found["chiStat"], found["df"], round(found["coef"], 4)
        (150.0, 2.0, 0.8409)
    """
    cells = cells[cells.any(axis=1)][:, cells.any(axis=0)]
    total = float(cells.sum())
    if not total:
        return dict.fromkeys(("chiStat", "df", "pval", "coef"), math.nan)
    expected = np.outer(cells.sum(axis=1), cells.sum(axis=0)) / total
    statistic = float(((cells - expected) ** 2 / expected).sum())
    df = float((cells.shape[0] - 1) * (cells.shape[1] - 1))
    return {
        "chiStat": statistic,
        "df": df,
        "pval": chi2_upper(statistic, df) if df else 1.0,
        "coef": math.sqrt(divide(statistic, total * math.sqrt(df))) if df else math.nan,
    }


def _refuse_large(rows: int, columns: int) -> None:
    if rows * columns > MAX_CELLS:
        raise TooLarge("chi2", f"a table of {rows} x {columns} has more than {MAX_CELLS} cells")


def _by_category(summary: Summary, context: Context) -> dict[str, float]:
    schema, counts = summary.schema, {}
    for token in dict.fromkeys(context.inputs):
        if token not in schema.members:
            raise UnknownAttribute(token)
        for i in schema.members[token]:
            value = schema.names[i].removeprefix(token + SEPARATOR)
            counts[token, value] = summary.moments(i).s1
    columns = {value: k for k, value in enumerate(dict.fromkeys(value for _, value in counts))}
    rows = {token: k for k, token in enumerate(dict.fromkeys(context.inputs))}
    _refuse_large(len(rows), len(columns))
    cells = np.zeros((len(rows), len(columns)))
    for (token, value), count in counts.items():
        cells[rows[token], columns[value]] = count
    return tested(cells) | {
        f"obs${token}:{value}": float(cells[a, b])
        for token, a in rows.items()
        for value, b in columns.items()
    }
