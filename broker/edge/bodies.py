"""From the bytes of a fit request to a checked one, with errors that name the place."""

from __future__ import annotations

import math
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec

from broker.edge.misreadings import malformed, misfit
from tally.calendar import Frequency, infer, parse_moment
from tally.codec.series import pack
from tally.errors import InvalidInput, TooLarge
from tally.forecast.families import DEFAULT, check_options
from tally.ledger.records import FitRequest

_WHOLE = re.compile(r"-?\d{1,18}", re.ASCII)
_MAX_PERIOD = 1_000_000
# Beside the commas between values and between timestamps: those of the fields and the options.
_OTHER_COMMAS = 1000


class FitBody(msgspec.Struct, forbid_unknown_fields=True):
    """The JSON of `POST /api/fit_model`."""

    data: list[float]
    timestamps: list[str | float] | None = None
    start: str | float | None = None
    frequency: str | None = None
    algorithm: str = DEFAULT
    period: int | None = None
    options: dict[str, bool | int | float | str] = {}
    min_skill: float | None = None


@dataclass(frozen=True, slots=True)
class CheckedFit:
    """A request ready to be accepted, and its packed series."""

    request: FitRequest
    payload: bytes


async def read_body(
    chunks: AsyncIterator[bytes], limit_bytes: int, announced_bytes: int = 0
) -> bytes:
    """Return a whole body, refused as soon as it is known to be too long.

    Args:
        chunks: as they come in.
        limit_bytes: how long it may be.
        announced_bytes: its Content-Length; over the limit, nothing is read.

    Raises:
        TooLarge: it is longer than the limit.
    """
    body = bytearray()
    if announced_bytes <= limit_bytes:
        async for chunk in chunks:
            body += chunk
            if len(body) > limit_bytes:
                break
        else:
            return bytes(body)
    raise TooLarge("body", f"it has more than the {limit_bytes} bytes of TALLY_MAX_BODY_BYTES")


def parse_fit(body: bytes, max_values: int) -> CheckedFit:
    """Return the checked request.

    Raises:
        InvalidInput: something in it cannot be used; names the field and the value.
        TooLarge: the series has more than `max_values` values.
    """
    # Decoded, a number takes sixteen times its bytes: what must be refused is not decoded at all.
    if body.count(b",") > 2 * max_values + _OTHER_COMMAS:
        raise _too_many("it has far more values than", max_values)
    given = _decoded(body)
    count = len(given.data)
    if count == 0:
        raise InvalidInput("data", "it is empty; a series needs at least one value")
    if count > max_values:
        raise _too_many(f"{count} values are more than", max_values)
    for index, value in enumerate(given.data):
        if not math.isfinite(value):
            raise InvalidInput(f"data[{index}]", f"{value} is not a finite number")
    if given.period is not None:
        if not 1 <= given.period <= _MAX_PERIOD:
            raise InvalidInput("period", f"{given.period} is not between 1 and {_MAX_PERIOD}")
        if given.period > 1 and count < 2 * given.period:
            raise InvalidInput(
                "data",
                f"{count} values are too short for period {given.period}: two seasons, "
                f"{2 * given.period} values, are the least",
            )
    if given.min_skill is not None and not -1e9 <= given.min_skill < 1:
        raise InvalidInput("min_skill", f"{given.min_skill} is not a number below 1")
    options = check_options(given.algorithm, given.options)
    start, frequency = _axis(given, count)
    request = FitRequest(
        algorithm=given.algorithm,
        options=options,
        values=count,
        start=start,
        frequency=frequency,
        period=given.period,
        min_skill=given.min_skill,
    )
    return CheckedFit(request, pack(given.data))


def whole(field: str, text: str, low: int, high: int) -> int:
    """Return the whole number that a path or query names.

    Raises:
        InvalidInput: it is none, or out of bounds.

    Example:
        >>> whole("steps", "500", 1, 1000)
        500
    """
    if not _WHOLE.fullmatch(text) or not low <= int(text) <= high:
        raise InvalidInput(field, f"{text[:40]!r} is not a whole number from {low} to {high}")
    return int(text)


def _too_many(so_many: str, max_values: int) -> TooLarge:
    return TooLarge("data", f"{so_many} the {max_values} of TALLY_MAX_VALUES")


def _decoded(body: bytes) -> FitBody:
    try:
        return msgspec.json.decode(body, type=FitBody)
    except msgspec.ValidationError as error:
        raise misfit(body, str(error), FitBody.__struct_fields__) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise malformed(body, str(error)) from None
    except RecursionError:
        raise InvalidInput("body", "it is nested too deeply") from None


def _axis(given: FitBody, count: int) -> tuple[str, str]:
    """Return start and frequency as texts, empty where the series has no time axis."""
    if given.timestamps is not None:
        if given.start is not None or given.frequency is not None:
            raise InvalidInput("timestamps", "give either these or start and frequency, not both")
        if len(given.timestamps) != count:
            raise InvalidInput(
                "timestamps", f"{len(given.timestamps)} timestamps for {count} values of data"
            )
        start, step = infer(given.timestamps)
        dates = isinstance(given.timestamps[0], str) and len(given.timestamps[0]) == 10
        return (start.date().isoformat() if dates else start.isoformat()), str(step)
    if given.start is None and given.frequency is None:
        return "", ""
    if given.start is None:
        raise InvalidInput("start", "it is missing; frequency needs it")
    if given.frequency is None:
        raise InvalidInput("frequency", "it is missing; start needs it")
    moment, step = parse_moment("start", given.start), Frequency.parse(given.frequency)
    step.step(moment, count)  # refuses what runs past the calendar's end
    dates = isinstance(given.start, str) and len(given.start) == 10
    return (moment.date().isoformat() if dates else moment.isoformat()), str(step)
