"""JSON bodies of clients whose encoders write `NaN` and `Infinity` without quotes."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from tally.errors import InvalidInput

T = TypeVar("T")

# A text, whole, even one that never ends, so that the search is linear; or one of the tokens.
_TOKENS = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|(-?Infinity|NaN)', re.DOTALL)
_PLACE = re.compile(r" - at `\$\.?(.*)`$", re.DOTALL)
_MAX_SHOWN = 60


def decode_body(body: bytes, kind: type[T]) -> T:
    """Return a body as a type that msgspec knows; a bare `NaN` or `Infinity` is read as its text.

    Raises:
        InvalidInput: it is not JSON, or not of that form; names the place.

    Example:
        >>> decode_body(b'{"a": -Infinity, "b": "NaN"}', dict[str, str])
        {'a': '-Infinity', 'b': 'NaN'}
    """
    try:
        return _decoded(body, kind)
    except msgspec.ValidationError as error:
        raise _misfit(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if body:
            raise InvalidInput("body", f"it is not JSON: {error}") from None
        raise InvalidInput("body", "it is empty") from None
    except RecursionError:
        raise InvalidInput("body", "it is nested too deeply") from None


def quote_tokens(body: bytes) -> bytes:
    """Return JSON with `NaN`, `Infinity` and `-Infinity` as texts; what is in texts stays.

    Example:
        >>> quote_tokens(b'[NaN, "a NaN", -Infinity]')
        b'["NaN", "a NaN", "-Infinity"]'
    """
    return _TOKENS.sub(lambda found: b'"%b"' % found[1] if found[1] else found[0], body)


def _decoded(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        # Only then: reading a body twice is for those few whose numbers are not JSON.
        if b"NaN" in body or b"Infinity" in body:
            return msgspec.json.decode(quote_tokens(body), type=kind)
        raise


def _misfit(error: msgspec.ValidationError) -> InvalidInput:
    text = str(error)
    place = _PLACE.search(text)
    field = place[1] if place else ""
    return InvalidInput(field[:_MAX_SHOWN] or "body", _PLACE.sub("", text))
