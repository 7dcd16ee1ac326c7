"""Jobs of customers: what was started, how far it is, and what came of it.

Partition `jobs/{customer}`: the row `counter`, one row for each job, and its answer in a row of its
own, or in a blob where it is large. A job is run by one broker, which moves its beat; whoever sees
the beat stand still may say that the job has failed, and by that takes it away from its broker.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum

import msgspec

from tally.clock import Clock
from tally.errors import NotFound, Unavailable
from tally.ids import BlobId, new_blob_id
from tally.ledger.records import BlobRef
from tally.ledger.transact import Plan, Read, decode, read, transact
from tally.projects.batches import STOPPED
from tally.projects.job import Job, JobState
from tally.projects.records import BATCHES, INLINE_BYTES, Batches, project_partition
from tally.store.base import Store, Write
from tally.wire.projects import ProjectUuid

_COUNTER, _JOB, _ANSWER = "counter", "job/", "answer/"
_PAGE = 200
_AT_ONCE = 50  # rows of one commit
_LAST_ID = 10**12 - 1


class _Counter(msgspec.Struct, frozen=True):
    """Row `counter`: the last id given out, and how many jobs there are."""

    last: int = 0
    kept: int = 0


class JobsFull(Unavailable):
    """The customer has as many jobs as are kept."""


class Jobs:
    """The jobs of all customers.

    Args:
        store: where the rows are.
        clock: for the dates, and for what has expired.
        keep_s: how long the answer of a job can be fetched after it ended.
        limit: jobs of one customer, ended ones included.
    """

    def __init__(self, store: Store, clock: Clock, *, keep_s: float, limit: int) -> None:
        self._store = store
        self._clock = clock
        self._keep = timedelta(seconds=keep_s)
        self._limit = limit

    async def start(
        self,
        customer: str,
        kind: str,
        *,
        details: Mapping[str, str],
        project: ProjectUuid | None = None,
        batch_id: str = "",
        stoppable: bool = False,
    ) -> Job:
        """Return a new job, queued.

        Raises:
            JobsFull: there are too many that have not expired.
        """
        run = uuid.uuid4().hex
        job = Job(
            id=0,
            kind=kind,
            run=run,
            created_at=self._clock.now().isoformat(),
            details=dict(details),
            project=project or ProjectUuid(""),
            batch_id=batch_id,
            stoppable=stoppable,
        )
        partition = _partition(customer)

        async def plan(fresh: bool) -> Plan[Job]:
            nonlocal job
            counter = await read(self._store, partition, _COUNTER, _Counter, fresh=fresh)
            if fresh and job.id:  # an earlier round may have been ours
                row = await read(self._store, partition, _key(job.id), Job, fresh=True)
                if row.record is not None and row.record.run == run:
                    return Plan(row.record)
            count = counter.record or _Counter()
            if count.kept >= self._limit:
                raise JobsFull(f"there are {count.kept} jobs; {self._limit} are kept at most")
            job = msgspec.structs.replace(job, id=count.last + 1)
            made: Read[Job] = Read(_key(job.id), None, None)
            return Plan(job, [counter.write(_Counter(job.id, count.kept + 1)), made.write(job)])

        try:
            return await transact(self._store, partition, plan)
        except JobsFull:
            if not await self.tidy(customer):
                raise
            return await transact(self._store, partition, plan)

    async def find(self, customer: str, job_id: int) -> Job | None:
        """Return a job of a customer; None: there is none of that id."""
        if not 1 <= job_id <= _LAST_ID:
            return None
        return (await read(self._store, _partition(customer), _key(job_id), Job)).record

    async def list(self, customer: str) -> list[Job]:
        """Return the jobs of a customer, oldest first; those that have expired are left out."""
        found: list[Job] = []
        after = ""
        while rows := await self._store.scan(_partition(customer), _JOB, after=after, limit=_PAGE):
            found += [decode(row, Job) for row in rows]
            after = rows[-1].key
        return [job for job in found if not self.expired(job)]

    def expired(self, job: Job) -> bool:
        """Tell whether the answer of a job need not be kept any more."""
        if not job.state.ended:
            return False
        return datetime.fromisoformat(job.ended_at) + self._keep < self._clock.now()

    async def values(self, customer: str, job: Job) -> bytes:
        """Return the `values` of a job that is done.

        Raises:
            NotFound: it was removed meanwhile.
        """
        if job.blob is not None:
            return await self._store.get_blob(job.blob.blob())
        found = await self._store.get(_partition(customer), _answer_key(job.id))
        if found is None:
            raise NotFound(f"job {job.id} is gone")
        return found.value

    async def beat(
        self, customer: str, job: Job, state: JobState, far: tuple[int, int] | None = None
    ) -> Job | None:
        """Return the job with its beat moved on; None: it is not its broker's any more.

        Args:
            customer, job: which.
            state: that it is in now.
            far: how many steps it has made, and of how many at most; None: as before.
        """
        current, maximum = far or (job.current, job.maximum)
        after = msgspec.structs.replace(
            job, state=state, beat=job.beat + 1, current=current, maximum=maximum
        )
        return await self._move(customer, job, after)

    async def done(self, customer: str, job: Job, values: bytes) -> Job | None:
        """Keep what a job came to; None: it is not its broker's any more.

        Args:
            customer, job: which.
            values: JSON of an object.
        """
        blob = None
        if len(values) > INLINE_BYTES:
            blob = BlobRef.of(await self._store.put_blob(new_blob_id(), values))
        whole = msgspec.structs.replace(job, current=job.maximum)
        after = self._ended(whole, JobState.DONE, blob=blob)
        more = [] if blob else [Write(_answer_key(job.id), None, values)]
        kept = await self._move(customer, job, after, more)
        if kept is None and blob is not None:
            await self._store.delete_blob(blob.id)
        return kept

    async def failed(self, customer: str, job: Job, text: str) -> Job | None:
        """Keep why a job failed; None: it has ended, or moved on, since it was read."""
        return await self._move(customer, job, self._ended(job, JobState.FAILED, text=text))

    async def remove(self, customer: str, job: Job) -> bool:
        """Remove a job with its answer, if it is as it was read; tell whether it is gone.

        Its broker, if it has not ended, gives it up.
        """
        partition, key = _partition(customer), _key(job.id)

        async def plan(fresh: bool) -> Plan[bool]:
            row = await read(self._store, partition, key, Job, fresh=fresh)
            counter = await read(self._store, partition, _COUNTER, _Counter, fresh=fresh)
            if row.record is None or counter.record is None:
                return Plan(True)
            if row.record != job:
                return Plan(False)
            answer = await self._store.get(partition, _answer_key(job.id), fresh=fresh)
            count = _Counter(counter.record.last, counter.record.kept - 1)
            writes = [row.write(None), counter.write(count)]
            if answer is not None:
                writes.append(Write(answer.key, answer.token, None))
            return Plan(True, writes)

        removed = await transact(self._store, partition, plan)
        if removed and job.blob is not None:
            await self._store.delete_blob(job.blob.id)
        return removed

    async def tidy(self, customer: str) -> int:
        """Remove the jobs of a customer that have expired; return how many."""
        removed, after = 0, ""
        while rows := await self._store.scan(_partition(customer), _JOB, after=after, limit=_PAGE):
            for job in (decode(row, Job) for row in rows):
                if self.expired(job):
                    removed += await self.remove(customer, job)
            after = rows[-1].key
        return removed

    def _ended(
        self, job: Job, state: JobState, *, text: str = "", blob: BlobRef | None = None
    ) -> Job:
        now = self._clock.now().isoformat()
        return msgspec.structs.replace(job, state=state, ended_at=now, text=text, blob=blob)

    async def _move(
        self, customer: str, before: Job, after: Job, more: Sequence[Write] = ()
    ) -> Job | None:
        """Return `after` if the job was as before; None if it was not."""
        partition = _partition(customer)

        async def plan(fresh: bool) -> Plan[Job | None]:
            row = await read(self._store, partition, _key(before.id), Job, fresh=fresh)
            if row.record == after:  # an earlier round of ours
                return Plan(after)
            if row.record != before:
                return Plan(None)
            return Plan(after, [row.write(after), *more])

        return await transact(self._store, partition, plan)


def _partition(customer: str) -> str:
    return f"jobs/{customer}"


def _key(job_id: int) -> str:
    return f"{_JOB}{job_id:012}"


def _answer_key(job_id: int) -> str:
    return f"{_ANSWER}{job_id:012}"


async def answer_blobs(store: Store, customer: str) -> AsyncIterator[BlobId]:
    """Yield the blobs that hold answers of a customer's jobs."""
    after = ""
    while rows := await store.scan(_partition(customer), _JOB, after=after, limit=_PAGE):
        for row in rows:
            if (blob := decode(row, Job).blob) is not None:
                yield blob.id
        after = rows[-1].key


