"""The time axis of a series: where it starts and how its steps go on. Needs no numpy."""

from __future__ import annotations

import calendar
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tally.errors import InvalidInput

_SECONDS = {"s": 1, "min": 60, "h": 3600, "D": 86400, "W": 604800}
_MONTHS = {"M": 1, "MS": 1, "Q": 3, "QS": 3, "Y": 12, "YS": 12}
_SHORT = re.compile(r"(\d{0,6})([A-Za-z]+)", re.ASCII)
_ISO = re.compile(
    r"P(?:(\d{1,4})Y)?(?:(\d{1,6})M)?(?:(\d{1,4})W)?(?:(\d{1,5})D)?"
    r"(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,12})S)?)?",
    re.ASCII,
)
_SEASONS = {  # seconds of a step -> seasons that clocks and calendars make of it
    1: (60, 3600),
    60: (60, 1440),
    300: (288, 2016),
    600: (144, 1008),
    900: (96, 672),
    1800: (48, 336),
    3600: (24, 168, 8766),
    86400: (7, 365),
    604800: (52,),
}


@dataclass(frozen=True, slots=True)
class Frequency:
    """The distance between two steps: a number of seconds, or of calendar months.

    Exactly one of the two is not zero.

    Attributes:
        same_day: of months: a start on 30 April goes on with 30 May, as ISO 8601 durations do,
            not with the end of May, as monthly data is often stamped.
    """

    seconds: int = 0
    months: int = 0
    same_day: bool = False

    @classmethod
    def parse(cls, text: str) -> Frequency:
        """Return the frequency that a text names.

        Args:
            text: a number (1 if it is left out) and one of s, min, h, D, W, M, Q, Y, for which
                the end of a month stays the end; or an ISO 8601 duration of either months and
                years or weeks and less.

        Raises:
            InvalidInput: it is neither.

        Example:
            >>> Frequency.parse("15min").seconds, Frequency.parse("P1Y").months
            (900, 12)
        """
        if (short := _SHORT.fullmatch(text)) is not None:
            count, unit = int(short[1] or 1), short[2]
            unit = unit if unit in _SECONDS or unit in _MONTHS else unit.lower()
            if count and unit in _SECONDS:
                return cls(seconds=count * _SECONDS[unit])
            if count and unit in _MONTHS:
                return cls(months=count * _MONTHS[unit])
            if count and unit == "d":
                return cls(seconds=count * _SECONDS["D"])
        if (iso := _ISO.fullmatch(text)) is not None:
            years, months, weeks, days, hours, minutes, seconds = (
                int(x or 0) for x in iso.groups()
            )
            in_months = 12 * years + months
            in_seconds = ((7 * weeks + days) * 24 + hours) * 3600 + 60 * minutes + seconds
            if (in_months == 0) != (in_seconds == 0):
                return cls(in_seconds, in_months, same_day=in_months > 0)
        raise InvalidInput(
            "frequency",
            f"{text[:40]!r} is neither like 'D', '15min', 'h', 'W', 'M', 'Q', 'Y' nor an ISO 8601 "
            "duration like 'P1D' or 'PT15M'",
        )

    def __str__(self) -> str:
        """Return a text that `parse` reads."""
        if self.months:
            return f"P{self.months}M" if self.same_day else f"{self.months}M"
        return f"PT{self.seconds}S"

    @property
    def seasons(self) -> tuple[int, ...]:
        """Seasons, in steps, that such a series is likely to have."""
        if self.months:
            return (12 // self.months,) if self.months < 12 and 12 % self.months == 0 else ()
        return _SEASONS.get(self.seconds, ())

    def step(self, start: datetime, count: int) -> datetime:
        """Return the moment `count` steps after `start`.

        Months are counted from the start, so that the 31st returns after a shorter month.

        Raises:
            InvalidInput: it is after the year 9999.
        """
        try:
            if self.seconds:
                return start + timedelta(seconds=self.seconds * count)
            year, month = divmod(start.year * 12 + start.month - 1 + self.months * count, 12)
            last = calendar.monthrange(year, month + 1)[1]
            here = calendar.monthrange(start.year, start.month)[1]
            ends = start.day == here and not self.same_day
            return start.replace(
                year=year, month=month + 1, day=last if ends else min(start.day, last)
            )
        except (OverflowError, ValueError) as error:
            raise InvalidInput("steps", "the dates run past the year 9999") from error


def parse_moment(field: str, given: object) -> datetime:
    """Return a moment from an ISO 8601 text, or a number of seconds since 1970.

    Raises:
        InvalidInput: it is neither.

    Example:
        >>> parse_moment("start", "2024-02-29").isoformat()
        '2024-02-29T00:00:00'
    """
    if isinstance(given, str):
        try:
            return datetime.fromisoformat(given)
        except ValueError:
            raise InvalidInput(field, f"{given[:40]!r} is not an ISO 8601 date") from None
    if isinstance(given, int | float) and not isinstance(given, bool):
        try:
            return datetime.fromtimestamp(given, UTC)
        except (ValueError, OverflowError, OSError):
            raise InvalidInput(field, f"{given} is not a number of seconds since 1970") from None
    raise InvalidInput(field, f"{given!r} is neither an ISO 8601 date nor seconds since 1970")


def infer(given: Sequence[object]) -> tuple[datetime, Frequency]:
    """Return the start and the frequency of regular timestamps.

    Raises:
        InvalidInput: fewer than two, unordered, repeated, or not equally spaced; names the first
            that is wrong by its index.

    Example:
        >>> start, frequency = infer(["2024-01-31", "2024-02-29", "2024-03-31"])
        >>> str(frequency)
        '1M'
    """
    if len(given) < 2:
        raise InvalidInput("timestamps", "at least two are needed to know the frequency")
    moments = [parse_moment(f"timestamps[{i}]", value) for i, value in enumerate(given)]
    aware = {moment.tzinfo is not None for moment in moments}
    if len(aware) > 1:
        raise InvalidInput("timestamps", "some have a UTC offset and some have none")
    # The first two may be four weeks or February apart: what fits the most is meant.
    breaks = {
        frequency: _first_break(moments, frequency)
        for frequency in _between(moments[0], moments[1])
    }
    frequency = max(breaks, key=lambda each: breaks[each])
    index = breaks[frequency]
    if index < len(moments):
        raise InvalidInput(
            f"timestamps[{index}]",
            f"{given[index]!r} is not one step of {frequency} after the one before; "
            f"expected {frequency.step(moments[0], index).isoformat()}. "
            "Timestamps must be regular and ascending",
        )
    return moments[0], frequency


def _first_break(moments: Sequence[datetime], frequency: Frequency) -> int:
    """Return the index of the first moment that is not where it should be, or their number."""
    return next(
        (i for i, moment in enumerate(moments) if moment != frequency.step(moments[0], i)),
        len(moments),
    )


def _between(first: datetime, second: datetime) -> list[Frequency]:
    """Return the frequencies that lead from one moment to the next, the likeliest first."""
    distance = (second - first).total_seconds()
    if distance <= 0:
        raise InvalidInput(
            "timestamps[1]",
            f"{second.isoformat()} is not after the first. Timestamps must be ascending",
        )
    if distance != int(distance):
        raise InvalidInput(
            "timestamps[1]",
            f"{second.isoformat()} is not a whole number of seconds after the first",
        )
    months = (second.year - first.year) * 12 + second.month - first.month
    calendrical = [Frequency(months=months, same_day=same_day) for same_day in (False, True)]
    found = [each for each in calendrical if months > 0 and each.step(first, 1) == second]
    return [*found, Frequency(seconds=int(distance))]


def following(start: str, frequency: Frequency, values: int, steps: int) -> list[str]:
    """Return the ISO 8601 dates of the steps after a series.

    Args:
        start: of the first value, ISO 8601.
        frequency: of the series.
        values: how many the series has.
        steps: how many dates.

    Example:
        >>> following("2023-11-30", Frequency(months=1), 2, 2)
        ['2024-01-31', '2024-02-29']
    """
    first = datetime.fromisoformat(start)
    dates = len(start) == 10 and (frequency.months or frequency.seconds % 86400 == 0)
    moments = (frequency.step(first, values + step) for step in range(steps))
    return [m.date().isoformat() if dates else m.isoformat() for m in moments]
