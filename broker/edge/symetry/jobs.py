"""Runs the jobs that this broker started."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import structlog

from broker.edge.symetry.call import Call, Outcome, Told
from broker.edge.symetry.errors import DEFECT, refused
from broker.edge.symetry.room import Place, Room
from broker.edge.symetry.routes import Action
from broker.metrics import JOBS
from tally.clock import Clock
from tally.errors import TallyError
from tally.projects.job import Job, JobState
from tally.projects.jobs import Jobs, JobsFull
from tally.users import Users
from tally.wire import texts
from tally.wire.projects import ProjectUuid
from tally.wire.status import Refused, StatusCode

_STOPPED = "The broker that ran this job was stopped"
_LAST_WORD_S = 2.0
_log = structlog.get_logger()

Work = Callable[[Told], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one broker's jobs.

    Attributes:
        parallel: how many run at once.
        waiting: how many more may wait for their turn.
        beat_s: how often a job shows that it lives.
        tidy_every_s: how often expired jobs are removed.
    """

    parallel: int
    waiting: int
    beat_s: float = 2.0
    tidy_every_s: float = 300.0


class JobRunner:
    """The jobs that this broker runs.

    Args:
        jobs: where all jobs stand.
        users: whose jobs are tidied up.
        room: where the bodies are counted that wait here.
        clock: paces the beats.
        limits: bounds.
    """

    def __init__(self, jobs: Jobs, users: Users, room: Room, clock: Clock, limits: Limits) -> None:
        self._jobs = jobs
        self._users = users
        self._room = room
        self._clock = clock
        self._limits = limits
        self._turns = asyncio.Semaphore(limits.parallel)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopping = False

    async def run(self) -> None:
        """Remove what has expired, until cancelled; jobs under way are then ended and awaited."""
        try:
            while True:
                try:
                    for user in await self._users.list():
                        await self._jobs.tidy(user.cid)
                except TallyError as error:
                    _log.warning("jobs not tidied", reason=str(error))
                await self._clock.sleep(self._limits.tidy_every_s)
        finally:
            self._stopping = True
            tasks = list(self._tasks.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def idle(self) -> bool:
        """Whether no job waits or is under way in this broker."""
        return not self._tasks

    def runs(self, job: Job) -> bool:
        """Tell whether a job is under way in this broker."""
        return job.run in self._tasks

    def give_up(self, job: Job) -> None:
        """End a job that was removed, if it is under way in this broker."""
        if (task := self._tasks.get(job.run)) is not None:
            task.cancel()

    async def start(
        self,
        call: Call,
        project: ProjectUuid | None,
        work: Work,
        told: Mapping[str, str] = MappingProxyType({}),
    ) -> int:
        """Start a job and return its id.

        Args:
            call: that asked for it.
            project: that it is about; None: several.
            work: what it does.
            told: more details of it.

        Raises:
            Refused: 500, too many are waiting here, or kept; 503, this broker is stopping.
        """
        if self._stopping:
            raise _stopping()
        if len(self._tasks) >= self._limits.parallel + self._limits.waiting:
            raise _full(call)
        details = {**told, "project": call.pid} if project else dict(told)
        batch_id = call.batch_id if call.route.changes else ""
        if batch_id:
            details["idempotencyKey"] = batch_id
        place = Place(self._room)
        place.grow(len(call.body))
        try:
            job = await self._jobs.start(
                call.cid,
                call.route.verb,
                details=details,
                project=project,
                batch_id=batch_id,
                stoppable=call.route.action is Action.WORK,
            )
        except BaseException as error:
            place.leave()
            if isinstance(error, JobsFull):
                raise _full(call) from None
            raise
        if self._stopping:
            # Nobody would await it. Its beat never moves, so it is told as failed.
            place.leave()
            raise _stopping()
        task = asyncio.create_task(self._run(call.cid, job, work))
        self._tasks[job.run] = task
        JOBS.set(len(self._tasks))

        def ended(_: asyncio.Task[None]) -> None:
            place.leave()
            del self._tasks[job.run]
            JOBS.set(len(self._tasks))

        task.add_done_callback(ended)
        return job.id

    async def _run(self, cid: str, job: Job, work: Work) -> None:
        claim = _Claim(self._jobs, cid, job)
        myself = asyncio.current_task()
        assert myself is not None
        beating = asyncio.create_task(self._beat(claim, myself))
        try:
            async with self._turns:
                ended = await self._worked(claim, work)
            while ended is not None and not await self._written(claim, *ended):
                await self._clock.sleep(self._limits.beat_s)
        except asyncio.CancelledError:
            await self._stopped(claim)
            raise
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)

    async def _beat(self, claim: _Claim, owner: asyncio.Task[None]) -> None:
        while True:
            await self._clock.sleep(self._limits.beat_s)
            try:
                if await claim.beat():
                    continue
            except TallyError as error:
                _log.warning("job could not show that it lives", reason=str(error))
                continue
            # It was removed, or somebody took this broker for dead.
            owner.cancel()
            return

    async def _worked(self, claim: _Claim, work: Work) -> tuple[bytes, str] | None:
        """Return the values that a job came to, or why it failed; None: it was taken away."""
        try:
            # A change is told before it begins: from then on it cannot be taken back.
            if not await claim.begin(told=bool(claim.job.batch_id)):
                return None
            return (await work(claim.tell)).values, ""
        except TallyError as error:
            return b"", refused(error).text
        except Exception:
            _log.exception("defect", job=claim.job.id, kind=claim.job.kind)
            return b"", DEFECT.text

    async def _written(self, claim: _Claim, values: bytes, text: str) -> bool:
        try:
            await claim.end(values, text)
        except TallyError as error:
            _log.warning("job could not be ended", job=claim.job.id, reason=str(error))
            return False
        return True

    async def _stopped(self, claim: _Claim) -> None:
        if claim.job.batch_id and claim.job.state is JobState.RUNNING:
            return  # by its batch id the next broker that is asked finds out what came of it
        try:
            async with asyncio.timeout(_LAST_WORD_S):
                await claim.end(b"", _STOPPED)
        except (TallyError, TimeoutError) as error:
            _log.warning("job could not be ended", job=claim.job.id, reason=repr(error))


