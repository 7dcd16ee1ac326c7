"""A model's state as bytes: safetensors with JSON metadata. Never pickle.

Layout: little-endian arrays by name, and one metadata entry, `tally`, with JSON of
`format_version`, `family` and `meta`. One entry, because safetensors writes several in random
order, and equal states must give equal bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import MsgspecError, Struct, json
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from tally.errors import CorruptState
from tally.forecast.base import State

ENTRY = "tally"
FORMAT_VERSION = 1

_SIZE_BYTES = 8
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
    arrays: dict[str, NDArray[np.generic]] = {}
    for name in sorted(state.arrays):
        # safetensors writes the bytes of a view as they lie in memory: in the wrong order.
        array = np.ascontiguousarray(state.arrays[name])
        if array.dtype.kind not in "biuf":
            raise ValueError(f"array {name!r} of {state.family} is of type {array.dtype}")
        if array.dtype.kind == "f" and not np.all(np.isfinite(array)):
            raise ValueError(f"array {name!r} of {state.family} is not finite")
        arrays[name] = array
    header = {"format_version": FORMAT_VERSION, "family": state.family, "meta": dict(state.meta)}
    metadata = {ENTRY: json.encode(header, order="sorted").decode()}
    return bytes(save(arrays, metadata))


def decode(data: bytes) -> State:
    """Return the state in these bytes.

    Raises:
        CorruptState: they are cut, changed, of another format or of a newer version of ours.
    """
    header = _header(data)
    if header.format_version != FORMAT_VERSION:
        raise CorruptState(
            f"the stored model has format {header.format_version}; {FORMAT_VERSION} is known"
        )
    try:
        arrays = load(data)
    except (SafetensorError, ValueError, KeyError) as error:  # KeyError: a type numpy lacks
        raise CorruptState(f"the stored model cannot be read: {error}") from error
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.all(np.isfinite(array)):
            raise CorruptState(f"array {name!r} of the stored model is not finite")
    return State(header.family, arrays, header.meta)


class _Header(Struct):
    format_version: int
    family: str
    meta: dict[str, object]


def _header(data: bytes) -> _Header:
    size = int.from_bytes(data[:_SIZE_BYTES], "little")
    if len(data) < _SIZE_BYTES or not 0 < size <= min(_MAX_HEADER_BYTES, len(data)):
        raise CorruptState(f"the stored model of {len(data)} bytes has no readable header")
    try:
        every = json.decode(data[_SIZE_BYTES : _SIZE_BYTES + size], type=dict[str, Any])
        return json.decode(every["__metadata__"][ENTRY], type=_Header)
    except (MsgspecError, UnicodeDecodeError, RecursionError, KeyError, TypeError) as error:
        raise CorruptState(f"the stored model's header cannot be read: {error!r}") from error
