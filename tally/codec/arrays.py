"""Arrays and a header as a safetensors file with one metadata entry; little-endian, never pickle.

One entry, because safetensors writes several in random order, and equal states must give equal
bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, TypeVar

import numpy as np
from msgspec import MsgspecError, Struct, json
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from tally.errors import CorruptState

Arrays: TypeAlias = Mapping[str, NDArray[Any]]
Header = TypeVar("Header", bound=Struct)

_ENTRY = "tally"
_SIZE_BYTES = 8


def storable(arrays: Arrays) -> dict[str, NDArray[Any]]:
    """Return arrays as `write` takes them, by ascending name.

    Raises:
        ValueError: one holds objects.
    """
    # safetensors writes the bytes of a view as they lie in memory: in the wrong order.
    ready = {name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)}
    for name, array in ready.items():
        if array.dtype.kind not in "biuf":
            raise ValueError(f"array {name!r} is of type {array.dtype}")
    return ready


def write(arrays: dict[str, NDArray[Any]], header: Struct) -> bytes:
    """Return storable arrays and a header as bytes; equal ones give equal bytes."""
    return bytes(save(arrays, {_ENTRY: json.encode(header, order="sorted").decode()}))


def read_header(data: bytes, kind: type[Header], *, most_bytes: int, what: str) -> Header:
    """Return the header in these bytes.

    Args:
        data: what `write` gave.
        kind: of the header.
        most_bytes: that a header may take.
        what: they hold, for errors.

    Raises:
        CorruptState: they are cut, or begin as something else.
    """
    size = int.from_bytes(data[:_SIZE_BYTES], "little")
    if len(data) < _SIZE_BYTES or not 0 < size <= min(most_bytes, len(data)):
        raise CorruptState(f"the stored {what} of {len(data)} bytes has no readable header")
    try:
        every = json.decode(data[_SIZE_BYTES : _SIZE_BYTES + size], type=dict[str, Any])
        return json.decode(every["__metadata__"][_ENTRY], type=kind)
    except (MsgspecError, UnicodeDecodeError, RecursionError, KeyError, TypeError) as error:
        raise CorruptState(f"the stored {what}'s header cannot be read: {error!r}") from error


def read_arrays(data: bytes, *, what: str) -> dict[str, NDArray[Any]]:
    """Return the arrays in these bytes, each in memory of its own.

    Raises:
        CorruptState: they are cut or changed, or an array is of a type that numpy lacks.
    """
    try:
        return load(data)
    except (SafetensorError, ValueError, KeyError) as error:  # KeyError: a type numpy lacks
        raise CorruptState(f"the stored {what} cannot be read: {error}") from error
