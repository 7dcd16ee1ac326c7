"""Rows of a CSV file, for sites that learn real statistics."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tally.codec.frame import Limits, decode_cells
from tally.engine.frame import CATEGORY, Frame
from tally.engine.rows import CONTINUOUS
from tally.errors import InvalidInput


def read_table(path: Path) -> Frame:
    """Return a CSV file with a header: columns of numbers as they are, others as categories.

    Raises:
        InvalidInput: it cannot be read; the message says why.
        TooLarge: it is over the bounds of a frame.
    """
    try:
        body = path.read_bytes()
        columns, rows = decode_cells(
            body, media_type="text/csv", content_encoding="", texts=(), limits=Limits()
        )
    except OSError as error:
        raise InvalidInput(str(path), str(error.strerror)) from error
    except InvalidInput as error:
        raise type(error)(str(path), str(error).removeprefix("body: ")) from error
    types = "".join(
        CONTINUOUS if isinstance(column, np.ndarray) else CATEGORY for column in columns.values()
    )
    return Frame(tuple(columns), types, tuple(columns.values()), rows)


def dealt(frame: Frame, of: int) -> list[Frame]:
    """Return the rows in so many shares of about equal size: one by one, as cards are dealt."""
    return [share_of(frame, number, of) for number in range(of)]


def share_of(frame: Frame, number: int, of: int) -> Frame:
    """Return every `of`-th row, beginning with row `number` counted from 0.

    Example:
        >>> frame = Frame(("x",), "C", (np.arange(5.0),), 5)
        >>> share_of(frame, 1, 3).columns[0]
        array([1., 4.])
    """
    return frame.take(np.arange(frame.rows) % of == number)
