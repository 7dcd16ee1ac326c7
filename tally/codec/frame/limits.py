"""How large a frame may be."""

from __future__ import annotations

from dataclasses import dataclass

from tally.engine.frame import NAME_LENGTH
from tally.errors import TooLarge

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that hold before the memory is taken, whatever a body says of its own size.

    Attributes:
        rows, columns: of one frame.
        cells: rows times columns.
        name_length: characters of a column's name and of a category's value.
        decompressed_bytes: of the body once its content encodings are undone, and of the memory
            that a columnar body says its columns need.
    """

    rows: int = 1_000_000
    columns: int = 10_000
    cells: int = 20_000_000
    name_length: int = NAME_LENGTH
    decompressed_bytes: int = 256 * _MIB

    def check_rows(self, rows: int, columns: int) -> None:
        """Raise `TooLarge` where a frame of this shape is over a bound."""
        if rows > self.rows:
            raise TooLarge("rows", f"{rows} of them; at most {self.rows} in one frame")
        if columns > self.columns:
            raise TooLarge("columns", f"{columns} of them; at most {self.columns} in one frame")
        if rows * columns > self.cells:
            raise TooLarge(
                "cells",
                f"{rows} rows of {columns} columns are {rows * columns}; "
                f"at most {self.cells} in one frame",
            )

    def check_bytes(self, size: int, what: str) -> None:
        """Raise `TooLarge` where `what` takes more than `decompressed_bytes`."""
        if size > self.decompressed_bytes:
            raise TooLarge(what, f"{size} bytes; at most {self.decompressed_bytes}")
