"""Options of the form `name=value`."""

from __future__ import annotations

from collections.abc import Iterable

from tally.errors import InvalidInput


def pairs(option: str, texts: Iterable[str] | None, *, secret: bool = False) -> dict[str, str]:
    """Return what was given as `name=value`, by name.

    Args:
        option: that was given; for errors.
        texts: the values of the option; None: it was not given.
        secret: somebody may have written a secret where its source belongs, so no error shows it.

    Raises:
        InvalidInput: one is not of that form.

    Example:
        >>> pairs("--option", ["lambda=0.1"])
        {'lambda': '0.1'}
    """
    found = {}
    for text in texts or ():
        name, separator, value = text.partition("=")
        if not (separator and name):
            raise InvalidInput(option, f"{'it' if secret else repr(text)} is not name=value")
        found[name] = value
    return found
