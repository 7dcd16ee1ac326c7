"""Jobs as their broker runs them, and as any broker tells of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
import pytest

from broker.edge.symetry.call import Call, Outcome, Told, untold
from broker.edge.symetry.job_desk import JobDesk
from broker.edge.symetry.jobs import JobRunner, Limits
from broker.edge.symetry.room import Room
from broker.edge.symetry.routes import ROUTES
from tally.clock import ManualClock
from tally.errors import InvalidInput
from tally.projects.job import Job, JobState
from tally.projects.jobs import Fate, Jobs
from tally.users import Users
from tally.wire.projects import ProjectUuid
from tally.wire.status import Refused, StatusCode

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


@pytest.fixture
async def make(jobs: Jobs, users: Users, clock: ManualClock) -> AsyncIterator[MakeBroker]:
    made: list[Broker] = []

    async def broker() -> Broker:
        made.append(Broker(jobs, users, clock))
        await asyncio.sleep(0)
        return made[-1]

    yield broker
    for one in made:
        await one.stop()


def info(outcome: Outcome) -> dict[str, object]:
    told: dict[str, object] = msgspec.json.decode(outcome.values)["jobinfo"]
    return told


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(2000):
        if await condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came to be")


async def test_a_job_runs_and_its_answer_can_be_read_twice(make: MakeBroker) -> None:
    broker, work = await make(), Work()
    job_id = await broker.start("vif", work)
    told = await broker.tell(job_id)
    assert (told.status, told.text) == (StatusCode.ACCEPTED, "Job still running")
    assert info(told)["jobType"] == "vif"
    work.end.set()
    for _ in range(2):
        told = await broker.ended(job_id)
        assert (told.status, told.text, told.values) == (
            StatusCode.OK,
            "Job is finished",
            b'{"a":1}',
        )


async def test_any_broker_tells_of_a_job(make: MakeBroker) -> None:
    one, another, work = await make(), await make(), Work()
    job_id = await one.start("vif", work)
    assert (await another.tell(job_id)).text == "Job still running"
    work.end.set()
    assert (await another.ended(job_id)).values == b'{"a":1}'
    listed = msgspec.json.decode((await another.desk.list(call("jobs"))).values)
    assert listed["stringList"] == {"values": ["1"]}
    assert listed["jobInfoList"]["values"][0]["isDone"] is True


@pytest.mark.parametrize("number", ["0", "2", "-1", "x", "1e3", "9" * 30, "²"])
async def test_a_job_that_is_not_there_is_told_so(make: MakeBroker, number: str) -> None:
    broker = await make()
    await broker.start("vif", Work())
    for ask in (broker.tell, broker.cancel):
        with pytest.raises(Refused, match=r"^No such job$"):
            await ask(number)


@pytest.mark.parametrize(
    ("error", "text"),
    [(InvalidInput("x", "is wrong"), "x: is wrong"), (RuntimeError("secret"), "This is a defect")],
)
async def test_a_job_that_fails_says_why(make: MakeBroker, error: Exception, text: str) -> None:
    broker, work = await make(), Work()
    work.error = error
    work.end.set()
    job_id = await broker.start("vif", work)
    with pytest.raises(Refused, match=text) as refused:
        await broker.ended(job_id)
    assert refused.value.status is StatusCode.INTERNAL_SERVER_ERROR


async def test_more_jobs_than_may_wait_are_refused(make: MakeBroker) -> None:
    broker, first, second = await make(), Work(), Work()
    await broker.start("vif", first)
    await broker.start("vif", second)
    await first.begun.wait()
    assert not second.begun.is_set()
    with pytest.raises(Refused, match=r"^Job execution was refused by server\.$"):
        await broker.start("vif", Work())
    first.end.set()
    await second.begun.wait()


async def test_bodies_that_wait_in_jobs_are_counted(make: MakeBroker) -> None:
    broker, work = await make(), Work()
    job_id = await broker.start("learn", work, b"x" * 600)
    with pytest.raises(Refused) as refused:
        await broker.start("learn", Work(), b"x" * 600)
    assert refused.value.status is StatusCode.TOO_MANY_REQUESTS
    work.end.set()
    await broker.ended(job_id)

    async def free() -> bool:
        with contextlib.suppress(Refused), broker.room.place(1000):
            return True
        return False

    await until(free)


async def test_a_job_whose_broker_died_is_told_as_failed_once_its_beat_stands_still(
    make: MakeBroker, jobs: Jobs, clock: ManualClock
) -> None:
    broker = await make()
    job = await jobs.start("ann", "vif", details={})
    assert (await broker.tell(job.id)).status is StatusCode.ACCEPTED
    await clock.advance(DEAD_AFTER_S + 1)
    asking = asyncio.create_task(broker.tell(job.id))
    await advance_until_done(clock, asking)
    with pytest.raises(Refused, match="is gone"):
        asking.result()
    found = await jobs.find("ann", job.id)
    assert found is not None
    assert found.state is JobState.FAILED


async def advance_until_done(clock: ManualClock, task: asyncio.Task[Outcome]) -> None:
    async with asyncio.timeout(10):
        while not task.done():
            await clock.advance(1)
            await asyncio.sleep(0.002)


async def test_a_beat_that_moves_keeps_a_job_alive_for_every_broker(
    make: MakeBroker, clock: ManualClock, jobs: Jobs
) -> None:
    one, another, work = await make(), await make(), Work()
    job_id = await one.start("vif", work)
    await work.begun.wait()
    beat = -1
    for _ in range(20):
        await clock.advance(BEAT_S)

        async def beaten(before: int = beat) -> bool:
            found = await jobs.find("ann", job_id)
            return found is not None and found.beat > before

        await until(beaten)
        found = await jobs.find("ann", job_id)
        assert found is not None
        beat = found.beat
        assert (await another.tell(job_id)).status is StatusCode.ACCEPTED
    work.end.set()
    await another.ended(job_id)


@pytest.mark.parametrize("counted", [True, False])
async def test_a_learn_whose_broker_died_is_decided_by_its_batch_id(
    make: MakeBroker, jobs: Jobs, clock: ManualClock, counted: bool
) -> None:
    broker = await make()
    started = await jobs.start("ann", "learn", details={}, project=PROJECT, batch_id="b-9")
    job = await jobs.beat("ann", started, JobState.RUNNING)
    assert job is not None
    if counted:
        broker.counted.add("b-9")
    await broker.tell(job.id)
    await clock.advance(DEAD_AFTER_S + 1)
    asking = asyncio.create_task(broker.tell(job.id))
    await advance_until_done(clock, asking)
    if counted:
        assert (asking.result().status, asking.result().values) == (StatusCode.OK, b"{}")
    else:
        with pytest.raises(Refused, match="Idempotency-Key: b-9 may be repeated safely"):
            asking.result()
        # A home that is slow counts it yet: that is what is told from then on.
        broker.counted.add("b-9")
        asking = asyncio.create_task(broker.tell(job.id))
        await advance_until_done(clock, asking)
        assert asking.result().status is StatusCode.OK


async def test_a_broker_that_was_only_slow_gets_time_to_show_that_it_lives(
    make: MakeBroker, jobs: Jobs, clock: ManualClock
) -> None:
    broker = await make()
    started = await jobs.start("ann", "learn", details={}, project=PROJECT, batch_id="b-9")
    job = await jobs.beat("ann", started, JobState.RUNNING)
    assert job is not None
    await broker.tell(job.id)
    await clock.advance(DEAD_AFTER_S + 1)
    asking = asyncio.create_task(broker.tell(job.id))
    # Such as after an outage of the store, during which nobody could write or read.
    await asyncio.sleep(0.05)
    assert await jobs.beat("ann", job, JobState.RUNNING) is not None
    await advance_until_done(clock, asking)
    assert asking.result().status is StatusCode.ACCEPTED


async def test_a_question_can_be_cancelled_and_is_then_unknown(make: MakeBroker) -> None:
    broker, work = await make(), Work()
    job_id = await broker.start("vif", work)
    await work.begun.wait()
    assert (await broker.cancel(job_id)).status is StatusCode.OK
    with pytest.raises(Refused, match="No such job"):
        await broker.tell(job_id)
    # Its turn is free again.
    another = Work()
    await broker.start("vif", another)
    await another.begun.wait()


async def test_a_change_that_has_begun_cannot_be_cancelled(
    make: MakeBroker,
) -> None:
    broker, first, second = await make(), Work(), Work()
    begun = await broker.start("learn", first)
    waiting = await broker.start("learn", second)
    await first.begun.wait()
    assert (await broker.cancel(begun)).status is StatusCode.ACCEPTED
    assert (await broker.cancel(waiting)).status is StatusCode.OK
    first.end.set()
    assert (await broker.ended(begun)).status is StatusCode.OK
    assert not second.begun.is_set()


async def test_long_work_that_has_begun_is_stopped_by_any_broker_and_then_unknown(
    make: MakeBroker, clock: ManualClock
) -> None:
    one, another, work = await make(), await make(), Work()
    job_id = await one.start("build", work)
    await work.begun.wait()
    assert (await another.cancel(job_id)).status is StatusCode.OK
    assert another.stopped == {"b-1"}
    for broker in (one, another):
        with pytest.raises(Refused, match="No such job"):
            await broker.tell(job_id)

    async def given_up() -> bool:
        await clock.advance(BEAT_S)
        return one.runner.idle

    await until(given_up)


async def test_long_work_that_has_come_to_something_cannot_be_cancelled(make: MakeBroker) -> None:
    broker, work = await make(), Work(b"{}")
    job_id = await broker.start("build", work)
    await work.begun.wait()
    broker.counted.add("b-1")  # it is published, and the answer is on its way
    assert (await broker.cancel(job_id)).status is StatusCode.ACCEPTED
    work.end.set()
    assert (await broker.ended(job_id)).status is StatusCode.OK
    assert (await broker.cancel(job_id)).status is StatusCode.OK


async def test_long_work_whose_broker_died_can_be_stopped(
    make: MakeBroker, jobs: Jobs, clock: ManualClock
) -> None:
    started = await jobs.start(
        "ann", "build", details={}, project=PROJECT, batch_id="b-9", stoppable=True
    )
    job = await jobs.beat("ann", started, JobState.RUNNING)
    assert job is not None
    broker = await make()
    broker.stopped.add("b-9")  # whoever did so died before the row was gone
    await broker.tell(job.id)
    await clock.advance(DEAD_AFTER_S + 1)
    asking = asyncio.create_task(broker.tell(job.id))
    await advance_until_done(clock, asking)
    with pytest.raises(Refused, match="was stopped"):
        asking.result()
    assert (await broker.cancel(job.id)).status is StatusCode.OK


async def test_how_far_long_work_is_stands_in_the_row_with_the_beat(
    make: MakeBroker, clock: ManualClock
) -> None:
    one, another, work = await make(), await make(), Work()
    job_id = await one.start("reduce", work)
    await work.begun.wait()
    work.told(2, 5)
    assert info(await another.tell(job_id))["current"] == 0

    async def told() -> bool:
        await clock.advance(BEAT_S)
        far = info(await another.tell(job_id))
        return (far["current"], far["maximum"]) == (2, 5)

    await until(told)
    work.end.set()
    await another.ended(job_id)
    (listed,) = msgspec.json.decode((await one.desk.list(call("jobs"))).values)["jobInfoList"][
        "values"
    ]
    assert (listed["current"], listed["maximum"]) == (5, 5)


async def test_a_waiting_change_that_another_broker_cancels_never_begins(
    make: MakeBroker,
) -> None:
    one, another, first, second = await make(), await make(), Work(), Work()
    await one.start("learn", first)
    waiting = await one.start("learn", second)
    await first.begun.wait()
    assert (await another.cancel(waiting)).status is StatusCode.OK
    first.end.set()
    third = Work()

    async def started() -> bool:
        with contextlib.suppress(Refused):
            return bool(await one.start("learn", third))
        return False

    await until(started)
    await third.begun.wait()
    assert not second.begun.is_set()


async def test_a_broker_that_stops_says_so_of_its_questions_and_leaves_changes_open(
    make: MakeBroker, jobs: Jobs
) -> None:
    broker = await make()
    works = [Work(), Work()]
    change = await broker.start("learn", works[0])
    await works[0].begun.wait()
    question = await broker.start("vif", works[1])
    await broker.stop()
    found: list[Job | None] = [await jobs.find("ann", one) for one in (change, question)]
    states = [(job.state, job.text) for job in found if job is not None]
    assert states == [
        (JobState.RUNNING, ""),
        (JobState.FAILED, "The broker that ran this job was stopped"),
    ]


async def test_a_broker_that_stops_starts_no_more_jobs(make: MakeBroker) -> None:
    broker = await make()
    await broker.stop()
    with pytest.raises(Refused, match="is stopping") as refused:
        await broker.start("vif", Work())
    assert refused.value.status is StatusCode.SERVICE_UNAVAILABLE


async def test_expired_jobs_of_all_customers_are_removed(
    make: MakeBroker, jobs: Jobs, users: Users, clock: ManualClock
) -> None:
    await users.add("ann")
    job = await jobs.start("ann", "vif", details={})
    await jobs.failed("ann", job, "no")
    await make()
    await clock.advance(61)

    async def removed() -> bool:
        await clock.advance(LIMITS.tidy_every_s)
        return await jobs.find("ann", job.id) is None

    await until(removed)
