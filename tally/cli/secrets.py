"""Secrets that commands need: in files and variables, never in their arguments."""

from __future__ import annotations

import os
from pathlib import Path

from tally.errors import InvalidInput

ENV = "env:"
SOURCE = "FILE, or env:NAME of a variable"
_MAX_BYTES = 64 * 1024


def read_secret(option: str, source: str) -> str:
    """Return the secret that a file or a variable holds, without the end of its line.

    Other users of a machine see the arguments of its commands, so no option takes a secret. No
    error shows the source either: somebody may have written the secret itself there.

    Args:
        option: that names the source; for errors.
        source: path of a file, or `env:` and the name of a variable.

    Raises:
        InvalidInput: there is no such file or variable, or it is empty, or no text.
    """
    if source.startswith(ENV):
        name = source.removeprefix(ENV)
        if not (text := os.environ.get(name, "")):
            raise InvalidInput(option, f"the variable {name!r} is not set")
        return text
    try:
        with Path(source).open(encoding="utf-8") as file:
            text = file.read(_MAX_BYTES).strip()
    except OSError as error:
        raise InvalidInput(option, f"the file that it names: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidInput(option, "the file that it names holds no text") from None
    if not text:
        raise InvalidInput(option, "the file that it names is empty")
    return text
