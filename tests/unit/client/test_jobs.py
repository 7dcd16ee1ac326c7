from __future__ import annotations

import asyncio

import pytest

from tally.client import AsyncTally, JobFailed, ProjectRefused
from tests.unit.client.signed_broker import Asked, Says, SignedBroker

STARTED = Says(202, "Job Created", headers={"sym-job-id": "7"})
INFO = {"jobId": 7, "jobType": "vif", "owner": "ann", "startingDate": 0, "isStarted": True}
RUNNING = Says(202, "Job still running", {"jobinfo": INFO})
FINISHED = Says(200, "Job is finished", {"KSVSMap": {"values": [{"y": "NaN", "x": "1.0E7"}]}})


async def test_a_job_is_awaited_until_it_has_a_result(
    tally: AsyncTally, broker: SignedBroker
) -> None:
    broker.says.extend([STARTED, RUNNING, RUNNING, FINISHED])
    told = await tally.project("p").vif("y", "x")
    assert told.names == ("y", "x")
    assert told["x"] == 1e7
    assert [asked.path.rpartition("/")[2] for asked in broker.asked] == ["vif", "7", "7", "7"]


async def test_a_job_may_be_looked_at_and_asked_again(
    tally: AsyncTally, broker: SignedBroker
) -> None:
    broker.says.extend([STARTED, RUNNING, FINISHED, FINISHED, FINISHED])
    job = await tally.project("p").start_vif("y", "x")
    status = await job.status()
    assert status is not None
    assert (job.id, status.kind, status.started, status.done) == (7, "vif", True, False)
    assert (await job).names == (await job.result()).names
    assert await job.status() is None


async def test_a_job_that_failed_says_why(tally: AsyncTally, broker: SignedBroker) -> None:
    broker.says.extend([STARTED, Says(500, "Unknown attribute [z]")])
    with pytest.raises(JobFailed, match=r"^Unknown attribute \[z\]$"):
        await tally.project("p").vif("z")


async def test_a_job_that_is_not_there_is_told_as_that(
    tally: AsyncTally, broker: SignedBroker
) -> None:
    broker.says.append(Says(400, "No such job"))
    with pytest.raises(JobFailed, match=r"^No such job$"):
        await tally.job(8)


async def test_waiting_for_a_job_has_a_deadline_and_the_job_goes_on(
    tally: AsyncTally, broker: SignedBroker
) -> None:
    broker.says.extend([RUNNING] * 1000)
    with pytest.raises(TimeoutError):
        await tally.job(7).result(timeout_s=0.05)
    assert {asked.method for asked in broker.asked} == {"GET"}


async def test_a_job_is_cancelled_unless_it_is_a_change_under_way(
    tally: AsyncTally, broker: SignedBroker
) -> None:
    broker.says.extend([Says(), RUNNING])
    assert await tally.job(7).cancel()
    assert not await tally.job(7).cancel()


async def test_an_answer_without_a_job_is_no_job(tally: AsyncTally, broker: SignedBroker) -> None:
    broker.says.append(Says(202, "Job Created"))
    with pytest.raises(ProjectRefused, match="no job was started"):
        await tally.project("p").vif("x")


async def test_a_job_whose_cancelling_got_no_answer_is_cancelled(
    tally: AsyncTally, broker: SignedBroker
) -> None:
    gone = Says(400, "No such job")
    broker.says.extend([Says(status=0), gone, gone])
    assert await tally.job(7).cancel()
    with pytest.raises(JobFailed):
        await tally.job(7).cancel()


async def test_whoever_waits_for_a_model_is_told_how_far_it_is(
    tally: AsyncTally, broker: SignedBroker
) -> None:
    info = INFO | {"current": 3, "maximum": 8}
    broker.says.extend([STARTED, Says(202, "Job still running", {"jobinfo": info}), FINISHED])
    told: list[tuple[int, int]] = []
    with pytest.raises(ProjectRefused, match="modelInfo"):  # nobody says what it is
        await tally.project("p").reduce(
            "m",
            targets="y",
            inputs="x",
            on_progress=lambda status: told.append((status.current, status.maximum)),
        )
    assert told == [(3, 8)]


async def test_whoever_stops_waiting_for_a_model_has_the_server_stop(
    tally: AsyncTally, broker: SignedBroker
) -> None:
    asked_for = asyncio.Event()

    def watch(asked: Asked) -> None:
        broker.says.append(STARTED if asked.method == "POST" else RUNNING)
        if asked.path.endswith("jobs/7"):
            asked_for.set()

    broker.watch = watch
    building = asyncio.create_task(tally.project("p").build("m", "mlr", targets="y", inputs="x"))
    await asked_for.wait()
    building.cancel()
    with pytest.raises(asyncio.CancelledError):
        await building
    assert [asked.method for asked in broker.asked].count("DELETE") == 1
    assert broker.asked[-1].path.endswith("jobs/7")


async def test_whoever_only_waits_for_a_job_leaves_it_alone(
    tally: AsyncTally, broker: SignedBroker
) -> None:
    broker.watch = lambda asked: broker.says.append(RUNNING)
    with pytest.raises(TimeoutError):
        await tally.job(7).result(timeout_s=0.05)
    assert {asked.method for asked in broker.asked} == {"GET"}
