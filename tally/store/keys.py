"""Which keys start with a prefix, as a range that an ordered store can seek."""

from __future__ import annotations

_LAST = 0x10FFFF
_BEFORE_SURROGATES, _AFTER_SURROGATES = 0xD7FF, 0xE000


def end_of(prefix: str) -> str | None:
    """Return the first key after all that start with `prefix`; None: there is no such key.

    SQLite and CQL order text by its UTF-8 bytes, which is the order of its code points.

    Example:
        >>> end_of("fits/"), end_of("z\U0010ffff"), end_of("")
        ('fits0', '{', None)
    """
    kept = prefix.rstrip(chr(_LAST))
    if not kept:
        return None
    last = ord(kept[-1])
    # Surrogates are no characters: no key can hold one, and none can be sent.
    following = _AFTER_SURROGATES if last == _BEFORE_SURROGATES else last + 1
    return kept[:-1] + chr(following)
