"""The keys of a federation, which all peers share, and of one peer, which nobody shares."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tally.errors import InvalidInput

SECRET_BYTES = 16
PUBLIC_BYTES = 32
SIGNATURE_BYTES = 64
_NAME_LENGTH = 40


class FederationKeys:
    """What is derived from a federation's name and secret; shows neither.

    Attributes:
        fid: names the federation in subjects and envelopes.
        encryption, mac: 32 bytes each.

    Example:
        >>> keys = FederationKeys("my federation", bytes(16))
        >>> keys, keys.fid, len(keys.mac)
        (FederationKeys(my_federation-374708ff), 'my_federation-374708ff', 32)
    """

    __slots__ = ("encryption", "fid", "mac")

    def __init__(self, name: str, secret: bytes) -> None:
        if len(secret) != SECRET_BYTES:
            reason = f"it has {len(secret)} bytes; a key has {SECRET_BYTES}"
            raise InvalidInput("fed_secret_key", reason)
        self.fid = federation_id(name, secret)
        self.encryption = _derive(secret, b"sml-fed-enc-v1")
        self.mac = _derive(secret, b"sml-fed-mac-v1")

    def verify(self, public: str, signature: bytes, message: bytes) -> bool:
        """Tell whether a peer of this federation, who has this public key, signed a message."""
        return verify(public, signature, message)

    def __repr__(self) -> str:
        return f"FederationKeys({self.fid})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("the keys of a federation are not pickled")


class Identity:
    """One peer: its uuid and the key that it signs with, which it does not show.

    Example:
        >>> identity = Identity("a" * 32, bytes(range(32)))
        >>> verify(identity.public, identity.sign(b"hello"), b"hello")
        True
    """

    __slots__ = ("_key", "public", "uuid")

    def __init__(self, uuid: str, private: bytes) -> None:
        if len(private) != PUBLIC_BYTES:
            raise InvalidInput("ed25519_key", f"it has {len(private)} bytes, not {PUBLIC_BYTES}")
        self.uuid = uuid
        self._key = Ed25519PrivateKey.from_private_bytes(private)
        self.public = base64.b64encode(self._key.public_key().public_bytes_raw()).decode()

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of the signature."""
        return self._key.sign(message)

    def __repr__(self) -> str:
        return f"Identity({self.uuid})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("the key of a peer is not pickled")


def verify(public: str, signature: bytes, message: bytes) -> bool:
    """Tell whether the holder of a public key, in base64, signed this."""
    try:
        raw = base64.b64decode(public.encode(), validate=True)
        Ed25519PublicKey.from_public_bytes(raw).verify(signature, message)
    except (binascii.Error, UnicodeEncodeError, ValueError, InvalidSignature):
        return False
    return True


def is_public_key(text: str) -> bool:
    """Tell whether this is the base64 of a public key's 32 bytes."""
    try:
        return len(base64.b64decode(text.encode(), validate=True)) == PUBLIC_BYTES
    except (binascii.Error, UnicodeEncodeError):
        return False


def federation_id(name: str, secret: bytes) -> str:
    """Return the id that stands in subjects: the name made safe, and 8 digits of the key's hash."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:_NAME_LENGTH]
    return f"{safe}-{hashlib.sha256(secret).hexdigest()[:8]}"


def _derive(secret: bytes, use: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=use).derive(secret)
