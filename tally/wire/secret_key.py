"""A customer's secret key: 16 bytes that sign and encrypt, and the text that is signed with."""

from __future__ import annotations

import base64
import binascii
import secrets
from typing import NoReturn

from tally.errors import InvalidInput

SIZE_BYTES = 16


class SecretKey:
    """A key that shows itself only when asked to.

    Its base64 text is a line of what is signed, so that text is kept as well as the bytes: there
    is exactly one text for each key.

    Example:
        >>> key = SecretKey(bytes(range(16)))
        >>> key
        SecretKey(hidden)
        >>> key.text
        'AAECAwQFBgcICQoLDA0ODw=='
        >>> SecretKey.parse(key.text) == key
        True
    """

    __slots__ = ("raw", "text")

    raw: bytes
    text: str

    def __init__(self, raw: bytes) -> None:
        if len(raw) != SIZE_BYTES:
            raise InvalidInput("key", f"it has {len(raw)} bytes; a key has {SIZE_BYTES}")
        self.raw = bytes(raw)
        self.text = base64.b64encode(self.raw).decode()

    @classmethod
    def parse(cls, text: str) -> SecretKey:
        """Return the key that a text is.

        Raises:
            InvalidInput: it is none; the text is not in the message.
        """
        try:
            key = cls(base64.b64decode(text.encode(), validate=True))
        except (binascii.Error, UnicodeEncodeError):
            key = None
        # Base64 has several texts for the same bytes; a client that signs with another one of
        # them would be refused for ever.
        if key is None or key.text != text:
            raise InvalidInput("key", "it is not the base64 of 16 bytes, 24 characters with '=='")
        return key

    @classmethod
    def generate(cls) -> SecretKey:
        """Return a new key."""
        return cls(secrets.token_bytes(SIZE_BYTES))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretKey) and secrets.compare_digest(self.raw, other.raw)

    def __hash__(self) -> int:
        return hash(self.raw)

    def __repr__(self) -> str:
        return "SecretKey(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret key is not pickled")
