"""Jobs that are cancelled, and long work that is stopped."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tally.clock import ManualClock
from tally.projects.job import JobState
from tally.projects.jobs import Jobs
from tally.wire.status import Refused, StatusCode
from tests.unit.broker.symetry.job_acts import (
    BEAT_S,
    DEAD_AFTER_S,
    PROJECT,
    MakeBroker,
    Work,
    advance_until_done,
    until,
)


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
