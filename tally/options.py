"""The options of existing installations: a properties file, and the environment above it.

A key is told with the prefix `rtlm.option.` or without. In the environment it is the whole key in
capitals with dots as underscores: `RTLM_OPTION_SML_FUSION_MAX_DEPTH`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from tally.errors import ConfigurationError

PREFIX = "rtlm.option."
_ENVIRONMENT = "RTLM_OPTION_"
_MAX_BYTES = 2**20
_TRUE, _FALSE = ("1", "true"), ("0", "false", "")


class Options:
    """What the file and the environment say; read once, at start.

    Args:
        given: of the file, without the prefix.
        environ: the environment, which wins.

    Example:
        >>> options = Options({"sml.fusion.max.depth": "3"}, {"RTLM_OPTION_SML_FUSION_FAST": "1"})
        >>> options.number("sml.fusion.max.depth", 8, low=1, high=64)
        3
        >>> options.number("sml.fusion.other", 8, low=1, high=64)
        8
        >>> options.flag("sml.fusion.fast", default=False)
        True
    """

    def __init__(
        self, given: Mapping[str, str] | None = None, environ: Mapping[str, str] | None = None
    ) -> None:
        self._given = dict(given or {})
        self._environ = dict(environ or {})

    @classmethod
    def read(cls, path: Path | None, environ: Mapping[str, str] | None = None) -> Options:
        """Return what a file says; None: there is no file.

        Args:
            path: of the file.
            environ: None: this process's.

        Raises:
            ConfigurationError: the file cannot be read; names the line.
        """
        given = {} if path is None else _parsed(_text(path), path)
        return cls(given, os.environ if environ is None else environ)

    def text(self, key: str) -> str | None:
        """Return an option, None if nobody gave it.

        Args:
            key: without the prefix.
        """
        name = _ENVIRONMENT + key.replace(".", "_").upper()
        found = self._environ.get(name, self._given.get(key))
        return None if found is None else found.strip()

    def number(self, key: str, default: int, *, low: int, high: int) -> int:
        """Return an option that is a whole number.

        Raises:
            ConfigurationError: it is none, or is outside of the bounds.
        """
        if not (text := self.text(key)):
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 20 and low <= int(text) <= high):
            raise ConfigurationError(f"option {key}: {text[:40]!r} is not from {low} to {high}")
        return int(text)

    def flag(self, key: str, *, default: bool) -> bool:
        """Return an option that is 1 or 0.

        Raises:
            ConfigurationError: it is neither.
        """
        text = self.text(key)
        if text is None:
            return default
        if text.lower() not in (*_TRUE, *_FALSE):
            raise ConfigurationError(f"option {key}: {text[:40]!r} is neither 1 nor 0")
        return text.lower() in _TRUE


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"options file {path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigurationError(f"options file {path} is not UTF-8 text") from None
    if len(text) > _MAX_BYTES:
        raise ConfigurationError(f"options file {path} is longer than {_MAX_BYTES} characters")
    return text


def _parsed(text: str, path: Path) -> dict[str, str]:
    given: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not (line := line.strip()) or line[0] in "#!":
            continue
        key, equals, value = line.partition("=")
        if not equals or not key.strip():
            raise ConfigurationError(f"options file {path}, line {number}: it is no key=value")
        given[key.strip().removeprefix(PREFIX)] = value.strip()
    return given
