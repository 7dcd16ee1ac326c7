"""What computes beside the event loop, and who waits for it."""

from __future__ import annotations

import asyncio
import threading

import pytest

from model_api.projects.sharing import Joined, Threads


async def test_a_computation_that_was_given_up_counts_until_it_is_done() -> None:
    threads, begun, go_on = Threads(1), threading.Event(), threading.Event()

    def long() -> None:
        begun.set()
        go_on.wait(20)

    given_up = asyncio.create_task(threads.run(long))
    await asyncio.to_thread(begun.wait, 20)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    assert given_up.cancelled()

    after = asyncio.create_task(threads.run(go_on.is_set))
    await asyncio.sleep(0.05)
    assert not after.done()
    go_on.set()
    assert await after


async def test_an_error_reaches_the_caller_and_leaves_room_for_the_next() -> None:
    threads = Threads(1)
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 // 0)
    assert await threads.run(lambda: 1) == 1


async def test_who_gives_up_before_his_turn_takes_no_turn() -> None:
    threads, go_on = Threads(1), threading.Event()
    first = asyncio.create_task(threads.run(go_on.wait, 20))
    second = asyncio.create_task(threads.run(lambda: 2))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    go_on.set()
    assert await first
    assert await threads.run(lambda: 3) == 3


async def test_who_asks_again_joins_what_is_under_way_and_nothing_that_is_over() -> None:
    go_on, calls = asyncio.Event(), 0

    async def call() -> int:
        nonlocal calls
        calls += 1
        await go_on.wait()
        return calls

    async with asyncio.TaskGroup() as tasks:
        joined = Joined[int](tasks.create_task)
        first = tasks.create_task(joined("a", call))
        await asyncio.sleep(0)
        assert joined.wanted("a")
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert not joined.wanted("a")
        again = tasks.create_task(joined("a", call))
        await asyncio.sleep(0)
        assert joined.wanted("a")
        go_on.set()
        assert await again == 1
        assert not joined.wanted("a")
        assert await joined("a", call) == 2
