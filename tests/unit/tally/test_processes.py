from __future__ import annotations

import asyncio
import os
import signal

import pytest

from tally.errors import ConfigurationError
from tally.processes import run_until_stopped


class Forever:
    """A service that runs until it is cancelled, and then cleans up."""

    def __init__(self) -> None:
        self.cleaned = False

    async def __call__(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.cleaned = True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_all_services_in_good_order(number: signal.Signals) -> None:
    services = [Forever(), Forever()]
    running = asyncio.create_task(run_until_stopped(services))
    await asyncio.sleep(0.01)
    os.kill(os.getpid(), number)
    async with asyncio.timeout(5):
        await running
    assert all(service.cleaned for service in services)


async def test_a_service_that_fails_ends_the_others_and_says_why() -> None:
    other = Forever()

    async def nested() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.Event().wait())
            group.create_task(failing())

    async def failing() -> None:
        await asyncio.sleep(0)
        raise ConfigurationError("the port is taken")

    with pytest.raises(ConfigurationError, match="the port is taken"):
        await run_until_stopped([other, nested])
    assert other.cleaned


async def test_a_service_that_just_ends_ends_the_process_too() -> None:
    other = Forever()

    async def short() -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="ended by itself"):
        await run_until_stopped([other, short])
    assert other.cleaned
