"""From open columns to a frame: which type each has, and its cells under that type."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tally.codec.frame.limits import Limits
from tally.codec.frame.reading import Bad, look_at, read_numbers, read_texts, zero_or_one
from tally.codec.frame.table import Cells, Table
from tally.engine.cells import number_text
from tally.engine.frame import CATEGORY, IGNORED, LETTERS, NUMERIC, TEXT, Frame, Numbers, Texts
from tally.engine.rows import BINARY, CONTINUOUS
from tally.errors import InvalidInput

_SHOWN = 40


@dataclass(frozen=True, slots=True)
class _Column:
    letter: str
    values: Numbers | Texts
    bad: Bad | None = None


def typed(table: Table, known: Mapping[str, str], limits: Limits) -> Frame:
    """Return the table with every column under its type.

    Args:
        known: the type of each column that the project has already, by name.

    Raises:
        InvalidInput: a name or a type cannot be used, or contradicts `known`; or, unless the
            table is lenient, a cell is bad. Of several bad cells the first row's is named.
    """
    names = checked_names(table.names, limits)
    letters = _checked_letters(table.letters, names)
    columns = [
        _read(_place(index, name), cells, sent, known.get(name), limits)
        for index, (name, cells, sent) in enumerate(zip(names, table.columns, letters, strict=True))
    ]
    if not table.lenient:
        _refuse_first_bad(names, columns)
    if table.broken:
        raise table.broken
    return Frame(
        names,
        "".join(column.letter for column in columns),
        tuple(column.values for column in columns),
        table.rows,
    )


def checked_names(names: Sequence[object], limits: Limits) -> tuple[str, ...]:
    """Return the names of columns if each can be one, and no two are the same."""
    limits.check_rows(0, len(names))
    seen: dict[str, int] = {}
    for index, name in enumerate(names):
        if not isinstance(name, str) or not name.strip():
            raise InvalidInput("attributeNames", f"column {index + 1} has no name: {_shown(name)}")
        if len(name) > limits.name_length:
            raise InvalidInput(
                "attributeNames",
                f"the name of column {index + 1} has {len(name)} characters; "
                f"at most {limits.name_length}: {_shown(name)}",
            )
        if name in seen:
            raise InvalidInput(
                "attributeNames",
                f"columns {seen[name] + 1} and {index + 1} are both named {_shown(name)}",
            )
        seen[name] = index
    return tuple(seen)


def _shown(cell: object) -> str:
    """Return a cell as a message shows it, shortened; a float is finite."""
    if isinstance(cell, str):
        text = cell
    else:
        text = number_text(cell) if isinstance(cell, float) else repr(cell)
    text = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return f'"{text}"' if isinstance(cell, str) else text


def _place(index: int, name: str) -> str:
    return f"column {index + 1} ({_shown(name)[1:-1]})"


def _checked_letters(sent: Sequence[object] | None, names: Sequence[str]) -> list[str | None]:
    if not sent:
        return [None] * len(names)
    if len(sent) != len(names):
        raise InvalidInput(
            "attributeTypes", f"{len(sent)} types for {len(names)} names; one for each, or none"
        )
    letters: list[str | None] = []
    for index, letter in enumerate(sent):
        known = isinstance(letter, str) and len(letter) == 1 and letter.upper() in LETTERS + "-"
        if not known:
            raise InvalidInput(
                "attributeTypes",
                f"{_place(index, names[index])} has the type {_shown(letter)}; "
                f"one of {', '.join(LETTERS)}",
            )
        letter = str(letter).upper()
        letters.append(IGNORED if letter == "-" else letter)
    return letters


def _read(place: str, cells: Cells, sent: str | None, known: str | None, limits: Limits) -> _Column:
    if sent == IGNORED:
        return _Column(IGNORED, read_texts(cells.objects())[0])
    if sent is None and known is None:
        return _guessed(cells)
    if known is None or sent == known:
        return _under(sent or TEXT, cells, limits)
    if sent is None:
        return _under(known, cells, limits, words=True)
    if (sent, known) == (BINARY, CONTINUOUS):
        column = _under(BINARY, cells, limits)
        return _Column(CONTINUOUS, column.values, column.bad)
    if (sent, known) == (CONTINUOUS, BINARY):
        return _as_known_binary(place, cells)
    raise InvalidInput(place, f"sent as type {sent}; the project knows it as {known}")


def _as_known_binary(place: str, cells: Cells) -> _Column:
    values, bad = read_numbers(cells)
    odd = np.flatnonzero(~zero_or_one(values))
    if odd.size:
        raise InvalidInput(
            f"row {odd[0] + 1}, {place}",
            f"{values[odd[0]]:g} is neither 0 nor 1; the project knows the column as "
            f"{BINARY}, it was sent as {CONTINUOUS}",
        )
    return _Column(BINARY, values, bad)


def _guessed(cells: Cells) -> _Column:
    """Read a column of which nobody said the type: by what all of its cells could be."""
    values = cells.numbers()
    if values is None:
        objects = cells.objects()
        values, bad = look_at(objects, words=False, strict=True)
        if bad:
            values, bad = look_at(objects, words=True, strict=True)
            if bad or not zero_or_one(values).all():
                return _Column(TEXT, *read_texts(objects))
    if np.isnan(values).all():
        # Nothing says what it is, so the project is not told of it: a later frame may say.
        return _Column(IGNORED, (None,) * len(values))
    return _Column(BINARY if zero_or_one(values).all() else CONTINUOUS, values)


def _under(letter: str, cells: Cells, limits: Limits, *, words: bool = False) -> _Column:
    if letter not in NUMERIC:
        longest = limits.name_length if letter == CATEGORY else None
        texts, bad = read_texts(cells.objects(), longest)
        return _Column(letter, texts, bad)
    values, bad = read_numbers(cells, words=words or letter == BINARY)
    if letter == BINARY:
        odd = np.flatnonzero(~zero_or_one(values))
        if odd.size:
            if bad is None or odd[0] < bad.row:
                bad = Bad(int(odd[0]), float(values[odd[0]]), "is neither 0 nor 1")
            values = values.copy()
            values[odd] = math.nan
    return _Column(letter, values, bad)


def _refuse_first_bad(names: Sequence[str], columns: Sequence[_Column]) -> None:
    found = [(column.bad.row, index) for index, column in enumerate(columns) if column.bad]
    if not found:
        return
    row, index = min(found)
    bad = columns[index].bad
    assert bad is not None
    raise InvalidInput(
        f"row {row + 1}, {_place(index, names[index])}", f"{_shown(bad.cell)} {bad.reason}"
    )
