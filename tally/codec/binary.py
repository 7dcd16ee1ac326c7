"""A forecast model's state as bytes. Never pickle.

Layout: that of `tally.codec.arrays`, whose header has `format_version`, `family` and `meta`. It
bears no digest: the manifest beside the stored bytes has one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Struct

from tally.codec.arrays import Arrays, read_arrays, read_header, storable, write
from tally.errors import CorruptState
from tally.forecast.base import State

FORMAT_VERSION = 1

_MAX_HEADER_BYTES = 1 << 20


def encode(state: State) -> bytes:
    """Return a state as bytes; equal states give equal bytes.

    Raises:
        ValueError: an array holds objects, or a number that is not finite.

    Example:
        >>> state = State("seasonal_naive", {"season": np.array([1.0, 2.0])}, {"period": 2})
        >>> decode(encode(state)).meta
        {'period': 2}
    """
    arrays = storable(state.arrays)
    odd = _not_finite(arrays)
    if odd is not None:
        raise ValueError(f"array {odd!r} of {state.family} is not finite")
    return write(arrays, _Header(FORMAT_VERSION, state.family, dict(state.meta)))


def decode(data: bytes) -> State:
    """Return the state in these bytes.

    Raises:
        CorruptState: they are cut, changed, of another format or of a newer version of ours.
    """
    header = read_header(data, _Header, most_bytes=_MAX_HEADER_BYTES, what="model")
    if header.format_version != FORMAT_VERSION:
        raise CorruptState(
            f"the stored model has format {header.format_version}; {FORMAT_VERSION} is known"
        )
    arrays = read_arrays(data, what="model")
    odd = _not_finite(arrays)
    if odd is not None:
        raise CorruptState(f"array {odd!r} of the stored model is not finite")
    return State(header.family, arrays, header.meta)


class _Header(Struct):
    format_version: int
    family: str
    meta: dict[str, Any]


def _not_finite(arrays: Arrays) -> str | None:
    """Return the name of an array with a number that is not finite, if there is one."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            return name
    return None
