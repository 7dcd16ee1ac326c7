"""Named arrays and JSON as bytes, with a digest: what projects and statistical models become.

Layout: that of `tally.codec.arrays`, whose header has `kind`, `format_version`, `meta` and
`digest`. The digest covers the arrays and `meta`: a store gives back what it was given, but not
always.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from msgspec import Struct, json
from numpy.typing import NDArray

from tally.codec.arrays import Arrays, read_arrays, read_header, storable, write
from tally.errors import CorruptState

_MAX_HEADER_BYTES = 1 << 25

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
    ready = storable(arrays)
    text = json.encode(meta, order="sorted")
    return write(ready, _Header(kind, version, json.decode(text), _digest(ready, text)))


def unpack(kind: str, version: int, data: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Return the arrays and the JSON in these bytes.

    Raises:
        CorruptState: they are cut, changed, of another kind or of another version.
    """
    _, arrays, meta = unpack_any(kind, (version,), data)
    return arrays, meta


def unpack_any(
    kind: str, versions: tuple[int, ...], data: bytes
) -> tuple[int, dict[str, NDArray[Any]], dict[str, Any]]:
    """Return the version of these bytes, which is one of those, their arrays and their JSON.

    Raises:
        CorruptState: they are cut, changed, of another kind or of another version.
    """
    header = read_header(data, _Header, most_bytes=_MAX_HEADER_BYTES, what=kind)
    if header.kind != kind:
        raise CorruptState(f"these bytes hold {header.kind[:40]!r}, not {kind!r}")
    if header.format_version not in versions:
        known = ", ".join(map(str, versions))
        raise CorruptState(f"{kind} of format {header.format_version}; {known} is known")
    arrays = read_arrays(data, what=kind)
    if _digest(arrays, json.encode(header.meta, order="sorted")) != header.digest:
        raise CorruptState(f"the stored {kind} does not match its digest")
    return header.format_version, arrays, header.meta


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
