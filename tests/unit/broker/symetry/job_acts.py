"""Brokers that run jobs, in few words."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from broker.edge.symetry.call import Call, Outcome, Told, untold
from broker.edge.symetry.job_desk import JobDesk
from broker.edge.symetry.jobs import JobRunner, Limits
from broker.edge.symetry.room import Room
from broker.edge.symetry.routes import ROUTES
from tally.clock import ManualClock
from tally.projects.jobs import Fate, Jobs
from tally.users import Users
from tally.wire.projects import ProjectUuid
from tally.wire.status import StatusCode

PROJECT = ProjectUuid("5f" * 16)
BEAT_S, DEAD_AFTER_S = 2.0, 15.0
LIMITS = Limits(parallel=1, waiting=1, beat_s=BEAT_S, tidy_every_s=100)


def call(verb: str, jobid: int | str = 0, body: bytes = b"") -> Call:
    route = next(route for route in ROUTES if route.verb == verb)
    return Call(route, "ann", {"pid": "p", "jobid": str(jobid)}, body=body, batch_id="b-1")


class Work:
    """Work that ends when it is told to."""

    def __init__(self, values: bytes = b'{"a":1}') -> None:
        self.begun = asyncio.Event()
        self.end = asyncio.Event()
        self.values = values
        self.error: Exception | None = None
        self.told: Told = untold

    async def __call__(self, told: Told) -> Outcome:
        self.told = told
        self.begun.set()
        await self.end.wait()
        if self.error:
            raise self.error
        return Outcome(self.values)


class Broker:
    """One broker's jobs."""

    def __init__(self, jobs: Jobs, users: Users, clock: ManualClock) -> None:
        self.counted: set[str] = set()
        self.stopped: set[str] = set()
        self.room = Room(1000)
        self.runner = JobRunner(jobs, users, self.room, clock, LIMITS)

        async def fate(_: ProjectUuid, batch_id: str) -> Fate:
            if batch_id in self.stopped:
                return Fate.STOPPED
            return Fate.COUNTED if batch_id in self.counted else Fate.OPEN

        async def stop(_: Call, project: ProjectUuid, batch_id: str) -> bool:
            if batch_id not in self.counted:
                self.stopped.add(batch_id)
            return batch_id in self.stopped

        self.desk = JobDesk(
            jobs, self.runner, fate, stop, clock, beat_s=BEAT_S, dead_after_s=DEAD_AFTER_S
        )
        self._task = asyncio.create_task(self.runner.run())

    async def start(self, verb: str, work: Work, body: bytes = b"") -> int:
        return await self.runner.start(call(verb, body=body), PROJECT, work)

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def tell(self, job_id: int | str) -> Outcome:
        return await self.desk.tell(call("{jobid}", job_id))

    async def cancel(self, job_id: int | str) -> Outcome:
        return await self.desk.cancel(call("{jobid}", job_id))

    async def ended(self, job_id: int) -> Outcome:
        """Return what a job came to."""

        async def over() -> bool:
            return (await self.tell(job_id)).status is not StatusCode.ACCEPTED

        await until(over)
        return await self.tell(job_id)


MakeBroker = Callable[[], Awaitable[Broker]]


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(2000):
        if await condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came to be")


async def advance_until_done(clock: ManualClock, task: asyncio.Task[Outcome]) -> None:
    async with asyncio.timeout(10):
        while not task.done():
            await clock.advance(1)
            await asyncio.sleep(0.002)
