"""Tells customers of their jobs, whichever broker runs them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import datetime

import msgspec

from broker.edge.symetry.call import Call, Outcome
from broker.edge.symetry.jobs import JobRunner
from tally.clock import Clock
from tally.errors import NotFound
from tally.projects.job import Job, JobState
from tally.projects.jobs import Fate, Jobs
from tally.wire import texts
from tally.wire.entities import JobInfo
from tally.wire.envelope import Values, job_info, job_list
from tally.wire.projects import ProjectUuid
from tally.wire.status import Refused, StatusCode

_DIED = "The broker that ran this job is gone"
_MOST_WATCHED = 10_000

_STOPPED = "The job was stopped"

TellFate = Callable[[ProjectUuid, str], Awaitable[Fate]]
Stop = Callable[[Call, ProjectUuid, str], Awaitable[bool]]


class JobDesk:
    """Answers the routes of jobs.

    Args:
        jobs: all jobs.
        runner: those under way here.
        fate: tells what has become of a batch id of a project.
        stop: has nothing come of the long work of a batch id, or tells that it came before.
        clock: for how long a beat has stood still, as far as we have seen.
        beat_s: how often a job shows that it lives.
        dead_after_s: a job whose beat stood still for so long has no broker any more.
    """

    def __init__(
        self,
        jobs: Jobs,
        runner: JobRunner,
        fate: TellFate,
        stop: Stop,
        clock: Clock,
        *,
        beat_s: float,
        dead_after_s: float,
    ) -> None:
        self._jobs = jobs
        self._runner = runner
        self._fate = fate
        self._stop = stop
        self._clock = clock
        self._beat_s = beat_s
        self._dead_after_s = dead_after_s
        self._seen: OrderedDict[str, tuple[int, float]] = OrderedDict()

    async def list(self, call: Call) -> Outcome:
        """Return the customer's jobs."""
        jobs = await self._jobs.list(call.cid)
        return _outcome(job_list([_info(job, call.cid) for job in jobs]))

    async def tell(self, call: Call) -> Outcome:
        """Return how far a job has come, or what it came to.

        Raises:
            Refused: 400, the customer has no such job; 500, it failed.
        """
        job = await self._find(call)
        if not job.state.ended and not self._runner.runs(job) and await self._dead(call.cid, job):
            job = await self._buried(call.cid, job)
        if job.state is JobState.FAILED:
            raise Refused(job.text, StatusCode.INTERNAL_SERVER_ERROR)
        if job.state is JobState.DONE:
            try:
                values = await self._jobs.values(call.cid, job)
            except NotFound:
                raise _none() from None
            return Outcome(values, text=texts.JOB_FINISHED)
        return _running(job, call.cid)

    async def cancel(self, call: Call) -> Outcome:
        """Remove a job, unless it is a change that may have been made already.

        Long work is stopped first; once that is so, nothing comes of it, whatever its broker and
        its home do, so the job goes in whichever state it is by then.

        Raises:
            Refused: 400, the customer has no such job; 503, the home of its project is away.
        """
        stopped = False
        while True:
            job = await self._find(call)
            if job.batch_id and job.state is JobState.RUNNING and not stopped:
                stopped = job.stoppable and await self._stop(call, job.project, job.batch_id)
                if not stopped:
                    return _running(job, call.cid)
            if await self._jobs.remove(call.cid, job):
                self._runner.give_up(job)
                return Outcome()

    async def _find(self, call: Call) -> Job:
        text = call.values["jobid"]
        number = int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else 0
        job = await self._jobs.find(call.cid, number)
        if job is None or self._jobs.expired(job):
            raise _none()
        return job

    async def _dead(self, cid: str, job: Job) -> bool:
        """Tell whether a job's beat stands still for longer than any broker would let it."""
        now = self._clock.monotonic()
        beat, since_s = self._seen.get(job.run, (-1, now))
        if beat != job.beat:
            self._seen[job.run] = (job.beat, now)
            if len(self._seen) > _MOST_WATCHED:
                self._seen.popitem(last=False)
            return False
        if now - since_s < self._dead_after_s:
            return False
        # The store may have been away, to that broker as well: it gets the time to say so.
        await self._clock.sleep(2 * self._beat_s)
        return await self._jobs.find(cid, job.id) == job

    async def _buried(self, cid: str, job: Job) -> Job:
        """Return a job as it ended whose broker is gone."""
        if job.batch_id and job.state is JobState.RUNNING:
            fate = await self._fate(job.project, job.batch_id)
            if fate is Fate.COUNTED:
                return await self._jobs.done(cid, job, b"{}") or await self._again(cid, job)
            if fate is Fate.STOPPED:
                return await self._jobs.failed(cid, job, _STOPPED) or await self._again(cid, job)
            # Not kept: a home that is slow may count it yet.
            return msgspec.structs.replace(job, state=JobState.FAILED, text=_undecided(job))
        return await self._jobs.failed(cid, job, _DIED) or await self._again(cid, job)

    async def _again(self, cid: str, job: Job) -> Job:
        found = await self._jobs.find(cid, job.id)
        if found is None:
            raise _none()
        return found


def _info(job: Job, cid: str) -> JobInfo:
    started = datetime.fromisoformat(job.created_at)
    return JobInfo(
        job_id=job.id,
        job_type=job.kind,
        owner=cid,
        starting_date=int(started.timestamp() * 1000),
        current=job.current,
        maximum=job.maximum,
        is_started=job.state is not JobState.QUEUED,
        is_done=job.state.ended,
        details=job.details,
    )


def _running(job: Job, cid: str) -> Outcome:
    return _outcome(job_info(_info(job, cid)), StatusCode.ACCEPTED, texts.JOB_RUNNING)


def _outcome(values: Values, status: StatusCode = StatusCode.OK, text: str = texts.OK) -> Outcome:
    return Outcome(msgspec.json.encode(values), status, text)


def _undecided(job: Job) -> str:
    return (
        f"{_DIED}, and the change is not counted so far; the same request with the header "
        f"Idempotency-Key: {job.batch_id} may be repeated safely"
    )


def _none() -> Refused:
    return Refused(texts.NO_SUCH_JOB)
