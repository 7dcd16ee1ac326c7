"""Who asks, and whom: the address of a broker, a customer and the customer's key."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from tally.errors import InvalidInput
from tally.wire.secret_key import SecretKey

DEFAULT_URL = "http://127.0.0.1:5000"
URL, CID, KEY = "TALLY_URL", "TALLY_CID", "TALLY_KEY"


@dataclass(frozen=True, slots=True)
class Account:
    """A customer of a service.

    Attributes:
        url: of a broker, without a slash at its end.
        cid: the customer's id.
        key: what the customer signs with; never shown.
    """

    url: str
    cid: str
    key: SecretKey = field(repr=False)

    @classmethod
    def of(
        cls,
        cid: str | None = None,
        key: str | SecretKey | None = None,
        url: str | None = None,
        *,
        environment: Mapping[str, str] | None = None,
    ) -> Account:
        """Return the account that the arguments name; `TALLY_CID` and so on fill what is left out.

        Raises:
            InvalidInput: the customer or the key is not given anywhere, or cannot be one.

        Example:
            >>> Account.of("ann", "AAECAwQFBgcICQoLDA0ODw==", "http://localhost:5000/")
            Account(url='http://localhost:5000', cid='ann')
        """
        given = os.environ if environment is None else environment
        cid = given.get(CID, "") if cid is None else cid
        if not cid:
            raise InvalidInput("cid", f"no customer is given; pass one, or set {CID}")
        key = given.get(KEY, "") if key is None else key
        if not key:
            raise InvalidInput("key", f"no key is given; pass one, or set {KEY}")
        url = (url or given.get(URL) or DEFAULT_URL).rstrip("/")
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise InvalidInput("url", f"{url!r} is not like {DEFAULT_URL}")
        if parts.path or parts.query:
            # The signature covers the path: a prefix that a proxy takes away would break it.
            raise InvalidInput("url", f"{url!r} has a path; signed requests cannot have a prefix")
        return cls(url, cid, key if isinstance(key, SecretKey) else SecretKey.parse(key.strip()))


def read_key_file(path: Path) -> SecretKey:
    """Return the key that a file holds, alone on its line.

    Raises:
        InvalidInput: the file cannot be read, or holds no key.
    """
    try:
        text = path.read_text(encoding="ascii")
    except OSError as error:
        raise InvalidInput(str(path), str(error.strerror)) from error
    except UnicodeDecodeError:
        raise InvalidInput(str(path), "it holds no key") from None
    return SecretKey.parse(text.strip())
