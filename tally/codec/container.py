"""An exported project: text that carries its bytes compressed, versioned and checksummed.

Layout of the bytes under the base64: 8 of magic, 1 of version, 8 with the size before compression
(little-endian), 32 of SHA-256 over the compressed bytes, and those (zstd).
"""

from __future__ import annotations

import base64
import binascii
import hashlib

import zstandard

from tally.errors import CorruptState

MAGIC = b"TALLYPRJ"
VERSION = 1

_HEAD = len(MAGIC) + 1 + 8 + 32
_LEVEL = 3


def seal(data: bytes) -> str:
    """Return the text of an export; equal bytes give equal texts.

    Example:
        >>> open_sealed(seal(b"project"), max_bytes=100)
        b'project'
    """
    packed = zstandard.ZstdCompressor(level=_LEVEL).compress(data)
    size = len(data).to_bytes(8, "little")
    digest = hashlib.sha256(packed).digest()
    return base64.b64encode(MAGIC + bytes([VERSION]) + size + digest + packed).decode()


def open_sealed(text: str, *, max_bytes: int) -> bytes:
    """Return what was sealed.

    Args:
        text: white space in it, and quotes around it, are ignored.
        max_bytes: what the bytes may take, once decompressed.

    Raises:
        CorruptState: it is no export, is of a newer version, was changed, or is larger than that.
    """
    try:
        raw = base64.b64decode("".join(text.strip().strip('"').split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise CorruptState(f"the export is not base64: {error}") from error
    if len(raw) < _HEAD or not raw.startswith(MAGIC):
        raise CorruptState("the export does not begin as one of ours")
    at = len(MAGIC)
    if raw[at] != VERSION:
        raise CorruptState(f"the export has version {raw[at]}; {VERSION} is known")
    size = int.from_bytes(raw[at + 1 : at + 9], "little")
    digest, packed = raw[at + 9 : _HEAD], raw[_HEAD:]
    if hashlib.sha256(packed).digest() != digest:
        raise CorruptState("the export does not match its checksum")
    if size > max_bytes:
        raise CorruptState(f"the export holds {size} bytes; {max_bytes} are allowed")
    try:
        # A stream of at most so many bytes: the size that a frame declares may be a lie.
        with zstandard.ZstdDecompressor().stream_reader(packed) as reader:
            data = reader.read(size + 1)
    except (zstandard.ZstdError, MemoryError) as error:
        raise CorruptState(f"the export cannot be decompressed: {error}") from error
    if len(data) != size:
        raise CorruptState(f"the export holds another number of bytes than {size}")
    return data
