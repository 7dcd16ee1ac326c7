"""Parameters as they arrive: texts by name."""

from __future__ import annotations

import math
from collections.abc import Mapping

from tally.errors import InvalidInput

_TRUTH = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}

MOST_INPUTS = 4096


class Parameters:
    """Reads texts as what they must be, and remembers what was read.

    Keys that nobody reads are a model's own notes, not an error.

    Attributes:
        given: the texts.
        inputs: that the model has, at most.
        used: every value that was read or defaulted, by key, in order.

    Example:
        >>> given = Parameters({"lambda": "0.5", "standardize": "TRUE", "owner": "Ann"})
        >>> given.number("lambda", 0.01, low=0), given.flag("standardize"), given.flag("debias")
        (0.5, True, False)
        >>> given.used
        {'lambda': 0.5, 'standardize': True, 'debias': False}
    """

    def __init__(self, given: Mapping[str, str], inputs: int = MOST_INPUTS) -> None:
        self.given = given
        self.inputs = inputs
        self.used: dict[str, str | int | float | bool] = {}

    def flag(self, key: str, default: bool = False) -> bool:
        """Return a truth value.

        Raises:
            InvalidInput: it is neither true nor false, 1 nor 0.
        """
        text = self._text(key)
        value = default if text is None else _TRUTH.get(text.lower())
        if value is None:
            raise InvalidInput(key, f"{text!r} is neither true nor false")
        self.used[key] = value
        return value

    def number(
        self,
        key: str,
        default: float,
        low: float = -math.inf,
        high: float = math.inf,
        *,
        nan: bool = False,
    ) -> float:
        """Return a finite number in [low, high]; NaN only where that means something.

        Raises:
            InvalidInput: it is not such a number.
        """
        text = self._text(key)
        value = default if text is None else _number(key, text)
        allowed = nan if math.isnan(value) else low <= value <= high and math.isfinite(value)
        if text is not None and not allowed:
            raise InvalidInput(key, f"{text} is not {_range('a number', low, high)}")
        self.used[key] = value
        return value

    def whole(self, key: str, default: int, low: int, high: int) -> int:
        """Return a whole number in [low, high].

        Raises:
            InvalidInput: it is not such a number.
        """
        text = self._text(key)
        value = float(default) if text is None else _number(key, text)
        if text is not None and not (low <= value <= high and value.is_integer()):
            raise InvalidInput(key, f"{text} is not {_range('a whole number', low, high)}")
        self.used[key] = int(value)
        return int(value)

    def choice(self, key: str, default: str, choices: tuple[str, ...]) -> str:
        """Return one of these texts.

        Raises:
            InvalidInput: it is none of them.
        """
        value = (self._text(key) or default).lower()
        if value not in choices:
            raise InvalidInput(key, f"{value!r} is none of {', '.join(filter(None, choices))}")
        if value:
            self.used[key] = value
        return value

    def has(self, key: str) -> bool:
        """Return whether there is a value."""
        return self._text(key) is not None

    def _text(self, key: str) -> str | None:
        return self.given.get(key, "").strip() or None


def _number(key: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidInput(key, f"{text[:40]!r} is not a number") from None


def _range(what: str, low: float, high: float) -> str:
    if math.isinf(low) and math.isinf(high):
        return f"{what} that is finite"
    if math.isinf(high):
        return f"{what} from {low:g} up"
    return f"{what} from {low:g} to {high:g}"
