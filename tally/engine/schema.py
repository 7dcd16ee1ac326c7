"""The attributes of a project: names, types, category bases and presence groups, in index order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tally.engine.rows import CONTINUOUS
from tally.errors import InvalidInput, TooLarge

MAX_ATTRIBUTES = 4096
"""Pair sums of so many take 270 MB; a category with more values wants the hash trick."""

UNDECIDED = -1

Indexes: TypeAlias = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Schema:
    """Attributes in index order. Indexes are for ever: a schema only grows at its end.

    Attributes:
        names: unique.
        types: `C` or `B` for each.
        bases: for each, the category that it is one value of; None for a plain attribute.
        groups: for each, the number of its presence group: the attributes of one group were
            present in exactly the same rows. Numbered in order of first appearance.
        index: where each name stands.
        members: the attributes of each category.
        group_of: `groups` as an array.
        continuous: the indexes of the continuous attributes, ascending.
        rank: (p,) where each continuous attribute stands among those; -1 for binary ones.

    Example:
        >>> schema = Schema(("x", "color$red"), "CB", (None, "color"), (0, 0))
        >>> schema.index["color$red"], schema.members
        (1, {'color': [1]})
    """

    names: tuple[str, ...] = ()
    types: str = ""
    bases: tuple[str | None, ...] = ()
    groups: tuple[int, ...] = ()
    index: Mapping[str, int] = field(init=False, repr=False, compare=False)
    members: Mapping[str, list[int]] = field(init=False, repr=False, compare=False)
    group_of: Indexes = field(init=False, repr=False, compare=False)
    continuous: Indexes = field(init=False, repr=False, compare=False)
    rank: Indexes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        members: dict[str, list[int]] = {}
        for i, base in enumerate(self.bases):
            if base is not None:
                members.setdefault(base, []).append(i)
        letters = np.frombuffer(self.types.encode(), np.uint8)
        continuous = np.flatnonzero(letters == ord(CONTINUOUS))
        rank = np.full(len(self.names), -1, np.intp)
        rank[continuous] = np.arange(len(continuous))
        derived = {
            "index": {name: i for i, name in enumerate(self.names)},
            "members": members,
            "group_of": np.array(self.groups, np.intp),
            "continuous": continuous,
            "rank": rank,
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def group_count(self) -> int:
        """How many presence groups there are."""
        return max(self.groups, default=-1) + 1

    def with_groups(self, groups: Sequence[int]) -> Schema:
        """Return the schema with other presence groups."""
        return replace(self, groups=tuple(groups))

    def union(
        self, names: tuple[str, ...], types: str, bases: tuple[str | None, ...]
    ) -> tuple[Schema, Indexes]:
        """Return the schema with these attributes too, and the index of each of them.

        A binary attribute meets a continuous one of its name as a continuous one. Groups of new
        attributes are `UNDECIDED` here.

        Raises:
            InvalidInput: a name is known as something else.
            TooLarge: there would be more than `MAX_ATTRIBUTES`.

        Example:
            >>> schema, places = Schema(("y",), "B", (None,), (0,)).union(
            ...     ("x", "y"), "CC", (None, None))
            >>> schema.names, schema.types, schema.groups, places.tolist()
            (('y', 'x'), 'CC', (0, -1), [1, 0])
        """
        if names == self.names and types == self.types and bases == self.bases:
            return self, np.arange(len(names))
        places = np.empty(len(names), np.intp)
        kinds = list(self.types)
        added: list[int] = []
        for k, (name, kind, base) in enumerate(zip(names, types, bases, strict=True)):
            i = self.index.get(name)
            if i is None:
                if name in self.members:
                    raise InvalidInput(name, "is a category here, not a number")
                if base is not None and base in self.index:
                    raise InvalidInput(base, "is a number here, not a category")
                i = len(self.names) + len(added)
                added.append(k)
                kinds.append(kind)
            elif self.bases[i] != base:
                raise InvalidInput(name, f"is {_told(self.bases[i])} here, not {_told(base)}")
            elif kind == CONTINUOUS:
                kinds[i] = CONTINUOUS
            places[k] = i
        if len(self) + len(added) > MAX_ATTRIBUTES:
            count = len(self) + len(added)
            raise TooLarge("attributes", f"{count} are more than the {MAX_ATTRIBUTES} of a project")
        union = Schema(
            self.names + tuple(names[k] for k in added),
            "".join(kinds),
            self.bases + tuple(bases[k] for k in added),
            self.groups + (UNDECIDED,) * len(added),
        )
        return (self if union == self else union), places


def _told(base: str | None) -> str:
    return "a plain attribute" if base is None else f"a value of category {base!r}"
