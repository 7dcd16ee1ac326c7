"""What a client says about a frame beside its cells: types, and what to do with bad ones."""

from __future__ import annotations

from collections.abc import Mapping

from tally.errors import InvalidInput


def is_lenient(error_handling: object, field: str) -> bool:
    """Tell whether bad cells count as missing: for every integer but 0, and 0 is the default.

    Example:
        >>> [is_lenient(value, "errorHandling") for value in (None, 0, 1, "1", 2)]
        [False, False, True, True, True]
    """
    if error_handling is None or error_handling == "":
        return False
    if isinstance(error_handling, int | str):
        try:
            return int(error_handling) != 0
        except ValueError:
            pass
    raise InvalidInput(field, f"it must be an integer, 0 or 1; it is {str(error_handling)[:40]!r}")


def sent_letters(query: Mapping[str, str]) -> list[str] | None:
    """Return the types in `attributeTypes`, with commas between them or without.

    Example:
        >>> sent_letters({"attributetypes": "C,B,T"}), sent_letters({"attributeTypes": "CB"})
        (['C', 'B', 'T'], ['C', 'B'])
    """
    text = find(query, "attributeTypes").strip()
    if not text:
        return None
    return [letter.strip() for letter in text.split(",")] if "," in text else list(text)


def find(query: Mapping[str, str], name: str) -> str:
    """Return a query parameter whatever the case of its name; empty if there is none."""
    wanted = name.lower()
    return next((value for key, value in query.items() if key.lower() == wanted), "")