class _Claim:
    """A job as the last write of its broker left it. One write at a time."""

    def __init__(self, jobs: Jobs, cid: str, job: Job) -> None:
        self.job = job
        self._jobs = jobs
        self._cid = cid
        self._writing = asyncio.Lock()
        self._state = job.state
        self._far: tuple[int, int] | None = None
        self._lost = False

    def tell(self, done: int, most: int) -> None:
        """Have the next beat say how far it is."""
        self._far = (done, most)

    async def begin(self, *, told: bool) -> bool:
        """Have it run; tell whether it is still this broker's, as far as that was asked."""
        self._state = JobState.RUNNING
        return await self.beat() if told else not self._lost

    async def beat(self) -> bool:
        """Show that it lives; tell whether it is still this broker's."""
        async with self._writing:
            return self._took(await self._jobs.beat(self._cid, self.job, self._state, self._far))

    async def end(self, values: bytes, text: str) -> None:
        """Keep what it came to; where it is not this broker's any more, nobody wants to know."""
        async with self._writing:
            if self.job.state.ended or self._lost:
                return
            if text:
                self._took(await self._jobs.failed(self._cid, self.job, text))
            else:
                self._took(await self._jobs.done(self._cid, self.job, values))

    def _took(self, job: Job | None) -> bool:
        if job is None:
            self._lost = True
        else:
            self.job = job
        return job is not None


def _full(call: Call) -> Refused:
    text = texts.OPTIMIZE_JOB_REFUSED if call.route.verb == "reduce" else texts.JOB_REFUSED
    return Refused(text, StatusCode.INTERNAL_SERVER_ERROR)


def _stopping() -> Refused:
    return Refused("This broker is stopping; try again", StatusCode.SERVICE_UNAVAILABLE)
