"""A summary that is being changed: rows and other summaries added and taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tally.engine.align import Aligned, align
from tally.engine.origin import first, move, settle
from tally.engine.patterns import Patterns
from tally.engine.product import accumulate
from tally.engine.refusals import known, refuse_negative
from tally.engine.rows import BINARY, CONTINUOUS, Rows
from tally.engine.schema import Indexes, Schema
from tally.engine.sums import NOWHERE, Sums, refine
from tally.errors import InvalidInput

if TYPE_CHECKING:
    from tally.engine.summary import Summary


class Draft:
    """A summary to change; not for several threads. A call that raises leaves it as it was.

    The sums of a summary are copied when they are first changed.
    """

    def __init__(self, sums: Sums) -> None:
        self._sums = sums

    @property
    def sums(self) -> Sums:
        """The sums by now, to read only."""
        return self._sums

    @property
    def schema(self) -> Schema:
        """The attributes by now."""
        return self._sums.schema

    def add(self, rows: Rows) -> None:
        """Count rows in.

        Raises:
            InvalidInput: a value cannot be summed, or an attribute is known as something else.
            TooLarge: there would be too many attributes.
        """
        aligned = align(rows, self.schema)
        patterns, groups = self._admit(aligned)
        sums, places = self._own(), aligned.places
        new = (sums.counts()[places] == 0) & (sums.schema.rank[places] >= 0)
        if new.any() and len(aligned.values):
            sums.origins[places[new]] = first(aligned.values[:, new])
        accumulate(sums, places, aligned.values, patterns, groups)
        settle(sums)

    def subtract(self, rows: Rows) -> None:
        """Take rows away that were added.

        Raises:
            InvalidInput: a count would be below zero.
        """
        aligned = align(known(rows, self.schema), self.schema)
        before = self._sums
        patterns, groups = self._admit(aligned)
        change = Sums.zeros(self.schema)
        change.origins[:] = self._sums.origins
        accumulate(change, aligned.places, aligned.values, patterns, groups)
        try:
            refuse_negative(self._sums, change)
        except InvalidInput:
            self._sums = before
            raise
        self._take(change)

    def merge(self, other: Summary, sign: int = 1) -> None:
        """Count the rows of another summary in, or take them away; attributes meet by name.

        Raises:
            InvalidInput: an attribute is known as something else; a count would be below zero.
            TooLarge: there would be too many attributes.
        """
        self._merge(other.sums, sign)

    def _merge(self, theirs: Sums, sign: int) -> None:
        ours = self._sums
        names, types, bases = theirs.schema.names, theirs.schema.types, theirs.schema.bases
        union, places = ours.schema.union(names, types, bases)
        same = np.arange(len(ours.schema))
        left, right = histories(ours, union, same), histories(theirs, union, places)
        groups, left_parents, right_parents = refine(left, right)
        schema = union.with_groups(groups)
        ours = ours.moved(schema, same, left_parents)
        theirs = theirs.moved(schema, places, right_parents)
        origins = np.where(ours.counts() >= theirs.counts(), ours.origins, theirs.origins)
        move(ours, origins)
        move(theirs, origins)
        if sign > 0:
            ours.add(theirs, 1)
            settle(ours)
            self._sums = ours
        else:
            refuse_negative(ours, theirs)
            self._sums = ours
            self._take(theirs)

    def widen(self, schema: Schema) -> None:
        """Make those attributes continuous that are so in another schema."""
        ours = self.schema
        wider = [
            name
            for name, kind in zip(ours.names, ours.types, strict=True)
            if kind == BINARY and name in schema.index
            if schema.types[schema.index[name]] == CONTINUOUS
        ]
        if wider:
            bases = tuple(ours.bases[ours.index[name]] for name in wider)
            count = len(wider)
            self._merge(
                Sums.zeros(Schema(tuple(wider), CONTINUOUS * count, bases, (0,) * count)), 1
            )

    def clear(self) -> None:
        """Forget all rows; the attributes stay."""
        self._sums = Sums.zeros(self.schema.with_groups([0] * len(self.schema)))

    def done(self) -> Summary:
        """Return the summary as changed."""
        from tally.engine.summary import Summary

        return Summary.of(self._sums)

    def _admit(self, aligned: Aligned) -> tuple[Patterns, list[int]]:
        """Make room for the attributes, and for the patterns in which they are present."""
        ours, schema = self._sums, aligned.schema
        if aligned.complete:
            patterns = Patterns.complete(*aligned.values.shape)
            if schema is ours.schema and len(ours.n) == 1 and len(aligned.places) == len(schema):
                return patterns, [0]
        else:
            patterns = Patterns.find(aligned.values)
        here = np.full(len(schema), NOWHERE, np.intp)
        here[aligned.places] = patterns.of
        same = np.arange(len(ours.schema))
        groups, parents, from_pattern = refine(histories(ours, schema, same), here.tolist())
        if schema is not ours.schema or tuple(groups) != schema.groups:
            self._sums = ours.moved(schema.with_groups(groups), same, parents)
        return patterns, from_pattern

    def _take(self, change: Sums) -> None:
        sums = self._own()
        sums.add(change, -1)
        sums.clear_empty_pairs()
        settle(sums)

    def _own(self) -> Sums:
        """Return sums that no summary has."""
        if not self._sums.pairs.flags.writeable:
            self._sums = self._sums.copy()
        return self._sums


def histories(sums: Sums, schema: Schema, places: Indexes) -> list[int]:
    """Return for each attribute of a larger schema the group here with its rows so far.

    That of a category's new value is the group of the category: it was 0 wherever another value
    was 1.
    """
    groups = sums.schema.group_of
    found = np.full(len(schema), NOWHERE, np.intp)
    found[places] = np.where(sums.counts() > 0, groups, NOWHERE)
    for base, members in sums.schema.members.items():
        found[schema.members[base]] = found[places[members[0]]]
    return found.tolist()
