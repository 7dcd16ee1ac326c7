from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from tally.coordination.base import (
    Disconnected,
    Event,
    KeyValue,
    Put,
    Reconnected,
    Snapshot,
)
from tally.coordination.feed import Batch, Feed, HistoryGone, Position, Source
from tally.errors import CoordinationUnavailable


class Script:
    """A source that says what the test puts into its queue, and counts what it was asked."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[Batch | Exception] = asyncio.Queue()
        self.listed = 0
        self.followed: list[int] = []

    def feed(self, max_events: int = 100, max_bytes: int = 1000) -> Feed:
        source = Source(self._snapshot, self._follow)
        return Feed(source, lambda _: None, max_events=max_events, max_bytes=max_bytes)

    async def tell(self, *lines: Batch | Exception) -> None:
        for line in lines:
            self.lines.put_nowait(line)
        for _ in range(20):  # the feed's task takes them in
            await asyncio.sleep(0)

    async def _snapshot(self) -> tuple[Snapshot, Position]:
        self.listed += 1
        return Snapshot("one", {}), Position("one", 1000 * self.listed)

    async def _follow(self, position: Position) -> AsyncGenerator[Batch]:
        self.followed.append(position.revision)
        yield Batch((), position)
        while True:
            line = await self.lines.get()
            if isinstance(line, Exception):
                raise line
            yield line


def put(revision: int, size_bytes: int = 1) -> Batch:
    change = Put(KeyValue("k", b"x" * size_bytes, revision))
    return Batch((change,), Position("one", revision))


def kinds(events: list[Event]) -> list[type[Event]]:
    return [type(event) for event in events]


async def take(feed: Feed, count: int) -> list[Event]:
    async with asyncio.timeout(5):
        return [await anext(feed) for _ in range(count)]


async def test_an_outage_is_told_once_and_the_watch_resumes_where_it_was() -> None:
    script = Script()
    feed = script.feed()
    await script.tell(put(1001), CoordinationUnavailable("cable"), put(1002))
    told = await take(feed, 5)
    assert kinds(told) == [Snapshot, Put, Disconnected, Reconnected, Put]
    assert told[2] == Disconnected("cable")
    assert script.followed == [1000, 1001]
    await feed.aclose()


async def test_a_lost_history_is_listed_again() -> None:
    script = Script()
    feed = script.feed()
    await script.tell(put(1001), HistoryGone(), put(2001))
    assert kinds(await take(feed, 4)) == [Snapshot, Put, Snapshot, Put]
    assert script.followed == [1000, 2000]
    await feed.aclose()


@pytest.mark.parametrize(("count", "size_bytes"), [(101, 1), (11, 100)])
async def test_too_much_for_a_slow_consumer_becomes_a_snapshot_once_it_asks(
    count: int, size_bytes: int
) -> None:
    script = Script()
    feed = script.feed()
    await take(feed, 1)
    await script.tell(*(put(1000 + number, size_bytes) for number in range(count)))
    assert script.listed == 1  # nothing is read for a consumer that does not ask
    assert kinds(await take(feed, 1)) == [Snapshot]
    assert script.followed == [1000, 2000]
    await feed.aclose()


async def test_one_change_above_the_bound_is_told_to_a_consumer_that_keeps_up() -> None:
    script = Script()
    feed = script.feed()
    await take(feed, 1)
    await script.tell(put(1001, 5000))
    assert kinds(await take(feed, 1)) == [Put]
    await feed.aclose()


async def test_outages_that_come_and_go_unseen_leave_one_in_the_buffer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tally.coordination.feed.FIRST_PAUSE_S", 0)
    script = Script()
    feed = script.feed()
    for number in range(5):
        await script.tell(CoordinationUnavailable(str(number)))
    told = await take(feed, 3)
    assert told[1:] == [Disconnected("0"), Reconnected()]
    await feed.aclose()


async def test_a_consumer_that_heard_of_an_outage_hears_of_its_end_whatever_was_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tally.coordination.feed.FIRST_PAUSE_S", 0)
    script = Script()
    feed = script.feed()
    await take(feed, 1)
    script.lines.put_nowait(CoordinationUnavailable("cable"))
    assert kinds(await take(feed, 1)) == [Disconnected]
    await script.tell(*(put(1000 + number) for number in range(101)))
    assert kinds(await take(feed, 2)) == [Reconnected, Snapshot]
    await feed.aclose()


async def test_an_error_that_no_outage_explains_reaches_the_consumer() -> None:
    script = Script()
    feed = script.feed()
    await take(feed, 1)
    script.lines.put_nowait(ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError):
        await take(feed, 1)
    await feed.aclose()
