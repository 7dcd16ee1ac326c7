from __future__ import annotations

import pytest

from tally.client import AsyncTally, JobFailed, ProjectRefused
from tests.unit.client.signed_broker import Says, SignedBroker

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
