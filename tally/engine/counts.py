"""Histograms: for each attribute, how often each value occurred; also where a binary one is 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from tally.engine.binary_counts import BinaryCounts
from tally.engine.counts_arrays import Arrays, Meta, Parts, from_arrays, to_arrays
from tally.engine.distribution import Distribution
from tally.engine.rows import BINARY, Rows
from tally.engine.sketch import CENTROIDS, Counts
from tally.engine.value_counts import ValueCounts, count_values

CONDITIONAL_ATTRIBUTES = 200
"""With more attributes than these, no counts under conditions are kept, also later."""

CONDITIONAL_CELLS = 1 << 22
"""Counts under conditions, of all attributes together: 32 MiB. Where they would be more, each
attribute has fewer centroids."""

_FEWEST_CENTROIDS = 64

Tables = Mapping[str, ValueCounts]


@dataclass(frozen=True, slots=True)
class Histograms:
    """Counted values by attribute name; an immutable snapshot.

    Exact for up to 4096 distinct values of an attribute, a sketch beyond (`ValueCounts`). Binary
    attributes are always exact.

    Attributes:
        continuous: one column of counts for each continuous attribute.
        given: for each, a column for each binary attribute: the rows in which that is 1; None
            where counts under conditions are not kept.
        binary: the counts of the binary attributes.
        partial: rows were merged in whose values were not counted.
    """

    continuous: Tables = field(default_factory=dict)
    given: Tables | None = field(default_factory=dict)
    binary: BinaryCounts = field(default_factory=BinaryCounts.empty)
    partial: bool = False

    @classmethod
    def empty(cls) -> Histograms:
        """Return the histograms of no rows."""
        return cls()

    def __contains__(self, name: object) -> bool:
        return name in self.continuous or name in self.binary.names

    @property
    def conditional(self) -> bool:
        """Whether counts under conditions are kept."""
        return self.given is not None

    @property
    def size_bytes(self) -> int:
        """Bytes that the arrays take."""
        tables = [*self.continuous.values(), *(self.given or {}).values()]
        return self.binary.size_bytes + sum(table.size_bytes for table in tables)

    def distribution(self, name: str, given: str | None = None) -> Distribution:
        """Return the counted values of one attribute, in all rows or where `given` is 1.

        An attribute that was never counted has no rows.

        Args:
            name: of any attribute.
            given: a binary attribute; only if `conditional`.
        """
        if name not in self or (given is not None and given not in self.binary.names):
            return ValueCounts.empty().distribution()
        if name in self.binary.names:
            return self.binary.distribution(name, given)
        if given is None:
            return self.continuous[name].distribution()
        assert self.given is not None, "counts under conditions are not kept"
        return self.given[name].distribution(self.binary.names.index(given))

    def draft(self) -> HistogramsDraft:
        """Return a copy to change."""
        return HistogramsDraft(self)

    def to_arrays(self) -> tuple[dict[str, NDArray[np.generic]], dict[str, object]]:
        """Return finite arrays and their JSON-able description; the same for equal histograms."""
        return to_arrays(Parts(self.continuous, self.given, self.binary, self.partial))

    @classmethod
    def from_arrays(cls, arrays: Arrays, meta: Meta) -> Histograms:
        """Return what `to_arrays` wrote.

        Raises:
            CorruptState: the arrays do not belong together, or break what is promised here.
        """
        return cls(*from_arrays(arrays, meta))


class HistogramsDraft:
    """Histograms that are being changed. A call that raises leaves the draft as it was.

    Example:
        >>> rows = Rows(("x", "y"), "CB", (None, None), np.array([[1.5, 1.0], [2.5, 0.0]]))
        >>> draft = Histograms.empty().draft()
        >>> draft.add(rows)
        >>> [draft.done().distribution("x", given).median for given in (None, "y")]
        [2.0, 1.5]
    """

    def __init__(self, base: Histograms) -> None:
        self._now = base

    def done(self) -> Histograms:
        """Return the snapshot as changed."""
        return self._now

    def add(self, rows: Rows) -> None:
        """Count the values of these rows."""
        self._now = _sum(self._now, _counted(rows, self._now))

    def subtract(self, rows: Rows) -> None:
        """Take the values of these rows out again; those that were never counted are passed over.

        Rows learned before counting began can so be forgotten like any others.
        """
        self.take_away(_counted(rows, self._now))

    def take_away(self, other: Histograms) -> None:
        """Take the counts of another project out again, as `subtract` those of rows."""
        now, gone = _aligned(self._now, other)
        continuous = {
            name: table.subtract(gone.continuous[name]) if name in gone.continuous else table
            for name, table in now.continuous.items()
        }
        given = None
        if now.given is not None and gone.given is not None:
            given = {
                name: table.subtract(gone.given[name]) if name in gone.given else table
                for name, table in now.given.items()
            }
        binary = now.binary.combined(gone.binary, -1)
        self._now = Histograms(continuous, given, binary, now.partial)

    def merge(self, other: Histograms) -> None:
        """Add the counts of another project."""
        self._now = _sum(self._now, other)

    def mark_partial(self) -> None:
        """Note that rows were merged in whose values were not counted."""
        self._now = replace(self._now, partial=True)


def _sum(left: Histograms, right: Histograms) -> Histograms:
    left, right = _aligned(left, right)
    continuous = dict(left.continuous)
    for name, table in right.continuous.items():
        known = continuous.get(name)
        continuous[name] = table.bounded(CENTROIDS) if known is None else known.add(table)
    binary = left.binary.combined(right.binary, 1)
    given = None
    if left.given is not None and right.given is not None:
        pairs = len(continuous) * len(binary.names)
        bound = max(_FEWEST_CENTROIDS, min(CENTROIDS, CONDITIONAL_CELLS // max(pairs, 1)))
        given = {name: table.bounded(bound) for name, table in left.given.items()}
        for name, table in right.given.items():
            given[name] = given[name].add(table, bound) if name in given else table.bounded(bound)
    return Histograms(continuous, given, binary, left.partial or right.partial)


def _counted(rows: Rows, known: Histograms) -> Histograms:
    """Return the histograms of these rows alone."""
    # Numbers for an attribute that is binary here are 0 or 1; what came as binary may be a number.
    known_binary = set(known.binary.names)
    is_binary = np.array(
        [
            name in known_binary or (kind == BINARY and name not in known.continuous)
            for name, kind in zip(rows.names, rows.types, strict=True)
        ],
        bool,
    )
    b, c = np.flatnonzero(is_binary), np.flatnonzero(~is_binary)
    names = [rows.names[i] for i in b]
    ones_and_zeros = rows.values[:, b]
    bases = [rows.bases[i] for i in b]
    conditional = known.conditional and len(rows.names) <= CONDITIONAL_ATTRIBUTES
    binary = BinaryCounts.of(names, bases, ones_and_zeros, conditional=conditional)
    under: Counts = (ones_and_zeros[:, : len(b) * conditional] == 1).astype(np.int64)
    pairs = {rows.names[i]: count_values(rows.values[:, i], under) for i in c}
    continuous = {name: every for name, (every, _) in pairs.items()}
    given = {name: given for name, (_, given) in pairs.items()} if conditional else None
    return Histograms(continuous, given, binary)


def _aligned(left: Histograms, right: Histograms) -> tuple[Histograms, Histograms]:
    """Return both with the same binary attributes in the same order.

    What is continuous on one side is so on both. Counts under conditions go where one side has
    none, or where there are too many attributes.
    """
    left = _as_continuous(left, right.continuous)
    right = _as_continuous(right, left.continuous)
    bases = dict(zip(left.binary.names, left.binary.bases, strict=True))
    for name, base in zip(right.binary.names, right.binary.bases, strict=True):
        bases.setdefault(name, base)
    attributes = len(bases) + len(left.continuous.keys() | right.continuous.keys())
    conditional = left.conditional and right.conditional and attributes <= CONDITIONAL_ATTRIBUTES
    return _arranged(left, bases, conditional), _arranged(right, bases, conditional)


def _arranged(one: Histograms, bases: Mapping[str, str | None], conditional: bool) -> Histograms:
    """Return the same with these binary attributes in this order."""
    given, binary = None, one.binary
    if not conditional:
        binary = binary.unconditional()
    elif one.given is not None:
        given = one.given
        if tuple(bases) != binary.names:
            place = {name: k for k, name in enumerate(binary.names)}
            kept = [place.get(name, -1) for name in bases]
            given = {name: table.columns(kept) for name, table in given.items()}
    binary = binary.aligned(tuple(bases), tuple(bases.values()))
    return Histograms(one.continuous, given, binary, one.partial)


def _as_continuous(one: Histograms, names: Tables) -> Histograms:
    """Return the same with the binary attributes of these names counted as continuous ones."""
    moved = [name for name in one.binary.names if name in names]
    if not moved:
        return one
    continuous = dict(one.continuous)
    given = None if one.given is None else dict(one.given)
    for name in moved:
        k = one.binary.names.index(name)
        continuous[name] = ValueCounts.of_binary(one.binary.every[:, [k]])
        if given is not None and one.binary.given is not None:
            given[name] = ValueCounts.of_binary(one.binary.given[:, k])
    both = Histograms(continuous, given, one.binary, one.partial)
    bases = zip(one.binary.names, one.binary.bases, strict=True)
    rest = {name: base for name, base in bases if name not in moved}
    return _arranged(both, rest, both.conditional)
