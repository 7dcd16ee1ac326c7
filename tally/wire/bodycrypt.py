"""Encryption of bodies, as the protocol fixed it: deterministic and unauthenticated.

It hides credentials in logs and proxies, no more: equal bodies give equal texts, and only the
signature over a body says that nobody changed it. TLS protects what travels.
"""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, ECB
from cryptography.hazmat.primitives.padding import PKCS7

from tally.errors import InvalidInput
from tally.wire.secret_key import SecretKey
from tally.wire.status import Refused

_IV = base64.b64decode("LzM5QUtXZXWHm7HJ4wAePg==")
_BLOCK_BITS = 128
_BLOCK_BYTES = _BLOCK_BITS // 8
_ENCRYPTED = "it is not encrypted with the customer's secret key"


def encrypt(key: SecretKey, plain: bytes) -> str:
    """Return bytes encrypted with a customer's key: base64 of AES-128-CBC, constant IV.

    Example:
        >>> key = SecretKey(bytes(range(16)))
        >>> decrypt(key, encrypt(key, b'{"a":1}').encode())
        b'{"a":1}'
    """
    return _encrypted(key.raw, CBC(_IV), plain)


def decrypt(key: SecretKey, body: bytes) -> bytes:
    """Return what a body holds; white space and one pair of quotes around it are no part of it.

    Raises:
        InvalidInput: it is not such a text. Always with the same words: they tell nothing of
            what was inside.
    """
    try:
        return _decrypted(key.raw, CBC(_IV), body)
    except ValueError:
        raise InvalidInput("body", _ENCRYPTED) from None


def encrypt_with_password(password: str, plain: bytes) -> str:
    """Return bytes encrypted with a password, as federation invitations are.

    The key is the password filled up with ASCII zeros, and blocks are encrypted one by one, so
    this is only as strong as the password, and equal blocks show.

    Raises:
        Refused: the password has no byte, or more than 16.
    """
    return _encrypted(_padded(password), _codebook(), plain)


def decrypt_with_password(password: str, text: bytes) -> bytes:
    """Return what a text holds that was encrypted with a password.

    Raises:
        Refused: the password has no byte, or more than 16.
        InvalidInput: the text was not encrypted so, or with another password.
    """
    try:
        return _decrypted(_padded(password), _codebook(), text)
    except ValueError:
        raise InvalidInput("invitation", "it is not encrypted with this password") from None


def _encrypted(key: bytes, mode: CBC | ECB, plain: bytes) -> str:
    padder = PKCS7(_BLOCK_BITS).padder()
    encryptor = Cipher(AES(key), mode).encryptor()
    blocks = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    return base64.b64encode(blocks).decode()


def _decrypted(key: bytes, mode: CBC | ECB, text: bytes) -> bytes:
    """Return the plain bytes; ValueError: the text was not made by `_encrypted` with this key."""
    text = text.strip()
    if len(text) > 1 and text[:1] == text[-1:] == b'"':
        text = text[1:-1]
    # Some encoders break the lines of long base64 texts.
    blocks = base64.b64decode(b"".join(text.split()), validate=True)
    decryptor = Cipher(AES(key), mode).decryptor()
    unpadder = PKCS7(_BLOCK_BITS).unpadder()
    plain = decryptor.update(blocks) + decryptor.finalize()
    return unpadder.update(plain) + unpadder.finalize()


def _codebook() -> ECB:
    return ECB()  # noqa: S305 - the existing servers know nothing else


def _padded(password: str) -> bytes:
    raw = password.encode(errors="replace")
    if not 1 <= len(raw) <= _BLOCK_BYTES:
        raise Refused("Password must be 1 to 16 bytes")
    return raw.ljust(_BLOCK_BYTES, b"0")
