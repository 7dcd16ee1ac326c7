"""Attributes brought into another order, which changes no sum."""

from __future__ import annotations

from tally.engine.draft import histories
from tally.engine.schema import Schema
from tally.engine.summary import Summary
from tally.engine.sums import refine


def arranged(summary: Summary, first: Schema) -> Summary:
    """Return the same statistics with the attributes of `first` first, in its order.

    Those that the summary does not have were in no row, but for values of a category that it has:
    they were 0. A sum is moved, never computed: the numbers are the same to the last bit.

    Raises:
        InvalidInput: an attribute of `first` is known as something else.
        TooLarge: there would be too many attributes.

    Example:
        >>> import numpy as np
        >>> from tally.engine.rows import Rows
        >>> draft = Summary.empty().draft()
        >>> draft.add(Rows(("x", "y"), "CC", (None, None), np.array([[1.0, 5.0]])))
        >>> turned = arranged(draft.done(), Schema(("z", "y"), "CC", (None, None), (0, 0)))
        >>> turned.schema.names, turned.counts()
        (('z', 'y', 'x'), array([0., 1., 1.]))
    """
    sums = summary.sums
    ours = sums.schema
    if ours.names[: len(first)] == first.names and ours.types[: len(first)] == first.types:
        return summary
    union, places = first.union(ours.names, ours.types, ours.bases)
    past = histories(sums, union, places)
    groups, parents, _ = refine(past, past)
    return Summary.of(sums.moved(union.with_groups(groups), places, parents))
