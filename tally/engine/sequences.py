"""Sequences of tokens in a frame.

A frame of texts is read by rows: one column is one sequence of a token a row, several columns are
one sequence a row. A frame with a category and any other column is read by columns: its rows are
time steps, and each category is a stream of its own. Every frame starts new sequences, and so
does every missing token: what follows it has no known predecessor.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tally.engine.cells import category, number_text
from tally.engine.frame import CATEGORY, NAME_LENGTH, NUMERIC, TEXT, Frame
from tally.errors import InvalidInput

GAP = -1
"""Stands between two sequences."""

Codes = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Stream:
    """Tokens in order, as codes.

    Attributes:
        prefix: of the names of its attributes; empty for sequences read by rows.
        vocabulary: the token of each code, in order of first appearance.
        codes: `GAP` between two sequences and where a token is missing.
    """

    prefix: str
    vocabulary: tuple[str, ...]
    codes: Codes

    @classmethod
    def of(cls, prefix: str, tokens: Iterable[str | None]) -> Stream:
        """Return the stream of tokens, None where there is a gap.

        Raises:
            InvalidInput: a token is too long to be part of a name.
        """
        code: dict[str, int] = {}
        codes = [GAP if token is None else code.setdefault(token, len(code)) for token in tokens]
        for token in code:
            if len(token) > NAME_LENGTH:
                raise InvalidInput(
                    "data",
                    f"a token of {len(token)} characters, at most {NAME_LENGTH}: {token[:40]!r}...",
                )
        return cls(prefix, tuple(code), np.array(codes, np.intp))


def is_by_columns(frame: Frame) -> bool:
    """Tell whether the frame's rows are time steps of one stream a column."""
    usable = sum(letter in CATEGORY + NUMERIC for letter in frame.types)
    return CATEGORY in frame.types and usable > 1


def streams(frame: Frame) -> list[Stream]:
    """Return the sequences of a frame: one stream if it is read by rows, else one a category."""
    if is_by_columns(frame):
        return [
            Stream.of(f"{name}_", _tokens(frame, index))
            for index, name in enumerate(frame.names)
            if frame.types[index] == CATEGORY
        ]
    columns = [
        _tokens(frame, index)
        for index, letter in enumerate(frame.types)
        if letter in CATEGORY + TEXT + NUMERIC
    ]
    if len(columns) == 1:
        return [Stream.of("", columns[0])]
    return [Stream.of("", (token for row in zip(*columns, strict=True) for token in (*row, None)))]


def _tokens(frame: Frame, index: int) -> Sequence[str | None]:
    if frame.types[index] in NUMERIC:  # tokens such as 1 and 2, of which nobody said the type
        values = frame.numbers(index).tolist()
        return [None if value != value else number_text(value) for value in values]
    tokens = {cell: category(cell) for cell in set(frame.texts(index)) if cell is not None}
    return [None if cell is None else tokens[cell] for cell in frame.texts(index)]
