"""A series as bytes: float64, little-endian, nothing else. Needs no numpy, so the broker packs."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable


def pack(values: Iterable[float]) -> bytes:
    """Return values as little-endian float64; `numpy.frombuffer(data, "<f8")` reads them.

    Example:
        >>> pack([1.0, -2.0]).hex()
        '000000000000f03f00000000000000c0'
    """
    packed = array("d", values)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()
