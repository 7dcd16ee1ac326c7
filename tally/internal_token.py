"""The secret that brokers show to workers: from the settings, or a file made on first start."""

from __future__ import annotations

import hmac
import os
import secrets
from pathlib import Path

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
        return _made(path)
    except OSError as error:
        raise ConfigurationError(f"internal token file {path}: {error.strerror}") from error


def _made(path: Path) -> str:
    if path.exists():
        return _existing(path)
    # Written whole under another name first: nobody may read half of a token.
    draft = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(32))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was first, and its token counts
    finally:
        draft.unlink()
    return _existing(path)


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