async def remove_jobs(store: Store, customer: str) -> None:
    """Remove everything about a customer's jobs; brokers give up those under way."""
    partition = _partition(customer)
    blobs: set[BlobId] = set()

    async def plan(fresh: bool) -> Plan[bool]:
        rows = await store.scan(partition, limit=_AT_ONCE, fresh=fresh)
        jobs = [decode(row, Job) for row in rows if row.key.startswith(_JOB)]
        blobs.update(job.blob.id for job in jobs if job.blob is not None)
        return Plan(bool(rows), [Write(row.key, row.token, None) for row in rows])

    while await transact(store, partition, plan):
        pass
    for blob in blobs:
        await store.delete_blob(blob)


class Fate(Enum):
    """What has become of a change."""

    OPEN = "it is not counted so far"
    COUNTED = "it counts"
    STOPPED = "it never will count"


async def fate(store: Store, project: ProjectUuid, batch_id: str) -> Fate:
    """Return what has become of a change of a project, as far as the store knows by now."""
    after, partition = "", project_partition(project)
    while rows := await store.scan(partition, BATCHES, after=after, limit=_PAGE, fresh=True):
        for row in rows:
            for batch in decode(row, Batches).batches:
                if batch.id == batch_id:
                    return Fate.STOPPED if batch.digest == STOPPED else Fate.COUNTED
        after = rows[-1].key
    return Fate.OPEN
