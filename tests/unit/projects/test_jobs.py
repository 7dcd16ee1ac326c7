from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import msgspec
import pytest

from tally.clock import ManualClock
from tally.errors import OutcomeUnknown
from tally.ids import BlobId
from tally.projects.batches import STOPPED
from tally.projects.job import Job, JobState
from tally.projects.jobs import Fate, Jobs, JobsFull, fate
from tally.projects.records import Batch, Batches, batches_key, project_partition
from tally.store.base import Check, Token, Write
from tally.store.sqlite import SqliteStore
from tally.wire.projects import ProjectUuid


class ForgetfulStore(SqliteStore):
    """A store whose next answers to commits are lost, though it made them."""

    lost_answers = 0

    async def commit(
        self, partition: str, writes: Sequence[Write], checks: Sequence[Check] = ()
    ) -> Mapping[str, Token] | None:
        done = await super().commit(partition, writes, checks)
        if self.lost_answers:
            self.lost_answers -= 1
            raise OutcomeUnknown("the answer was lost")
        return done


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[ForgetfulStore]:
    opened = ForgetfulStore(tmp_path / "store.db")
    yield opened
    await opened.close()


@pytest.fixture
def jobs(store: SqliteStore, clock: ManualClock) -> Jobs:
    return Jobs(store, clock, keep_s=60, limit=5)


async def start(jobs: Jobs, customer: str = "ann") -> Job:
    return await jobs.start(customer, "vif", details={"project": "p"})


async def blobs(store: SqliteStore) -> list[BlobId]:
    return [blob async for blob in store.blobs()]


async def test_ids_are_small_and_growing_for_each_customer(jobs: Jobs) -> None:
    assert [(await start(jobs)).id for _ in range(3)] == [1, 2, 3]
    assert (await start(jobs, "bob")).id == 1


async def test_jobs_started_at_once_have_ids_of_their_own(jobs: Jobs) -> None:
    started = await asyncio.gather(*(start(jobs) for _ in range(5)))
    assert sorted(job.id for job in started) == [1, 2, 3, 4, 5]


async def test_nobody_finds_the_job_of_another_customer(jobs: Jobs) -> None:
    job = await start(jobs)
    assert await jobs.find("ann", job.id) == job
    assert await jobs.find("bob", job.id) is None
    for missing in (0, -1, 2, 10**15):
        assert await jobs.find("ann", missing) is None


@pytest.mark.parametrize("values", [b'{"a":1}', b'{"a":"' + b"x" * 100_000 + b'"}'])
async def test_an_answer_can_be_read_again_until_it_expires(
    jobs: Jobs, store: SqliteStore, clock: ManualClock, values: bytes
) -> None:
    job = await start(jobs)
    done = await jobs.done("ann", job, values)
    assert done is not None
    for _ in range(2):
        found = await jobs.find("ann", job.id)
        assert found == done
        assert await jobs.values("ann", found) == values
    await clock.advance(61)
    assert jobs.expired(done)
    assert await jobs.list("ann") == []
    assert await jobs.tidy("ann") == 1
    assert await jobs.find("ann", job.id) is None
    assert await blobs(store) == []
    # Its id is not given out again.
    assert (await start(jobs)).id == 2


async def test_a_beat_shows_that_a_job_lives_and_is_refused_once_it_was_taken_away(
    jobs: Jobs,
) -> None:
    job = await start(jobs)
    beaten = await jobs.beat("ann", job, JobState.RUNNING)
    assert beaten is not None
    assert (beaten.beat, beaten.state) == (1, JobState.RUNNING)
    assert await jobs.failed("ann", beaten, "its broker is gone") is not None
    assert await jobs.beat("ann", beaten, JobState.RUNNING) is None
    assert await jobs.done("ann", beaten, b"{}") is None
    found = await jobs.find("ann", job.id)
    assert found is not None
    assert (found.state, found.text) == (JobState.FAILED, "its broker is gone")


async def test_whoever_saw_an_older_beat_cannot_say_that_a_job_failed(jobs: Jobs) -> None:
    job = await start(jobs)
    await jobs.beat("ann", job, JobState.QUEUED)
    assert await jobs.failed("ann", job, "gone") is None
    assert not await jobs.remove("ann", job)


async def test_the_answer_of_a_job_that_was_removed_leaves_no_trace(
    jobs: Jobs, store: SqliteStore
) -> None:
    job = await start(jobs)
    assert await jobs.remove("ann", job)
    assert await jobs.remove("ann", job)
    assert await jobs.done("ann", job, b"x" * 100_000) is None
    assert await blobs(store) == []


async def test_a_customer_has_no_more_jobs_than_are_kept(jobs: Jobs, clock: ManualClock) -> None:
    started = [await start(jobs) for _ in range(5)]
    with pytest.raises(JobsFull, match="5 are kept"):
        await start(jobs)
    await start(jobs, "bob")
    await jobs.failed("ann", started[2], "no")
    with pytest.raises(JobsFull):
        await start(jobs)
    await clock.advance(61)
    # What has expired makes room.
    assert (await start(jobs)).id == 6


async def test_whatever_answer_is_lost_a_job_is_started_moved_and_removed_once(
    jobs: Jobs, store: ForgetfulStore
) -> None:
    store.lost_answers = 1
    job = await start(jobs)
    assert await jobs.list("ann") == [job]
    store.lost_answers = 1
    beaten = await jobs.beat("ann", job, JobState.RUNNING)
    assert beaten is not None
    assert beaten.beat == 1
    store.lost_answers = 1
    done = await jobs.done("ann", beaten, b"{}")
    assert done is not None
    assert await jobs.values("ann", done) == b"{}"
    store.lost_answers = 1
    assert await jobs.remove("ann", done)
    assert await jobs.list("ann") == []
    # All of its place is free again.
    assert [(await start(jobs)).id for _ in range(5)] == [2, 3, 4, 5, 6]


async def test_jobs_are_listed_in_the_order_of_their_ids(store: SqliteStore) -> None:
    jobs = Jobs(store, ManualClock(), keep_s=60, limit=1000)
    for _ in range(210):
        await start(jobs)
    assert [job.id for job in await jobs.list("ann")] == list(range(1, 211))


async def test_what_became_of_a_change_is_told_by_its_batch_id(store: SqliteStore) -> None:
    project = ProjectUuid("5f" * 16)
    assert await fate(store, project, "b-1") is Fate.OPEN
    row = Batches("owner", (Batch("b-0", "d"), Batch("b-1", "d"), Batch("b-2", STOPPED)))
    write = Write(batches_key(7), None, msgspec.json.encode(row))
    assert await store.commit(project_partition(project), [write])
    assert await fate(store, project, "b-1") is Fate.COUNTED
    assert await fate(store, project, "b-2") is Fate.STOPPED
