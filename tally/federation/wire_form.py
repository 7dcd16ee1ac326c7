"""What of a project may leave its peer: sums that no single row shows in by itself.

The form does not decide whether it may leave; `tally.federation.privacy.gate` does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tally.engine.counts import Histograms
from tally.engine.explore.arithmetic import variances
from tally.engine.frame import CATEGORY, NUMERIC
from tally.engine.origin import move
from tally.engine.project import Project
from tally.engine.schema import Indexes, Schema
from tally.engine.summary import Summary
from tally.engine.sums import Floats, Sums
from tally.engine.value_counts import ValueCounts
from tally.errors import InvalidInput
from tally.fusion.sources import counting

CELL_ROWS = 5
"""Fewest rows in a cell of a histogram, unless the option `sml.fed.hist.min.cell` says more."""


@dataclass(frozen=True, slots=True)
class WireForm:
    """Statistics as they leave.

    Attributes:
        project: without anything that it was created with, but for the column of its partitions.
        withheld: attributes that stay, because too few rows have them.
    """

    project: Project
    withheld: tuple[str, ...]


def wire_form(
    project: Project,
    *,
    fewest: int,
    partition_rows: Mapping[str, int] | None = None,
    cell_rows: int = CELL_ROWS,
    histograms: bool = True,
) -> WireForm:
    """Return what of a project may leave.

    * An attribute that is present in some rows, but fewer than `fewest`, is left out; also where
      that is so within a partition, since the whole less the other partitions would tell it.
    * Values of a category are in alphabetical order, and not in that of their first rows.
    * Sums are about origins that follow from the mean and the variance, which they tell anyway,
      and not about that of the first rows that were learned; those of a partition about its own.
    * Partitions are in alphabetical order, and those without rows stay.
    * Histograms are means of at least `cell_rows` values each; there are no counts of single
      values, no extremes, and no counts under conditions. That of an attribute is left out if it
      counts other rows than the sums do, but not enough others: their difference would tell.
    * The row filter and other things that the project was created with, the rows of a window, and
      columns that are in no sum, such as ids of patients, stay.

    Args:
        project: of the type `cpu`, `gpu` or `partition`.
        fewest: rows that an attribute must be present in.
        partition_rows: of each partition. Of one that has fewer than `fewest` rows no attribute is
            left out: it keeps the whole back; see `tally.federation.privacy.gate`.
        cell_rows: of a histogram; at least `CELL_ROWS`.
        histograms: False where distributions must not leave.

    Raises:
        InvalidInput: the project has sequences, or hashes its categories.
    """
    options = project.options
    if options.order is not None or options.hash_bins is not None:
        raise InvalidInput("type", "sequences and hashed categories are not shared")
    few = _few(project, fewest, partition_rows or {})
    kept = _in_alphabet(project.summary.schema, np.flatnonzero(~few))
    summary = recentred(_selected(project.summary, kept))
    counted = None
    if histograms and project.histograms is not None:
        counted = _coarse(project.histograms, summary, fewest, max(cell_rows, CELL_ROWS))
    schema, names = summary.schema, project.summary.schema.names
    known = {
        name: letter
        for name, letter in project.known_types.items()
        if (letter in NUMERIC and name in schema.index)
        or (letter == CATEGORY and name in schema.members)
    }
    return WireForm(
        Project(
            counting(options, histogram=counted is not None),
            summary,
            project.row_count,
            known,
            _partitions(project, summary.schema.names),
            histograms=counted,
        ),
        tuple(names[i] for i in np.flatnonzero(few)),
    )


def recentred(summary: Summary) -> Summary:
    """Return the same statistics about the origins of the wire; see `wire_origins`."""
    sums = summary.sums.copy()
    move(sums, wire_origins(summary))
    return Summary.of(sums)


def wire_origins(summary: Summary) -> Floats:
    """Return each attribute's mean, rounded to 2^floor(log2 of its standard deviation) (p,).

    So an origin tells nothing beyond mean and deviation, and it is near enough to the mean that
    no digits are lost. It is the mean itself for a constant, and 0 for a binary attribute and for
    one without rows.

    Example:
        >>> from tally.engine.rows import Rows
        >>> draft = Summary.empty().draft()
        >>> draft.add(Rows(("x",), "C", (None,), np.array([[100.3], [103.9], [119.1]])))
        >>> wire_origins(draft.done())
        array([104.])
    """
    sums, c = summary.sums, summary.schema.continuous
    origins = np.zeros(len(summary.schema))
    groups = summary.schema.group_of[c]
    n = sums.n.diagonal()[groups]
    there = n > 0
    s, n, rows = sums.s[c, groups][there], n[there], np.arange(len(c))[there]
    mean = sums.origins[c][there] + s / n
    deviation = np.sqrt(variances(n, s, sums.q[rows, groups[there]]))
    step = np.ldexp(1.0, np.frexp(deviation)[1] - 1)
    rounded = np.round(mean / step) * step  # a power of two: neither step rounds
    origins[c[there]] = np.where(deviation > 0, rounded, mean)
    return origins


def _few(project: Project, fewest: int, partition_rows: Mapping[str, int]) -> NDArray[np.bool_]:
    """Return which attributes some rows have, but too few of them (p,)."""
    counts, schema = project.summary.counts(), project.summary.schema
    few: NDArray[np.bool_] = (counts > 0) & (counts < fewest)
    for value, part in project.partitions.items():
        if partition_rows.get(value, fewest) < fewest:
            continue
        n, theirs = part.counts(), part.schema
        rare = np.flatnonzero((n > 0) & (n < fewest))
        # By category: a value that no row of the partition has is not among its attributes.
        named = {theirs.bases[i] or theirs.names[i] for i in rare}
        few |= [
            (base or name) in named for name, base in zip(schema.names, schema.bases, strict=True)
        ]
    return few


def _partitions(project: Project, names: Sequence[str]) -> dict[str, Summary]:
    """Return the partitions that have rows, with these attributes only."""
    found = {}
    for value, part in sorted(project.partitions.items()):
        places = [part.schema.index[name] for name in names if name in part.schema.index]
        shared = recentred(_selected(part, np.array(places, np.intp)))
        if shared.counts().any():
            found[value] = shared
    return found


def _in_alphabet(schema: Schema, kept: Indexes) -> Indexes:
    """Return these attributes with the values of each category sorted, in the same places."""
    found = kept.copy()
    for members in schema.members.values():
        places = np.flatnonzero(np.isin(kept, members))
        found[places] = sorted(kept[places], key=lambda i: schema.names[i])
    return found


def _selected(summary: Summary, kept: Indexes) -> Summary:
    """Return the statistics of these attributes, in this order."""
    sums, schema = summary.sums, summary.schema
    old_groups = list(dict.fromkeys(schema.group_of[kept].tolist()))
    numbers = {group: k for k, group in enumerate(old_groups)}
    ours = Schema(
        tuple(schema.names[i] for i in kept),
        "".join(schema.types[i] for i in kept),
        tuple(schema.bases[i] for i in kept),
        tuple(numbers[schema.groups[i]] for i in kept),
    )
    rank = schema.rank[kept]
    rank = rank[rank >= 0]
    found = Sums.zeros(ours)
    found.origins[:] = sums.origins[kept]
    found.n[:] = sums.n[np.ix_(old_groups, old_groups)]
    found.s[:] = sums.s[np.ix_(kept, old_groups)]
    found.q[:] = sums.q[np.ix_(rank, old_groups)]
    found.xxy[:] = sums.xxy[np.ix_(rank, kept)]
    found.fold(sums.xy()[np.ix_(kept, kept)], sums.xxyy()[np.ix_(rank, rank)])
    return Summary.of(found)


def _coarse(counted: Histograms, summary: Summary, fewest: int, cell_rows: int) -> Histograms:
    """Return the histograms of these attributes in cells of at least so many rows."""
    schema, present = summary.schema, summary.counts()

    def shared(name: str, rows: int) -> bool:
        i = schema.index.get(name)
        if i is None or rows < max(fewest, cell_rows):
            return False
        uncounted = present[i] - rows
        return bool(uncounted == 0 or uncounted >= fewest)

    continuous = {
        name: cells(table, cell_rows)
        for name, table in counted.continuous.items()
        if shared(name, int(table.counts.sum()))
    }
    binary = counted.binary.unconditional()
    rows = binary.every.sum(axis=0)
    flags = [
        (name, base)
        for name, base, n in zip(binary.names, binary.bases, rows, strict=True)
        if shared(name, int(n))
    ]
    binary = binary.aligned([name for name, _ in flags], [base for _, base in flags])
    # Values that stay behind make the whole partial, as if they had never been counted.
    told = {*continuous, *(name for name, _ in flags)}
    missing = any(n and name not in told for n, name in zip(present, schema.names, strict=True))
    partial = counted.partial or missing
    return Histograms(continuous, None, binary, partial)


def cells(table: ValueCounts, rows: int) -> ValueCounts:
    """Return the means of neighbouring values, of at least so many rows each, with their counts.

    Example:
        >>> one_each = np.ones((7, 1), np.int64)
        >>> found = cells(ValueCounts(np.arange(7.0), one_each), 3)
        >>> found.values.tolist(), found.counts[:, 0].tolist()
        ([1.0, 4.5], [3, 4])
    """
    values, counts = table.values, table.counts[:, 0]
    upto = np.cumsum(counts)
    if not len(upto) or upto[-1] < rows:
        return ValueCounts.empty()
    starts, before = [0], 0
    while upto[-1] - before >= 2 * rows:
        end = int(np.searchsorted(upto, before + rows)) + 1
        if end >= len(upto) or upto[-1] - upto[end - 1] < rows:
            break
        starts.append(end)
        before = int(upto[end - 1])
    return _means(values, counts, np.array(starts))


def _means(values: Floats, counts: NDArray[np.int64], starts: NDArray[np.intp]) -> ValueCounts:
    rows = np.add.reduceat(counts, starts)
    first = np.repeat(values[starts], np.diff(np.append(starts, len(values))))
    share = counts / np.repeat(rows, np.diff(np.append(starts, len(values))))
    # About the first value of each, so that far values keep their digits.
    means = values[starts] + np.add.reduceat((values - first) * share, starts)
    distinct, place = np.unique(means + 0.0, return_inverse=True)
    total = np.zeros((len(distinct), 1), np.int64)
    np.add.at(total[:, 0], place, rows)
    return ValueCounts(distinct, total)
