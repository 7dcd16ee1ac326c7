"""Jobs whose broker dies, is slow, or stops."""

from __future__ import annotations

import asyncio

import pytest

from tally.clock import ManualClock
from tally.projects.job import Job, JobState
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
