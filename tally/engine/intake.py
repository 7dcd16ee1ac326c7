"""What of a frame a project learns: the rows that its filter accepts, as numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tally.engine.cells import category, number_text
from tally.engine.expand import expand
from tally.engine.filter import accepted
from tally.engine.frame import NUMERIC, Frame
from tally.engine.lagged import sequence_rows
from tally.engine.options import Options
from tally.engine.predicates import parse
from tally.engine.rows import Rows
from tally.engine.schema import Indexes, Schema
from tally.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Intake:
    """Rows of one frame.

    Attributes:
        blocks: the rows, in order; several for sequences only.
        count: rows of the frame that were accepted.
        parts: for each value of the partition column, its rows in the only block.
    """

    blocks: tuple[Rows, ...]
    count: int
    parts: dict[str, Indexes]

    @classmethod
    def of(cls, frame: Frame, schema: Schema, options: Options) -> Intake:
        """Return what a project with these attributes and options takes of a frame.

        Raises:
            InvalidInput: the partition column is missing, or two attributes would have one name.
            TooLarge: the rows have too many attributes.
        """
        frame, parts = counted(frame, options)
        if options.order is not None:
            return cls(tuple(sequence_rows(frame, schema, options)), frame.rows, {})
        return cls((expand(frame, schema, options),), frame.rows, parts)

    def partitions(self) -> Iterator[tuple[str, Rows]]:
        """Yield the rows of each partition."""
        for value, which in self.parts.items():
            [rows] = self.blocks
            yield value, Rows(rows.names, rows.types, rows.bases, rows.values[which])


def counted(frame: Frame, options: Options) -> tuple[Frame, dict[str, Indexes]]:
    """Return the rows that count, without the column of the partition, and those of each value.

    Raises:
        InvalidInput: the partition column is missing.
    """
    frame = frame.take(accepted(frame, parse(options.row_filter)))
    return (frame, {}) if options.partition is None else _partitioned(frame, options.partition)


def _partitioned(frame: Frame, column: str) -> tuple[Frame, dict[str, Indexes]]:
    """Return the frame without its partition column, and the rows of each value."""
    if column not in frame.names:
        raise InvalidInput(column, "this column selects the partition; the frame has none")
    at = frame.names.index(column)
    values: list[str | None]
    if frame.types[at] in NUMERIC:
        numbers = frame.numbers(at).tolist()
        values = [None if number != number else number_text(number) for number in numbers]
    else:
        values = [None if cell is None else category(cell) for cell in frame.texts(at)]
    kept = np.array([value is not None for value in values], np.bool_)
    rows: dict[str, list[int]] = {}
    for row, value in enumerate(value for value in values if value is not None):
        rows.setdefault(value, []).append(row)
    parts = {value: np.array(which, np.intp) for value, which in rows.items()}
    return frame.take(kept).without(column), parts
