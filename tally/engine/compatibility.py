"""Which projects can be merged."""

from __future__ import annotations

from collections.abc import Mapping

from tally.engine.options import GPU_KINDS, Options
from tally.engine.rows import BINARY, CONTINUOUS
from tally.errors import InvalidInput


class TypeConflict(InvalidInput):
    """A column is of another type in the other project.

    Attributes:
        column, ours, theirs: which, and its letters.
    """

    def __init__(self, column: str, ours: str, theirs: str) -> None:
        super().__init__(column, f"is of type {ours} here, but {theirs} in the other")
        self.column, self.ours, self.theirs = column, ours, theirs


def check_mergeable(ours: Options, theirs: Options) -> None:
    """Check that two projects count the same things.

    Raises:
        InvalidInput: their types, orders, partition columns or hash sizes differ.
    """
    for name, our, their in (
        ("type", _family(ours), _family(theirs)),
        ("order", ours.order, theirs.order),
        ("partition column", ours.partition, theirs.partition),
        ("hash size", ours.hash_bins, theirs.hash_bins),
    ):
        if our != their:
            raise InvalidInput(name, f"{our or 'none'} here, but {their or 'none'} in the other")


def merged_types(ours: Mapping[str, str], theirs: Mapping[str, str]) -> dict[str, str]:
    """Return the letter of each column in the merged project: C where B meets C.

    Raises:
        TypeConflict: a column has another type there.

    Example:
        >>> merged_types({"x": "B"}, {"x": "C", "y": "T"})
        {'x': 'C', 'y': 'T'}
    """
    merged = dict(ours)
    for name, letter in theirs.items():
        known = merged.setdefault(name, letter)
        if known == letter:
            continue
        if {known, letter} != {BINARY, CONTINUOUS}:
            raise TypeConflict(name, known, letter)
        merged[name] = CONTINUOUS
    return merged


def _family(options: Options) -> str:
    return "cpu" if options.kind in GPU_KINDS else options.kind
