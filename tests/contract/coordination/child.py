"""Another process: `child.py URL PREFIX COMMAND ARGUMENT`."""

from __future__ import annotations

import asyncio
import sys
import time

from tally.coordination.base import Coordinator
from tally.coordination.open import open_coordinator
from tally.errors import Conflict


async def hold(coordinator: Coordinator, key: str) -> None:
    """Own a key under a lease of 2 s, and say when the lease is known to have ended."""
    lease = await coordinator.grant(2)
    await coordinator.put(key, b"alive", lease)
    print("holding", flush=True)
    await lease.wait_ended()
    print("ended", flush=True)
    try:
        await coordinator.put(key, b"alive", lease)
    except Conflict:
        print("refused", flush=True)


async def write(coordinator: Coordinator, count: str) -> None:
    """Put numbered keys, each with the moment at which its put began."""
    for number in range(int(count)):
        await coordinator.put(f"event/{number % 50:02}", b"%d %d" % (number, time.monotonic_ns()))
    print("written", flush=True)


async def count(coordinator: Coordinator, key: str) -> None:
    """Put ever greater numbers, saying each once it is acknowledged, until killed."""
    number = 0
    while True:
        await coordinator.put(key, b"%d" % number)
        print(number, flush=True)
        number += 1


async def add(coordinator: Coordinator, count: str) -> None:
    """Once there is a counter, add to it by compare-and-set."""
    await coordinator.ping()
    print("ready", flush=True)
    watch = coordinator.watch("counter")
    while not (await coordinator.list("counter")).items:
        await anext(watch)
    for _ in range(int(count)):
        added = False
        while not added:
            found = await coordinator.get("counter")
            assert found is not None
            value = b"%d" % (int(found.value) + 1)
            added = await coordinator.replace("counter", value, found.revision)


async def main(url: str, prefix: str, command: str, argument: str) -> None:
    coordinator = open_coordinator(url, prefix=prefix)
    await {"hold": hold, "write": write, "add": add, "count": count}[command](coordinator, argument)
    await coordinator.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
