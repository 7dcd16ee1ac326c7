"""Keeping the memory of one body for the next, where the C library is glibc."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
_MMAP_BYTES = 32 * 2**20
_KEPT_BYTES = 64 * 2**20


def keep_freed_memory() -> bool:
    """Have freed memory stay with the process, up to 64 MiB of each arena; tell if that is set.

    A body of some megabytes is copied a few times on its way. glibc gives such memory back as
    soon as it is free, so that each page of each copy is mapped and zeroed anew: a seventh of
    the processor time of learning. It would move its thresholds to just these values by itself,
    but only after a block of 32 MiB.

    Source: mallopt(3).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False  # another C library, with habits of its own
    # The second undoes what setting the first alone would do to blocks of 128 KiB and more.
    return bool(mallopt(_TRIM_THRESHOLD, _KEPT_BYTES) and mallopt(_MMAP_THRESHOLD, _MMAP_BYTES))
