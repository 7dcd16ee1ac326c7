"""The secret that brokers show to workers: from the settings, or a file made on first start."""

from __future__ import annotations

import hmac
import secrets
from pathlib import Path

from tally import private_file
from tally.errors import ConfigurationError
from tally.settings import Settings


def internal_token(settings: Settings) -> str:
    """Return the token, made if this is the first process to ask for it.

    Raises:
        ConfigurationError: the file cannot be read or made, or is empty.
    """
    if given := settings.internal_token.get_secret_value():
        return given
    path = settings.internal_token_file or settings.data_dir / "internal-token"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        private_file.write_once(path, secrets.token_urlsafe(32))
        return _existing(path)
    except OSError as error:
        raise ConfigurationError(f"internal token file {path}: {error.strerror}") from error


def _existing(path: Path) -> str:
    if not (token := path.read_text().strip()):
        raise ConfigurationError(f"internal token file {path} is empty; delete it")
    return token


def authorized(header: str | None, token: str) -> bool:
    """Tell whether an `Authorization` header carries the token; takes the same time either way.

    Example:
        >>> authorized("Bearer t", "t"), authorized(None, "t"), authorized("Bearer", "t")
        (True, False, False)
    """
    given = (header or "").removeprefix("Bearer ")
    return hmac.compare_digest(given.encode(), token.encode())
