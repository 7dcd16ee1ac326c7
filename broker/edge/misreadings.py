"""Why a body cannot be read, by field, index and value rather than by byte."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from tally.errors import InvalidInput

_PLACE = re.compile(r" - at `\$\.?(.*)`$")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MALFORMED = re.compile(r"\(byte (\d+)\)$")
_NOT_FINITE = re.compile(rb"-?(NaN|Infinity|nan|inf)\b")
_ELEMENT = re.compile(r"(data|timestamps)\[(\d+)\]")
_MAX_SHOWN = 60


def misfit(body: bytes, text: str, fields: Sequence[str]) -> InvalidInput:
    """Return the error for JSON that is not of our form.

    Args:
        body: where an element of a list is wrong, its value is taken from here.
        text: what msgspec said.
        fields: that there are.
    """
    place = _PLACE.search(text)
    field = place[1] if place else ""
    reason = _PLACE.sub("", text)
    if unknown := _UNKNOWN.fullmatch(reason):
        known = ", ".join(fields)
        return InvalidInput(
            _short(unknown[1]) or '""', f"there is no such field; the fields are {known}"
        )
    if element := _ELEMENT.fullmatch(field):
        reason = f"{_value(body, element[1], int(element[2]))}{reason}"
    return InvalidInput(field or "body", reason)


def malformed(body: bytes, text: str) -> InvalidInput:
    """Return the error for what is not JSON; NaN and its like, which are common, by their index.

    Example:
        >>> str(malformed(b'{"data":[1,NaN]}', "JSON is malformed: invalid character (byte 11)"))
        'data[1]: NaN is not a finite number, and not JSON'
    """
    at = _MALFORMED.search(text)
    if at is None:
        return InvalidInput("body", f"it is not JSON: {text}")
    offset = int(at[1])
    # msgspec points behind the minus sign, or at it.
    begin = offset - 1 if body[offset - 1 : offset] == b"-" else offset
    if found := _NOT_FINITE.match(body, begin):
        return InvalidInput(
            _element_at(body, begin), f"{found[0].decode()} is not a finite number, and not JSON"
        )
    rest = _short(body[offset : offset + 2 * _MAX_SHOWN].decode(errors="replace"))
    return InvalidInput("body", f"it is not JSON: {text}; from there: {rest!r}")


def _value(body: bytes, name: str, index: int) -> str:
    """Return an element as the client wrote it, and a separator; empty where it cannot be found."""
    try:
        parts = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        raw = msgspec.json.decode(parts[name], type=list[msgspec.Raw])[index]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""  # what follows the element is wrong in some way, too
    return f"{_short(bytes(raw).decode(errors='replace'))}: "


def _element_at(body: bytes, offset: int) -> str:
    """Return which element of `data` an offset is in; `body` if it is in none."""
    opened = body.rfind(b"[", 0, offset)
    closed = body.find(b"]", max(0, opened), offset) >= 0
    if opened < 0 or closed or b'"data"' not in body[max(0, opened - 20) : opened]:
        return "body"
    return f"data[{body.count(b',', opened, offset)}]"


def _short(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
