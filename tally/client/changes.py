"""Learn and forget: rows that are sent in parts, each of which counts once however often sent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tally.client.errors import ChangeStopped, ProjectRefused, ServerAway, UntypedColumn, is_away
from tally.client.frames import Part, Source
from tally.client.results.info import Changed, ProjectInfo
from tally.client.session import Session, new_batch_id
from tally.errors import InvalidInput

Types: TypeAlias = Mapping[str, str] | Sequence[str]
"""Letters by name, or one for each column in their order, as in `CCBT`."""

_MAX_CELLS = 1_000_000
_MAX_ROWS = 100_000
_SEQUENCE = "sequence"
_LETTERS = frozenset("CBTSLXP-")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a learn or forget has come.

    Attributes:
        rows: that are counted.
        total: of rows.
        resume: goes on from here; see `ChangeStopped`.
    """

    rows: int
    total: int
    resume: str


OnProgress: TypeAlias = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Resume:
    """A change that was sent in part.

    Attributes:
        batch_id: of the whole; each part's is made of it.
        rows: in each part.
        done: parts that are acknowledged.

    Example:
        >>> str(Resume("1f3c", 5000, 2))
        '1f3c.5000.2'
        >>> Resume.parse("1f3c.5000.2").done
        2
    """

    batch_id: str
    rows: int
    done: int = 0

    @classmethod
    def parse(cls, text: str) -> Resume:
        """Return what `str` wrote.

        Raises:
            InvalidInput: it did not write this.
        """
        batch_id, _, rest = text.partition(".")
        rows, _, done = rest.partition(".")
        numbers = rows.isascii() and rows.isdigit() and done.isascii() and done.isdigit()
        if not batch_id or not numbers or int(rows) < 1:
            raise InvalidInput("resume", f"{text!r} is no text that a stopped change gave")
        return cls(batch_id, int(rows), int(done))

    def __str__(self) -> str:
        return f"{self.batch_id}.{self.rows}.{self.done}"

    def part_id(self, number: int) -> str:
        """Return the batch id of a part."""
        return f"{self.batch_id}:{number}"

    def at(self, done: int) -> Resume:
        """Return the same with so many parts acknowledged."""
        return Resume(self.batch_id, self.rows, done)


def plan(source: Source, info: ProjectInfo, rows: int | None, resume: str | None) -> Resume:
    """Return how a source is sent.

    Args:
        source: the rows.
        info: of the project: the rows of a sequence are never parted.
        rows: in each request; None: as many as make about a million cells.
        resume: of a change that stopped; decides about the rows.
    """
    if resume is not None:
        return Resume.parse(resume)
    if rows is None:
        rows = min(_MAX_ROWS, max(1, _MAX_CELLS // max(1, len(source.names))))
        if info.type == _SEQUENCE:
            rows = max(1, source.rows)
    if rows < 1:
        raise InvalidInput("rows_per_request", f"{rows} is less than 1")
    return Resume(new_batch_id(), rows)


def letters_of(source: Source, given: Types | None, known: Mapping[str, str]) -> tuple[str, ...]:
    """Return the type of each column: as given, or as the project knows it, or by its values.

    Raises:
        InvalidInput: what is given fits no column.
        UntypedColumn: nobody says what a column of text is.

    Example:
        >>> from tally.client.frames import open_frame
        >>> source = open_frame({"age": [30, 40], "member": [0, 1], "town": ["Rome", "Bonn"]})
        >>> letters_of(source, {"town": "T"}, {})
        ('C', 'B', 'T')
    """
    wanted = _by_name(source.names, given)
    letters = []
    for place, name in enumerate(source.names):
        letter = wanted.get(name) or known.get(name) or source.guess(place)
        if letter is None:
            raise UntypedColumn(name)
        letters.append(letter)
    return tuple(letters)


def _by_name(names: Sequence[str], given: Types | None) -> dict[str, str]:
    if given is None:
        return {}
    if isinstance(given, Mapping):
        if unknown := sorted(set(given) - set(names)):
            raise InvalidInput("types", f"there is no column {unknown[0]!r}")
        found = dict(given)
    else:
        if len(given) != len(names):
            raise InvalidInput("types", f"{len(given)} types for {len(names)} columns")
        found = dict(zip(names, given, strict=True))
    for name, letter in found.items():
        if letter not in _LETTERS:
            raise InvalidInput("types", f"{letter!r} of column {name!r} is none of C B T S L X P")
    return found


async def send(
    session: Session,
    path: Sequence[str],
    source: Source,
    letters: Sequence[str],
    going: Resume,
    *,
    lenient: bool = False,
    on_progress: OnProgress | None = None,
) -> Changed:
    """Send all parts in their order; the next one is made while one is on its way.

    Args:
        path: of learn or forget.
        source, letters: rows, and the type of each column.
        going: which parts, and which of them not again.
        lenient: bad cells count as missing.
        on_progress: called after each part.

    Raises:
        ProjectRefused: the first part is refused, so nothing is counted.
        ChangeStopped: a later part is, or nobody answered.
    """
    number, counted = going.done, min(going.done * going.rows, source.rows)
    parts = source.parts(letters, rows=going.rows, start=going.done, lenient=lenient)
    with contextlib.closing(_Reader(parts)) as reader:
        part = await reader.following()
        while part is not None:
            following = asyncio.ensure_future(reader.following())
            try:
                await session.change(
                    "POST",
                    *path,
                    query=part.query,
                    body=part.body,
                    headers=part.headers,
                    batch_id=going.part_id(number),
                )
            except (ProjectRefused, ServerAway) as error:
                if number == 0 and not is_away(error):
                    raise
                raise _stopped(error, going.at(number), counted) from error
            finally:
                # A part under way in its thread is waited for, whatever ends us.
                await asyncio.gather(following, return_exceptions=True)
            number, counted = number + 1, counted + part.rows
            if on_progress is not None:
                on_progress(Progress(counted, source.rows, str(going.at(number))))
            part = following.result()
    return Changed(counted, number, str(going.at(number)))


def _stopped(error: ProjectRefused | ServerAway, going: Resume, counted: int) -> ChangeStopped:
    if isinstance(error, ProjectRefused) and not is_away(error) and counted:
        # The server counts the rows of this part only.
        text = f"{error.text} (its row 1 is row {counted + 1} of all)"
        error = type(error)(error.status, text, error.values)
    return ChangeStopped(str(going), counted, error)


class _Reader:
    """The parts of a source, made in threads, one at a time."""

    def __init__(self, parts: Iterator[Part]) -> None:
        self._parts = parts

    async def following(self) -> Part | None:
        """Return the next part; None: there is no more."""
        return await asyncio.to_thread(self._next)

    def close(self) -> None:
        """Let go of the source's file."""
        if isinstance(self._parts, Generator):
            self._parts.close()

    def _next(self) -> Part | None:
        return next(self._parts, None)
