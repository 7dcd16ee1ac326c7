"""Named arrays and JSON as bytes, with a digest: safetensors with one metadata entry.

Layout: little-endian arrays by name, and one metadata entry, `tally`, with JSON of `kind`,
`format_version`, `meta` and `digest`. One entry, because safetensors writes several in random
order, and equal states must give equal bytes. The digest covers the arrays and `meta`: a store
gives back what it was given, but not always.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from msgspec import MsgspecError, Struct, json
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from tally.errors import CorruptState

ENTRY = "tally"

_SIZE_BYTES = 8
_MAX_HEADER_BYTES = 1 << 25

Arrays = Mapping[str, NDArray[Any]]
Meta = Mapping[str, Any]


def pack(kind: str, version: int, arrays: Arrays, meta: Meta) -> bytes:
    """Return arrays and JSON as bytes; equal ones give equal bytes.

    Raises:
        ValueError: an array holds objects.

    Example:
        >>> data = pack("counts", 1, {"n": np.array([2.0])}, {"names": ["x"]})
        >>> unpack("counts", 1, data)
        ({'n': array([2.])}, {'names': ['x']})
    """
    # safetensors writes the bytes of a view as they lie in memory: in the wrong order.
    ready = {name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)}
    for name, array in ready.items():
        if array.dtype.kind not in "biuf":
            raise ValueError(f"array {name!r} is of type {array.dtype}")
    text = json.encode(meta, order="sorted")
    header = _Header(kind, version, json.decode(text), _digest(ready, text))
    return bytes(save(ready, {ENTRY: json.encode(header, order="sorted").decode()}))


def unpack(kind: str, version: int, data: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Return the arrays and the JSON in these bytes.

    Raises:
        CorruptState: they are cut, changed, of another kind or of another version.
    """
    header = _header(data)
    if header.kind != kind:
        raise CorruptState(f"these bytes hold {header.kind[:40]!r}, not {kind!r}")
    if header.format_version != version:
        raise CorruptState(f"{kind} of format {header.format_version}; {version} is known")
    try:
        arrays = load(data)
    except (SafetensorError, ValueError, KeyError) as error:  # KeyError: a type numpy lacks
        raise CorruptState(f"the stored {kind} cannot be read: {error}") from error
    if _digest(arrays, json.encode(header.meta, order="sorted")) != header.digest:
        raise CorruptState(f"the stored {kind} does not match its digest")
    return arrays, header.meta


class _Header(Struct):
    kind: str
    format_version: int
    meta: dict[str, Any]
    digest: str


def _digest(arrays: Arrays, meta: bytes) -> str:
    told = hashlib.sha256(meta)
    for name in sorted(arrays):
        array = arrays[name]
        told.update(json.encode([name, array.dtype.str, array.shape]))
        told.update(array.reshape(-1).view(np.uint8).data)
    return told.hexdigest()


def _header(data: bytes) -> _Header:
    size = int.from_bytes(data[:_SIZE_BYTES], "little")
    if len(data) < _SIZE_BYTES or not 0 < size <= min(_MAX_HEADER_BYTES, len(data)):
        raise CorruptState(f"the {len(data)} stored bytes have no readable header")
    try:
        every = json.decode(data[_SIZE_BYTES : _SIZE_BYTES + size], type=dict[str, Any])
        return json.decode(every["__metadata__"][ENTRY], type=_Header)
    except (MsgspecError, UnicodeDecodeError, RecursionError, KeyError, TypeError) as error:
        raise CorruptState(f"the header of the stored bytes cannot be read: {error!r}") from error
