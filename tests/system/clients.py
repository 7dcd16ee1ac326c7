"""Clients that forecast all the time, and remember every answer that they should not have got."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp

from tests.system.cluster import Cluster
from tests.system.process import Process


@dataclass
class Seen:
    """What all clients together were told.

    Attributes:
        answers: how many.
        bodies: of each version and number of steps, the one body that it must always have.
        wrong: sentences about what was wrong.
    """

    answers: int = 0
    bodies: dict[tuple[int, int], bytes] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def versions(self) -> set[int]:
        """Return the versions that answered."""
        return {version for version, _ in self.bodies}

    def note(self, version: int, steps: int, body: bytes) -> None:
        """Remember an answer; one version has one body for one question, whoever gives it."""
        self.answers += 1
        if self.bodies.setdefault((version, steps), body) != body:
            self.wrong.append(f"version {version}, {steps} steps: two different bodies")


@contextlib.asynccontextmanager
async def forecasting(
    cluster: Cluster, clients: int, *, model: str = "default", max_steps: int = 5
) -> AsyncIterator[Seen]:
    """Have so many clients ask the brokers in turn, and check each answer, until the end.

    Through one broker a client must never see a version lower than the last one.
    """
    seen, stop = Seen(), asyncio.Event()

    async def client(broker: Process, number: int) -> None:
        last = 0
        choice = random.Random(number)
        while not stop.is_set():
            steps = choice.randint(1, max_steps)
            try:
                reply = await cluster.forecast(steps, model, broker=broker)
            except (aiohttp.ClientError, TimeoutError) as error:
                seen.wrong.append(f"client {number}: {error!r}")
                return
            if reply.status != 200:
                seen.wrong.append(f"client {number}: {reply}")
                return
            if reply.version < last:
                seen.wrong.append(f"client {number}: version {reply.version} after {last}")
            last = reply.version
            seen.note(reply.version, steps, reply.body)

    brokers = cluster.alive("broker")
    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(client(brokers[number % len(brokers)], number))
        try:
            yield seen
        finally:
            stop.set()


async def same_by_number(cluster: Cluster, seen: Seen, model: str = "default") -> None:
    """Ask for each version by its number: its forecast is what the clients were told, to the bit.

    Raises:
        AssertionError: an answer mixed versions, or bore the number of another.
    """
    for (version, steps), body in seen.bodies.items():
        reply = await cluster.forecast(steps, model, f"?version={version}")
        assert reply.status == 200, str(reply)
        assert reply.body == body, f"version {version}, {steps} steps"
