"""Rows of a frame as numbers: every value of a category becomes a binary attribute."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tally.engine.cells import category
from tally.engine.frame import CATEGORY, NUMERIC, SEPARATOR, Frame, Texts
from tally.engine.hashing import HASH_BASE, bucket
from tally.engine.options import Options
from tally.engine.rows import BINARY, Rows
from tally.engine.schema import Schema
from tally.errors import InvalidInput, TooLarge

MAX_CELLS = 1 << 26
"""Of one frame's rows: half a gigabyte of float64."""


def expand(frame: Frame, schema: Schema, options: Options) -> Rows:
    """Return the frame's rows with one binary attribute for each value of each category.

    Attributes come column by column: the members of a category that `schema` knows in its order,
    then new ones in order of first appearance. Columns of the types S, L, X and P become nothing.

    Args:
        schema: what the project knows already.
        options: of the project. With `hash_bins` the categories' values are buckets, `hash$0` to
            `hash$(hash_bins - 1)`, each 1 in the rows in which any category falls into it.

    Raises:
        InvalidInput: a member would have the name of another attribute.
        TooLarge: rows times attributes are more than `MAX_CELLS`.

    Example:
        >>> frame = Frame(("x", "color"), "CT", (np.array([1.5, 2.0]), (" Red", "blue")), 2)
        >>> rows = expand(frame, Schema(("color$green",), "B", ("color",), (0,)), Options())
        >>> rows.names
        ('x', 'color$green', 'color$red', 'color$blue')
        >>> rows.values.tolist()
        [[1.5, 0.0, 1.0, 0.0], [2.0, 0.0, 0.0, 1.0]]
    """
    plan = _Plan(schema)
    bins = options.hash_bins
    hashed: list[int] = []
    for index, (name, letter) in enumerate(zip(frame.names, frame.types, strict=True)):
        if letter in NUMERIC:
            plan.add_plain(name, letter, index)
        elif letter == CATEGORY and bins is None:
            values = {cell: category(cell) for cell in dict.fromkeys(frame.texts(index)) if cell}
            plan.add_members(name, index, values)
        elif letter == CATEGORY:
            hashed.append(index)
    if bins is not None and hashed:
        for index in hashed:
            name = frame.names[index]
            different = (cell for cell in dict.fromkeys(frame.texts(index)) if cell)
            plan.add_members(
                HASH_BASE,
                index,
                {cell: str(bucket(name, category(cell), bins)) for cell in different},
            )
    return plan.rows(frame)


@dataclass(slots=True)
class _Plan:
    """Which attributes there will be, and from which column each takes its values."""

    schema: Schema
    names: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    bases: list[str | None] = field(default_factory=list)
    place: dict[str, int] = field(default_factory=dict)
    plain: list[tuple[int, int]] = field(default_factory=list)
    """(column of the frame, attribute)"""
    coded: list[tuple[int, str, dict[str, int]]] = field(default_factory=list)
    """(column of the frame, base, attribute by cell)"""

    def add_plain(self, name: str, letter: str, column: int) -> None:
        self.plain.append((column, self._add(name, letter, None)))

    def add_members(self, base: str, column: int, values: dict[str, str]) -> None:
        """Add the members of a category; `values` has the member's value by the cell's text."""
        if base not in self.bases:
            for known in self.schema.members.get(base, ()):
                self._add(self.schema.names[known], BINARY, base)
        self.coded.append((column, base, {}))
        codes = self.coded[-1][2]
        for cell, value in values.items():
            codes[cell] = self._add(f"{base}{SEPARATOR}{value}", BINARY, base)

    def _add(self, name: str, letter: str, base: str | None) -> int:
        place = self.place.get(name)
        if place is None:
            known = self.schema.index.get(name)
            if known is not None and self.schema.bases[known] != base:
                raise _collision(name, self.schema.bases[known], base)
            place = self.place[name] = len(self.names)
            self.names.append(name)
            self.types.append(letter)
            self.bases.append(base)
        elif self.bases[place] != base or base is None:
            raise _collision(name, self.bases[place], base)
        return place

    def rows(self, frame: Frame) -> Rows:
        width = len(self.names)
        if frame.rows * width > MAX_CELLS:
            raise TooLarge(
                "data",
                f"{frame.rows} rows of {width} attributes, values of categories counted, are more "
                f"than {MAX_CELLS} numbers; send fewer rows at once",
            )
        values = np.zeros((frame.rows, width), order="F")
        for column, place in self.plain:
            values[:, place] = frame.numbers(column)
        for base in dict.fromkeys(base for _, base, _ in self.coded):
            self._fill(frame, values, base)
        return Rows(tuple(self.names), "".join(self.types), tuple(self.bases), values)

    def _fill(self, frame: Frame, values: NDArray[np.float64], base: str) -> None:
        absent = np.ones(frame.rows, np.bool_)
        for column, of, codes in self.coded:
            if of == base:
                places = _codes(frame.texts(column), codes)
                present = np.flatnonzero(places >= 0)
                values[present, places[present]] = 1.0
                absent[present] = False
        if absent.any():
            for place, member_of in enumerate(self.bases):
                if member_of == base:
                    values[absent, place] = np.nan


def _codes(cells: Texts, codes: dict[str, int]) -> NDArray[np.intp]:
    return np.fromiter((-1 if cell is None else codes[cell] for cell in cells), np.intp, len(cells))


def _collision(name: str, first: str | None, second: str | None) -> InvalidInput:
    return InvalidInput(name, f"{_told(first)} and {_told(second)} would both have this name")


def _told(base: str | None) -> str:
    return "an attribute" if base is None else f"a value of the category {base!r}"
