"""One question: about which attributes, against which, and how."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from tally.engine.counts import Histograms
from tally.engine.explore.refusals import MissingParameter
from tally.engine.summary import Summary
from tally.errors import InvalidInput


class Source(Protocol):
    """What is explored: a project's snapshot, or anything like it."""

    @property
    def summary(self) -> Summary:
        """The statistics."""
        ...

    @property
    def histograms(self) -> Histograms | None:
        """The counted values; None where they are not counted."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """One question.

    Attributes:
        inputs, targets: attributes by index (as text) or name, or categories by name.
        params: all others, as texts.
        inputs_are_names, targets_are_names: digits are a name there, too, and never an index.

    Example:
        >>> Context(("0",), params={"need_bi_conditional_ci95": "true"}).flag(
        ...     "need_bi_conditional_ci95"
        ... )
        True
    """

    inputs: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    params: Mapping[str, str] = field(default_factory=dict)
    inputs_are_names: bool = False
    targets_are_names: bool = False

    def flag(self, name: str) -> bool:
        """Return whether a parameter says `true`."""
        return self.params.get(name, "").strip().lower() == "true"

    def number(self, *spellings: str) -> float | None:
        """Return a parameter as a finite number, None where it is absent.

        Raises:
            InvalidInput: it is none.
        """
        for name in spellings:
            text = self.params.get(name, "").strip()
            if not text:
                continue
            try:
                number = float(text)
            except ValueError:
                number = math.nan
            if not math.isfinite(number):
                raise InvalidInput(name, f"{text[:40]!r} is not a number")
            return number
        return None

    def required_number(self, *spellings: str) -> float:
        """Return a parameter as a finite number.

        Raises:
            MissingParameter: it is absent.
            InvalidInput: it is no number.
        """
        number = self.number(*spellings)
        if number is None:
            raise MissingParameter(spellings[0])
        return number

    def whole(self, low: int, high: int, *spellings: str) -> int | None:
        """Return a parameter as a whole number from `low` to `high`, None where it is absent.

        Raises:
            InvalidInput: it is none.
        """
        number = self.number(*spellings)
        if number is None:
            return None
        if number != int(number) or not low <= number <= high:
            told = f"{number:g} is not a whole number from {low} to {high}"
            raise InvalidInput(spellings[0], told)
        return int(number)
