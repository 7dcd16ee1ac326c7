"""When peers synchronise: a period, whose rounds are counted from 1970 so that all agree."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tally.engine.prescribed import Prescribed

_UNITS_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
MAX_PERIOD_MS = 366 * _UNITS_MS["d"]
_FORM = re.compile(r"([mhd])([1-9][0-9]{0,8})", re.ASCII)
_SECONDS = re.compile(r"(s)([1-9][0-9]{0,8})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A period in milliseconds, and the text that it was written as.

    Example:
        >>> Schedule.parse("m5").round_at(600_001), Schedule.parse("m5").start_of(3)
        (2, 900000)
    """

    text: str
    period_ms: int

    @classmethod
    def parse(cls, text: str, *, allow_seconds: bool = False) -> Schedule:
        """Return the schedule that a text such as `m5`, `h12` or `d1` means.

        Args:
            text: minutes, hours or days, 366 days at most.
            allow_seconds: take `s2` as well; for tests.

        Raises:
            InvalidInput: it means none.
        """
        found = _FORM.fullmatch(text) or (_SECONDS.fullmatch(text) if allow_seconds else None)
        if found:
            period_ms = _UNITS_MS.get(found[1], 1000) * int(found[2])
            if period_ms <= MAX_PERIOD_MS:
                return cls(text, period_ms)
        raise Prescribed("sync_sched", f"Invalid sync schedule [{text[:80]}]")

    def round_at(self, now_ms: int) -> int:
        """Return the round that a moment lies in."""
        return now_ms // self.period_ms

    def start_of(self, number: int) -> int:
        """Return when a round begins, in milliseconds since 1970."""
        return number * self.period_ms
