"""What the text of one cell stands for: nothing, a number, a category's value."""

from __future__ import annotations

import math

_MISSING = frozenset({"", "na", "nan", "null"})


def is_missing(text: str) -> bool:
    """Tell whether a cell's text stands for no value.

    Case does not matter: categories are lower-cased, so `NA` and `na` could not be told apart.

    Example:
        >>> [is_missing(text) for text in ("", "  ", "NaN", "na", "null", "none")]
        [True, True, True, True, True, False]
    """
    return text.strip().lower() in _MISSING


def number(text: str) -> float:
    """Return the number that a cell's text stands for, NaN where it stands for none.

    Spaces around it are ignored, an exponent is allowed, and `Infinity` is missing like `NaN`.

    Raises:
        ValueError: it is no number, or beyond the range of a float64.

    Example:
        >>> [number(text) for text in (" 1.5e2 ", "", "-Infinity")]
        [150.0, nan, nan]
    """
    if is_missing(text):
        return math.nan
    if "_" in text or not text.isascii():
        raise ValueError(text)  # `float` would read 1_000 and the digits of other scripts
    value = float(text)
    if math.isfinite(value):
        return value
    if text.rstrip()[-1].isdigit():
        raise ValueError(text)  # 1e999, which is a number but not one of ours
    return math.nan


def category(value: str) -> str:
    """Return a category's value as it appears in names: trimmed, in lower case."""
    return value.strip().lower()


def number_text(value: float) -> str:
    """Return a finite number as the text that stands for it among categories and tokens.

    Many clients turn integers into floats as soon as one of them is missing, so 3.0 is `3`.

    Example:
        >>> number_text(3.0), number_text(0.1)
        ('3', '0.1')
    """
    return str(int(value)) if value.is_integer() and abs(value) < 1 << 53 else repr(value)
