"""A watch: a task that follows some source fills a bounded buffer, one consumer empties it.

Both backends share this file, so that outages, lost histories and slow consumers look the same
whichever of them is behind. A backend only says how to list and how to follow (`Source`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

from tally.coordination.base import Deleted, Disconnected, Event, Put, Reconnected, Snapshot
from tally.errors import CoordinationUnavailable

MAX_EVENTS = 4096
MAX_BYTES = 16 * 1024 * 1024
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class Position:
    """A point in a history.

    Attributes:
        incarnation: which history.
        revision: everything up to here, inclusive, is known.
        term: the raft term at that moment; 0 where there is no such thing.
    """

    incarnation: str
    revision: int
    term: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """Changes in order, and the point after the last of them."""

    changes: tuple[Put | Deleted, ...]
    position: Position


class HistoryGone(Exception):  # a turn of events, not a failure
    """The changes after a position cannot be told one by one any more."""


class _TooSlow(Exception):
    """The buffer is full: what it held was dropped."""


@dataclass(frozen=True, slots=True)
class Source:
    """What a watch needs of a backend. Both raise `CoordinationUnavailable` in an outage.

    Attributes:
        snapshot: returns all keys, and the point at which they were so.
        follow: yields every change after a position. The first batch, perhaps an empty one,
            comes as soon as it is certain that nothing was lost; `HistoryGone` where something
            was.
    """

    snapshot: Callable[[], Awaitable[tuple[Snapshot, Position]]]
    follow: Callable[[Position], AsyncGenerator[Batch]]


class Feed:
    """An asynchronous iterator over events, with a bound on what waits in it.

    Args:
        source: what is watched.
        on_close: called once the feed has ended.
        max_events, max_bytes: beyond either, all that waits is dropped, and the consumer gets
            a fresh snapshot the next time that it asks. Nothing is read for it until then.
    """

    def __init__(
        self,
        source: Source,
        on_close: Callable[[Feed], None],
        *,
        max_events: int = MAX_EVENTS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._source = source
        self._on_close = on_close
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._waiting: deque[Event] = deque()
        self._waiting_bytes = 0
        self._connected = True
        self._heard_connected = True
        self._filled = asyncio.Event()
        self._asked = asyncio.Event()
        self._closed = False
        self._task = asyncio.create_task(self._run())
        # Wakes the consumer also where the task ends by an error, which it then raises.
        self._task.add_done_callback(lambda _: self._filled.set())

    def __aiter__(self) -> Feed:
        return self

    async def __anext__(self) -> Event:
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            if self._task.done():
                self._task.result()
                raise StopAsyncIteration
            self._filled.clear()
            self._asked.set()
            try:
                await self._filled.wait()
            finally:
                self._asked.clear()
        event = self._waiting.popleft()
        self._waiting_bytes -= _size(event)
        if isinstance(event, Disconnected | Reconnected):
            self._heard_connected = isinstance(event, Reconnected)
        return event

    async def aclose(self) -> None:
        """End the watch and its task; the iterator then stops. Twice is allowed."""
        if not self._closed:
            self._closed = True
            self._waiting.clear()
            self._task.cancel()
            self._on_close(self)
        # Not `await self._task`: that would raise its cancellation as if it were ours.
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        position: Position | None = None
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                if position is None:
                    snapshot, position = await self._source.snapshot()
                    self._reconnected()
                    self._tell(snapshot)
                async with aclosing(self._source.follow(position)) as batches:
                    async for batch in batches:
                        self._reconnected()
                        pause_s = FIRST_PAUSE_S
                        for change in batch.changes:
                            self._tell(change)
                        position = batch.position
            except HistoryGone:
                position = None
            except _TooSlow:
                position = None
                await self._asked.wait()
            except CoordinationUnavailable as error:
                self._disconnected(str(error))
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _disconnected(self, reason: str) -> None:
        if not self._connected:
            return
        self._connected = False
        if self._waiting and isinstance(self._waiting[-1], Reconnected):
            # The consumer has not heard that the last outage ended: for it, it goes on. This
            # also bounds what a connection that comes and goes leaves in the buffer.
            self._waiting.pop()
        else:
            self._append(Disconnected(reason))

    def _reconnected(self) -> None:
        if not self._connected:
            self._connected = True
            self._append(Reconnected())

    def _tell(self, event: Snapshot | Put | Deleted) -> None:
        # One event, a snapshot above all, may be over the bound all by itself.
        over = self._waiting_bytes and self._waiting_bytes + _size(event) > self._max_bytes
        if over or len(self._waiting) >= self._max_events:
            self._drop()
            raise _TooSlow
        self._append(event)

    def _drop(self) -> None:
        """Forget what waits, but not whether the consumer knows that the connection stands."""
        self._waiting.clear()
        self._waiting_bytes = 0
        if not self._heard_connected:
            self._append(Reconnected())

    def _append(self, event: Event) -> None:
        self._waiting.append(event)
        self._waiting_bytes += _size(event)
        self._filled.set()


def _size(event: Event) -> int:
    match event:
        case Put(item):
            return len(item.key) + len(item.value)
        case Snapshot(_, items):
            return sum(len(item.key) + len(item.value) for item in items.values())
        case _:
            return 0
