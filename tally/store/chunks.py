"""Large bytes in pieces that every server likes, and the proof that they came back whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from tally.errors import CorruptState
from tally.ids import BlobId
from tally.store.base import Blob

CHUNK_BYTES = 512 * 1024


def describe(blob: BlobId, data: bytes) -> Blob:
    """Return what identifies these bytes.

    Example:
        >>> describe(BlobId("b"), b"abc").size_bytes
        3
    """
    return Blob(blob, len(data), hashlib.sha256(data).hexdigest())


def split(data: bytes) -> Iterator[bytes]:
    """Yield the bytes in chunks; at least one, so that an empty blob exists too.

    Example:
        >>> list(split(b""))
        [b'']
    """
    yield data[:CHUNK_BYTES]
    for start in range(CHUNK_BYTES, len(data), CHUNK_BYTES):
        yield data[start : start + CHUNK_BYTES]


def count(size_bytes: int) -> int:
    """Return into how many chunks `split` cuts.

    Example:
        >>> count(0), count(CHUNK_BYTES), count(CHUNK_BYTES + 1)
        (1, 1, 2)
    """
    return max(1, -(-size_bytes // CHUNK_BYTES))


def verified(blob: Blob, data: bytes) -> bytes:
    """Return the bytes if they are the ones that were written.

    Raises:
        CorruptState: they are not.
    """
    if len(data) != blob.size_bytes or hashlib.sha256(data).hexdigest() != blob.sha256:
        raise CorruptState(
            f"blob {blob.id} was read as {len(data)} bytes, but its digest or its size of "
            f"{blob.size_bytes} bytes does not match: a part was changed or lost"
        )
    return data
