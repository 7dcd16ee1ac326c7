"""The key that seals secrets before they are stored, so that a copy of the store shows none."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import msgspec
import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tally import private_file
from tally.errors import ConfigurationError, CorruptState
from tally.settings import Settings

SIZE_BYTES = 32
_NONCE_BYTES = 12
_LOG = structlog.get_logger(__name__)


class Sealed(msgspec.Struct, frozen=True):
    """A secret as it is stored.

    Attributes:
        master: id of the master key that opens it.
        box: a random nonce and what AES-256-GCM made of the secret; base64 in JSON.
    """

    master: str
    box: bytes


class MasterKey:
    """Seals and opens; shows itself to nobody.

    Example:
        >>> master = MasterKey(bytes(32))
        >>> master
        MasterKey(hidden)
        >>> sealed = master.seal(b"secret", "user key", "ann")
        >>> master.open(sealed, "user key", "ann")
        b'secret'
    """

    __slots__ = ("_cipher", "id")

    id: str

    def __init__(self, raw: bytes) -> None:
        if len(raw) != SIZE_BYTES:
            raise ConfigurationError(f"master key: it has {len(raw)} bytes, not {SIZE_BYTES}")
        self._cipher = AESGCM(raw)
        # One way: it tells which key is needed, and nothing about it.
        self.id = hmac.new(raw, b"tally master key id", hashlib.sha256).hexdigest()[:16]

    @classmethod
    def parse(cls, text: str, source: str) -> MasterKey:
        """Return the key that a text is.

        Raises:
            ConfigurationError: it is none; names the source, never the text.
        """
        try:
            raw = base64.b64decode(text.strip().encode(), validate=True)
        except (binascii.Error, UnicodeEncodeError):
            raw = b""
        if len(raw) != SIZE_BYTES:
            raise ConfigurationError(
                f"{source} is not the base64 of {SIZE_BYTES} bytes; `openssl rand -base64 "
                f"{SIZE_BYTES}` makes one, but nothing sealed so far can be read with a new key"
            )
        return cls(raw)

    def seal(self, secret: bytes, purpose: str, owner: str) -> Sealed:
        """Return a secret as it may be stored.

        Args:
            secret: any bytes.
            purpose, owner: what it is for and whose; it opens for the same two only, so a stored
                secret that is moved to another row is refused. No newline in the purpose.
        """
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return Sealed(self.id, nonce + self._cipher.encrypt(nonce, secret, _bound(purpose, owner)))

    def open(self, sealed: Sealed, purpose: str, owner: str) -> bytes:
        """Return what was sealed.

        Raises:
            ConfigurationError: it was sealed under another master key.
            CorruptState: it was changed, or belongs to another purpose or owner.
        """
        if sealed.master != self.id:
            raise ConfigurationError(
                f"the {purpose} of {owner!r} is sealed under the master key {sealed.master}, and "
                f"ours is {self.id}: give the one that it was sealed under as TALLY_MASTER_KEY or "
                "TALLY_MASTER_KEY_FILE (in a backup it is the file master.key)"
            )
        nonce, box = sealed.box[:_NONCE_BYTES], sealed.box[_NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, box, _bound(purpose, owner))
        except (InvalidTag, ValueError):  # ValueError: too short to have a nonce
            raise CorruptState(f"the {purpose} of {owner!r} was changed in the store") from None

    def __repr__(self) -> str:
        return "MasterKey(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a master key is not pickled")


def master_key(settings: Settings) -> MasterKey:
    """Return the master key of these settings; made, with one line in the log, if it is the first.

    A file that is named is made if it is missing; without a name one is made for the embedded
    store only. Machines that share a store must share the key, and each would make its own.

    Raises:
        ConfigurationError: there is none, or it cannot be used; the message says what to do.
    """
    if given := settings.master_key.get_secret_value():
        return MasterKey.parse(given, "TALLY_MASTER_KEY")
    path = settings.master_key_file or settings.data_dir / "master.key"
    try:
        if settings.master_key_file is None:
            _refuse_if_shared(settings)
        _make(path)
        return MasterKey.parse(path.read_text(), f"master key file {path}")
    except OSError as error:
        raise ConfigurationError(f"master key file {path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigurationError(f"master key file {path} is not text") from None


def _refuse_if_shared(settings: Settings) -> None:
    if urlsplit(settings.store()).scheme != "sqlite":
        raise ConfigurationError(
            "TALLY_MASTER_KEY or TALLY_MASTER_KEY_FILE is needed with a store that machines "
            "share, the same on each of them; `openssl rand -base64 32` makes a key"
        )


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    made = base64.b64encode(secrets.token_bytes(SIZE_BYTES)).decode()
    if private_file.write_once(path, made + "\n"):
        _LOG.warning(
            "made a master key: back this file up, without it no customer's key can be read",
            path=str(path.absolute()),
        )


def _bound(purpose: str, owner: str) -> bytes:
    return f"{purpose}\n{owner}".encode()
