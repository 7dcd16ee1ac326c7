"""A rolling window as named arrays and JSON, a part of a project's bytes."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from tally.codec import summary as summaries
from tally.codec.arrays import Arrays
from tally.codec.summary import SchemaRecord
from tally.engine.align import LARGEST
from tally.engine.buffer import Buffer
from tally.engine.options import Options
from tally.engine.rows import BINARY, Rows
from tally.engine.schema import MAX_ATTRIBUTES
from tally.engine.summary import Summary
from tally.engine.window import Window
from tally.errors import CorruptState


class WindowRecord(msgspec.Struct, frozen=True):
    """What of a window is not in its arrays.

    Attributes:
        evicted: as in `Window`.
        names, types, bases: of the rows, as in `Rows`.
        schema: of the window's own statistics; None where they are those of the project.
    """

    evicted: int
    names: tuple[str, ...]
    types: str
    bases: tuple[str | None, ...]
    schema: SchemaRecord | None = None


def to_arrays(
    window: Window, *, apart: bool
) -> tuple[dict[str, NDArray[np.float64]], WindowRecord]:
    """Return the arrays of a window and the rest of it.

    Args:
        window: to store.
        apart: whether its statistics are not those of the project.
    """
    rows = window.buffer.joined()
    arrays = {"rows": rows.values}
    if apart:
        arrays |= summaries.to_arrays(window.summary, "summary/")
    schema = summaries.to_record(window.summary) if apart else None
    return arrays, WindowRecord(window.evicted, rows.names, rows.types, rows.bases, schema)


def from_arrays(
    record: WindowRecord | None, options: Options, arrays: Arrays, summary: Summary
) -> Window:
    """Return the window that these arrays and this record were made of.

    Args:
        record: what `to_arrays` gave.
        options: of a project with a window.
        arrays: likewise.
        summary: of the project.

    Raises:
        CorruptState: they do not belong together.
    """
    assert options.window is not None, "only projects with a window have one stored"
    if record is None or (record.schema is None) == options.embedded:
        raise CorruptState("the stored project has not the window that its options ask for")
    if record.schema is not None:
        summary = summaries.from_arrays(record.schema, arrays, "summary/")
    rows = _rows(record, arrays.get("rows"), options.window)
    buffer = Buffer((rows,)) if len(rows.values) else Buffer()
    return Window(options.window, summary, buffer, record.evicted)


def _rows(record: WindowRecord, values: NDArray[np.generic] | None, size: int) -> Rows:
    names, types, bases = record.names, record.types, record.bases
    count = len(names)
    if count > MAX_ATTRIBUTES or not count == len(set(names)) == len(types) == len(bases):
        raise CorruptState(f"{count} names of the window do not fit their types and bases")
    if values is None or values.dtype != np.float64 or values.ndim != 2:
        raise CorruptState("the rows of the window are missing")
    if values.shape[1] != count or len(values) > size:
        raise CorruptState(f"the window holds rows of shape {values.shape}")
    rows = Rows(names, types, bases, values.astype(np.float64))
    binary = rows.values[:, [kind == BINARY for kind in types]]
    if not set(types) <= set("CB") or not np.isin(binary[~np.isnan(binary)], (0, 1)).all():
        raise CorruptState("the window holds a binary attribute that is neither 0 nor 1")
    if (np.abs(rows.values) > LARGEST).any():
        raise CorruptState("the window holds numbers that cannot be summed")
    return rows
