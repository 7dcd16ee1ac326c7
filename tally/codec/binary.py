"""A model's state as bytes: safetensors with JSON metadata. Never pickle.

Layout: little-endian arrays by name, and in the metadata `format` (what this is),
`format_version`, `family` and `meta` (JSON). Equal states give equal bytes.
"""

from __future__ import annotations

import numpy as np
from msgspec import DecodeError, json
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from tally.errors import CorruptState
from tally.forecast.base import State

FORMAT = "tally.model"
FORMAT_VERSION = 1

_HEADER_BYTES = 8
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
    metadata = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "family": state.family,
        "meta": json.encode(dict(state.meta), order="sorted").decode(),
    }
    return bytes(save(arrays, metadata))


def decode(data: bytes) -> State:
    """Return the state in these bytes.

    Raises:
        CorruptState: they are cut, changed, of another format or of a newer version of ours.
    """
    metadata = _metadata(data)
    if metadata.get("format") != FORMAT:
        raise CorruptState(f"these bytes are not a {FORMAT}: format {metadata.get('format')!r}")
    if metadata.get("format_version") != str(FORMAT_VERSION):
        version = metadata.get("format_version")
        raise CorruptState(f"{FORMAT} version {version!r} is not known; {FORMAT_VERSION} is")
    try:
        arrays = load(data)
        meta = json.decode(metadata["meta"], type=dict[str, object])
        return State(metadata["family"], arrays, meta)
    except (SafetensorError, DecodeError, KeyError, ValueError) as error:
        raise CorruptState(f"the stored model cannot be read: {error}") from error


def _metadata(data: bytes) -> dict[str, str]:
    size = int.from_bytes(data[:_HEADER_BYTES], "little")
    if len(data) < _HEADER_BYTES or not 0 < size <= min(_MAX_HEADER_BYTES, len(data)):
        raise CorruptState(f"the stored model of {len(data)} bytes has no readable header")
    try:
        header = json.decode(data[_HEADER_BYTES : _HEADER_BYTES + size], type=dict[str, object])
    except DecodeError as error:
        raise CorruptState(f"the stored model's header cannot be read: {error}") from error
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict):
        raise CorruptState("the stored model's header has no metadata")
    return {str(key): str(value) for key, value in metadata.items()}
