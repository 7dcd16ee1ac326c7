"""Sequences as rows whose pair sums count transitions.

An attribute stands for a token at a distance: `t0$b` is b now, `tm2$a` is a two tokens before.
Each token gets a row in which the attributes of it and of its predecessors are 1 and the others
missing, so the sum of `tm1$a` times `t0$b` is the number of times that b followed a.

Each occurrence also counts once under every attribute of its token. Where nothing precedes it,
its `t0` is 0; where nothing follows so far behind, its `tm1`, `tm2`, ... is 0, in a row of its
own, so that no pair is counted that never was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tally.engine.expand import MAX_CELLS, expand
from tally.engine.frame import SEPARATOR, Frame
from tally.engine.options import Options
from tally.engine.rows import BINARY, Rows
from tally.engine.schema import MAX_ATTRIBUTES, Schema
from tally.engine.sequences import GAP, Codes, Stream, is_by_columns, streams
from tally.errors import InvalidInput, TooLarge

_BLOCK_CELLS = 1 << 22


def sequence_rows(frame: Frame, schema: Schema, options: Options) -> Iterator[Rows]:
    """Yield the rows of a frame of sequences, in blocks of bounded size.

    Sequences that are read by columns have the frame's own attributes beside the lagged ones. A
    frame of several blocks starts with one that has no rows and all attributes, in their order:
    the time farthest back first, each in order of first appearance; the other blocks have only
    the attributes that they need.

    Raises:
        InvalidInput: a token is too long, or an attribute would have the name of another.
        TooLarge: there are more attributes than a project may have, or more than `MAX_CELLS`
            numbers in all blocks.

    Example:
        >>> frame = Frame(("step",), "S", (("a", "b", "b"),), 3)
        >>> [rows] = sequence_rows(frame, Schema(), Options("sequence", {"sml_project_order": "1"}))
        >>> rows.names
        ('tm1$a', 'tm1$b', 't0$a', 't0$b')
        >>> float(np.nansum(rows.values[:, 0] * rows.values[:, 3]))  # b followed a once
        1.0
    """
    assert options.order is not None, "sequence projects have an order"
    plain = expand(frame, schema, options) if is_by_columns(frame) else None
    cells = _Cells.of(streams(frame), options.order, plain)
    if len(cells.names) > MAX_ATTRIBUTES:
        raise TooLarge(
            "data", f"its tokens need {len(cells.names)} attributes; at most {MAX_ATTRIBUTES}"
        )
    width = len(cells.names) + (0 if plain is None else len(plain.names))
    if cells.rows * width > MAX_CELLS:
        raise TooLarge(
            "data",
            f"its sequences are {cells.rows} rows of {width} attributes, more than {MAX_CELLS} "
            "numbers; send fewer tokens at once",
        )
    step = max(1, _BLOCK_CELLS // max(1, len(cells.names)))
    if cells.rows > step:
        yield cells.block(plain, 0, 0, np.arange(len(cells.names)))
        for start in range(0, cells.rows, step):
            yield cells.block(plain, start, min(start + step, cells.rows))
    else:
        yield cells.block(plain, 0, cells.rows, np.arange(len(cells.names)))


@dataclass(frozen=True, slots=True)
class _Cells:
    """The present cells of lagged attributes, by ascending row.

    Attributes:
        names: of the attributes.
        row, attribute, value: of each cell.
        rows: how many.
    """

    names: tuple[str, ...]
    row: Codes
    attribute: Codes
    value: NDArray[np.float64]
    rows: int

    @classmethod
    def of(cls, read: Sequence[Stream], order: int, plain: Rows | None) -> _Cells:
        names: list[str] = []
        parts: list[tuple[Codes, Codes, NDArray[np.float64]]] = []
        rows = max((len(stream.codes) for stream in read), default=0)
        for stream in read:
            for row, attribute, value in _lagged(stream, order, first_end=rows):
                parts.append((row, attribute + len(names), value))
                rows = max(rows, int(row.max(initial=-1)) + 1)
            names += _names(stream, order)
        _refuse_collisions(names, plain)
        row, attribute, value = (np.concatenate(part) for part in zip(*parts, strict=True))
        by_row = np.argsort(row, kind="stable")
        row, attribute, value = row[by_row], attribute[by_row], value[by_row]
        if plain is None:  # no row for a gap
            used, row = np.unique(row, return_inverse=True)
            rows = len(used)
        return cls(tuple(names), row, attribute, value, rows)

    def block(self, plain: Rows | None, start: int, end: int, wanted: Codes | None = None) -> Rows:
        """Return the rows from `start` to `end`, with the attributes `wanted` or those present."""
        inside = slice(*np.searchsorted(self.row, (start, end)))
        row, attribute = self.row[inside] - start, self.attribute[inside]
        if wanted is None:
            wanted = np.unique(attribute)
        values = np.full((end - start, len(wanted)), np.nan)
        values[row, np.searchsorted(wanted, attribute)] = self.value[inside]
        names = tuple(self.names[place] for place in wanted.tolist())
        lagged = Rows(names, BINARY * len(names), (None,) * len(names), values)
        return lagged if plain is None else _beside(plain, lagged, start)


def _names(stream: Stream, order: int) -> list[str]:
    return [
        f"{stream.prefix}{f'tm{lag}' if lag else 't0'}{SEPARATOR}{token}"
        for lag in range(order, -1, -1)
        for token in stream.vocabulary
    ]


def _lagged(
    stream: Stream, order: int, first_end: int
) -> Iterator[tuple[Codes, Codes, NDArray[np.float64]]]:
    """Yield (row, attribute, value) of cells; rows from `first_end` on have one cell each."""
    codes, words = stream.codes, len(stream.vocabulary)
    present = codes != GAP
    now = np.flatnonzero(present)
    reaches = present  # the tokens from `lag` before each place up to it are of one sequence
    ends = first_end
    for lag in range(1, order + 1):
        reaches = present & np.concatenate(([False], reaches[:-1]))
        if lag == 1:
            yield now, order * words + codes[now], reaches[now].astype(np.float64)
        behind = (order - lag) * words
        later = np.flatnonzero(reaches)
        yield later, behind + codes[later - lag], np.ones(len(later))
        followed = np.zeros(len(codes), np.bool_)
        followed[later - lag] = True
        last = np.flatnonzero(present & ~followed)
        yield ends + np.arange(len(last)), behind + codes[last], np.zeros(len(last))
        ends += len(last)


def _refuse_collisions(names: Sequence[str], plain: Rows | None) -> None:
    seen = set(() if plain is None else plain.names)
    for name in names:
        if name in seen:
            raise InvalidInput(name, "two attributes of the sequences would both have this name")
        seen.add(name)


def _beside(plain: Rows, lagged: Rows, start: int) -> Rows:
    """Return rows with both; where the frame has no more rows, its attributes are missing."""
    values = np.full((len(lagged.values), len(plain.names)), np.nan)
    part = plain.values[start : start + len(values)]
    values[: len(part)] = part
    return Rows(
        plain.names + lagged.names,
        plain.types + lagged.types,
        plain.bases + lagged.bases,
        np.hstack((values, lagged.values)),
    )
