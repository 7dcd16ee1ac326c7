"""A cell's statistics sealed for the customer whose key asked for them.

The text is base64 of a nonce of 12 bytes, then AES-256-GCM over the zlib stream of the bytes, then
its tag of 16 bytes. The key is HKDF-SHA256 of the customer's secret key, without salt, with the
info `sml-cell-v1`.
"""

from __future__ import annotations

import secrets
import zlib

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tally.errors import InvalidInput, TooLarge
from tally.wire.secret_key import SecretKey

DEFAULT_MAX_BYTES = 512 << 20
"""Inflated. A project of 4096 attributes takes some 300 MB."""

_NONCE_BYTES, _TAG_BYTES, _KEY_BYTES = 12, 16, 32
_INFO = b"sml-cell-v1"
# Sums of measured values are floats that hardly repeat: a second of work for each 2 MB saved.
# Those of counts have many zeros. Which of the two these are, a piece from the middle tells.
_SAMPLE_BYTES, _PAYS_BELOW = 1 << 14, 0.75
_STORED, _FAST = 0, 1
_FIELD = "blob"


def seal(key: SecretKey, data: bytes) -> str:
    """Return the text that holds these bytes; another one each time.

    Example:
        >>> key = SecretKey(bytes(range(16)))
        >>> open_sealed(key, seal(key, b"statistics"))
        b'statistics'
    """
    return seal_with(key, data, secrets.token_bytes(_NONCE_BYTES))


def seal_with(key: SecretKey, data: bytes, nonce: bytes) -> str:
    """Return the text for this nonce, which must never be used with the key again."""
    # Base64 by msgspec, both ways: the standard library's takes three times as long to read.
    sealed = _cipher(key).encrypt(nonce, zlib.compress(data, _level(data)), None)
    return str(msgspec.to_builtins(nonce + sealed))


def _level(data: bytes) -> int:
    middle = max(0, (len(data) - _SAMPLE_BYTES) // 2)
    sample = data[middle : middle + _SAMPLE_BYTES]
    pays = len(zlib.compress(sample, _FAST)) < _PAYS_BELOW * len(sample)
    return _FAST if pays else _STORED


def open_sealed(key: SecretKey, text: str, *, max_bytes: int = DEFAULT_MAX_BYTES) -> bytes:
    """Return what was sealed.

    Args:
        max_bytes: that the bytes may take once they are inflated.

    Raises:
        InvalidInput: it was not sealed with this key, or was changed.
        TooLarge: there are more bytes than that; no more were inflated.
    """
    if len(text) > _longest_text(max_bytes):
        raise TooLarge(_FIELD, f"it has {len(text)} characters; {max_bytes} bytes are allowed")
    try:
        raw = msgspec.convert(text, bytes)
        if len(raw) < _NONCE_BYTES + _TAG_BYTES:
            raise ValueError("too short")
        packed = _cipher(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], None)
    except (msgspec.ValidationError, ValueError, InvalidTag):
        # Always the same words, and no cause: they tell nothing of what was inside.
        raise InvalidInput(_FIELD, "it was not sealed with this customer's key") from None
    return _inflated(packed, max_bytes)


def _inflated(packed: bytes, max_bytes: int) -> bytes:
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(packed, max_bytes + 1)
    except zlib.error:
        raise InvalidInput(_FIELD, "what was sealed is no zlib stream") from None
    if len(data) > max_bytes:
        raise TooLarge(_FIELD, f"it holds more than the {max_bytes} bytes that are allowed")
    if not stream.eof or stream.unused_data:
        raise InvalidInput(_FIELD, "what was sealed is not one whole zlib stream")
    return data


def _longest_text(max_bytes: int) -> int:
    # zlib adds a thousandth at most to what does not compress, base64 a third.
    return (max_bytes + max_bytes // 1000 + 1024) * 4 // 3 + 4


def _cipher(key: SecretKey) -> AESGCM:
    return AESGCM(HKDF(SHA256(), _KEY_BYTES, salt=None, info=_INFO).derive(key.raw))
