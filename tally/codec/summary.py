"""A summary as named arrays and JSON, a part of a project's bytes."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from tally.codec.arrays import Arrays
from tally.engine.schema import MAX_ATTRIBUTES, Schema
from tally.engine.summary import Summary
from tally.engine.sums import Floats, Sums, lower
from tally.errors import CorruptState


class SchemaRecord(msgspec.Struct, frozen=True):
    """A schema as JSON."""

    names: tuple[str, ...]
    types: str
    bases: tuple[str | None, ...]
    groups: tuple[int, ...]


def to_record(summary: Summary) -> SchemaRecord:
    """Return what of a summary is not in its arrays."""
    schema = summary.schema
    return SchemaRecord(schema.names, schema.types, schema.bases, schema.groups)


def to_arrays(summary: Summary, prefix: str) -> dict[str, NDArray[np.float64]]:
    """Return the arrays of a summary, each under a name that begins with `prefix`.

    They are those of `tally.engine.sums`, of symmetric ones the lower triangle row by row.
    """
    sums, c = summary.sums, len(summary.schema.continuous)
    arrays = {
        "origins": sums.origins,
        "n": sums.n[lower(len(sums.n))],
        "s": sums.s,
        "q": sums.q,
        "xy": sums.pairs[1:][lower(len(summary.schema))],
        "xxy": sums.xxy,
        "xxyy": sums.pairs[:c, :c].T[lower(c)],
    }
    return {prefix + name: array for name, array in arrays.items()}


def from_arrays(record: SchemaRecord, arrays: Arrays, prefix: str) -> Summary:
    """Return the summary that these arrays and this record were made of.

    Raises:
        CorruptState: an array is missing, has another shape or type, or a number that no rows give.
    """
    schema = _schema(record)
    p, c, g = len(schema), len(schema.continuous), schema.group_count

    def array(name: str, *shape: int) -> Floats:
        found = arrays.get(prefix + name)
        if found is None or found.dtype != np.float64 or found.shape != shape:
            raise CorruptState(f"array {prefix + name!r} is not the float64 {shape} of its schema")
        if not np.isfinite(found).all():
            raise CorruptState(f"array {prefix + name!r} is not finite")
        return found

    n = np.zeros((g, g))
    n[lower(g)] = array("n", _size(g))
    n += np.tril(n, -1).T
    if (n < 0).any() or (n != np.floor(n)).any():
        raise CorruptState(f"array {prefix + 'n'!r} holds what is no number of rows")
    pairs = np.zeros((p + 1, p))
    pairs[1:][lower(p)] = array("xy", _size(p))
    pairs[:c, :c].T[lower(c)] = array("xxyy", _size(c))
    return Summary.of(
        Sums(
            schema,
            array("origins", p).copy(),
            n,
            array("s", p, g).copy(),
            array("q", c, g).copy(),
            pairs,
            array("xxy", c, p).copy(),
        )
    )


def _size(order: int) -> int:
    return order * (order + 1) // 2


def _schema(record: SchemaRecord) -> Schema:
    names, types, bases, groups = record.names, record.types, record.bases, record.groups
    count = len(names)
    if count > MAX_ATTRIBUTES or {len(types), len(bases), len(groups)} != {count}:
        raise CorruptState(f"{count} names do not fit their types, bases and groups")
    if len(set(names)) != count or not set(types) <= set("CB"):
        raise CorruptState("attributes are named twice, or are of an unknown type")
    known = 0
    for group in groups:
        if not 0 <= group <= known:
            raise CorruptState(f"presence group {group} follows {known} others")
        known = max(known, group + 1)
    return Schema(names, types, bases, groups)
