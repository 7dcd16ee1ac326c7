"""What every coordinator accepts, checked before anything is sent."""

from __future__ import annotations

import math

from tally.errors import InvalidInput, TooLarge

MAX_KEY_BYTES = 1024
"""Of a key as UTF-8, without the configured prefix."""

MAX_VALUE_BYTES = 1024 * 1024
"""Models never go into a coordinator; etcd itself refuses more than 1.5 MiB."""

MIN_TTL_S = 2.0
"""etcd grants no shorter lease."""


def check_key(key: str) -> None:
    """Refuse a key that some backend could not hold.

    Raises:
        InvalidInput: it is empty, over `MAX_KEY_BYTES`, has a NUL character, or is no Unicode.
    """
    if not key or "\0" in key:
        raise InvalidInput("key", f"{key!r} is empty or has a NUL character")
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise InvalidInput("key", f"{key!r} has half of a surrogate pair") from None
    if size > MAX_KEY_BYTES:
        raise TooLarge(
            "key", f"{size} bytes are over the bound of {MAX_KEY_BYTES}: {key[:40]!r}..."
        )


def check_value(key: str, value: bytes) -> None:
    """Refuse a value over `MAX_VALUE_BYTES` with `TooLarge`."""
    if len(value) > MAX_VALUE_BYTES:
        raise TooLarge("value", f"{len(value)} bytes for {key!r}, at most {MAX_VALUE_BYTES}")


def check_ttl(ttl_s: float) -> None:
    """Refuse a time to live that no backend can keep, with `InvalidInput`."""
    if not (math.isfinite(ttl_s) and ttl_s >= MIN_TTL_S):
        raise InvalidInput("ttl_s", f"{ttl_s} s is not a time of at least {MIN_TTL_S:g} s")
