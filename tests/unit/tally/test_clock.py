from __future__ import annotations

import asyncio
from datetime import timedelta

from tally.clock import ManualClock


async def test_sleepers_wake_at_their_own_moment_and_in_order() -> None:
    clock = ManualClock()
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic()))

    async with asyncio.TaskGroup() as group:
        for name, seconds in (("late", 3.0), ("early", 1.0), ("never yet", 9.0)):
            group.create_task(sleeper(name, seconds))
        await asyncio.sleep(0)
        await clock.advance(5)
        assert woken == [("early", 1.0), ("late", 3.0)]
        await clock.advance(5)
    assert woken[-1] == ("never yet", 9.0)


async def test_whoever_sleeps_again_within_one_advance_is_woken_again() -> None:
    clock = ManualClock()
    beats: list[float] = []

    async def beat() -> None:
        while True:
            await clock.sleep(2)
            beats.append(clock.monotonic())

    beating = asyncio.create_task(beat())
    await asyncio.sleep(0)
    await clock.advance(7)
    beating.cancel()
    assert beats == [2.0, 4.0, 6.0]


async def test_a_cancelled_sleeper_is_passed_over() -> None:
    clock = ManualClock()
    sleeping = asyncio.create_task(clock.sleep(1))
    await asyncio.sleep(0)
    sleeping.cancel()
    await asyncio.gather(sleeping, return_exceptions=True)
    await clock.advance(2)
    assert clock.monotonic() == 2


async def test_the_wall_clock_moves_with_it() -> None:
    clock = ManualClock()
    before = clock.now()
    await clock.advance(60)
    assert clock.now() - before == timedelta(minutes=1)
