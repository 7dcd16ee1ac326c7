"""Jobs as their broker runs them, and as any broker tells of them."""

from __future__ import annotations

import contextlib

import msgspec
import pytest

from broker.edge.symetry.call import Outcome
from tally.clock import ManualClock
from tally.errors import InvalidInput
from tally.projects.jobs import Jobs
from tally.users import Users
from tally.wire.status import Refused, StatusCode
from tests.unit.broker.symetry.job_acts import (
    BEAT_S,
    LIMITS,
    MakeBroker,
    Work,
    call,
    until,
)


def info(outcome: Outcome) -> dict[str, object]:
    told: dict[str, object] = msgspec.json.decode(outcome.values)["jobinfo"]
    return told


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
