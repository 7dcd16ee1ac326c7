"""The hash trick: values of categories share a fixed number of binary attributes."""

from __future__ import annotations

import mmh3

from tally.engine.frame import SEPARATOR

HASH_BASE = "hash"
"""The category that all buckets are values of: `hash$0`, `hash$1`, ..."""


def bucket(name: str, value: str, bins: int) -> int:
    """Return the bucket of a category's value, 0 to `bins` - 1; the same in every process.

    Args:
        value: trimmed and in lower case.

    Example:
        >>> bucket("color", "red", 512)
        119

    Source: MurmurHash3, x86, 32 bits, seed 0, over the UTF-8 of `name$value`; Austin Appleby,
    github.com/aappleby/smhasher.
    """
    return mmh3.hash(f"{name}{SEPARATOR}{value}".encode(), seed=0, signed=False) % bins
