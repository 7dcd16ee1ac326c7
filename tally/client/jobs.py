"""Work that the server does in the background."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any, Generic, TypeAlias, TypeVar

from tally.client.errors import JobFailed, ProjectRefused, ServerAway
from tally.client.results.info import JobStatus
from tally.client.session import Answer, Request, Session
from tally.wire import entities
from tally.wire.envelope import JOB_INFO

T = TypeVar("T")

_RUNNING = 202
_FAILED = 500
_FIRST_PAUSE_S, _LAST_PAUSE_S, _SLOWER = 0.01, 1.0, 1.5
_LAST_WORD_S = 5.0
ID_HEADER = "sym-job-id"


OnStatus: TypeAlias = Callable[[JobStatus], None]
"""Told how far a job has come, each time that it is asked for."""


class AsyncJob(Generic[T]):
    """A job; `await` it for its result.

    Args:
        session: of its customer.
        id: of the job.
        read: makes the result of the answer.
    """

    def __init__(self, session: Session, id: int, read: Callable[[Answer], T]) -> None:
        self.id = id
        self._session = session
        self._read = read

    def __await__(self) -> Generator[Any, None, T]:
        """Return the result, once there is one."""
        return self.result().__await__()

    async def result(
        self, timeout_s: float | None = None, *, on_progress: OnStatus | None = None
    ) -> T:
        """Return the result, once there is one; it may be asked for again for a while.

        Args:
            timeout_s: how long to wait; None: as long as it takes.
            on_progress: told how far it is, now and then.

        Raises:
            JobFailed: it ended without one; says why.
            TimeoutError: not within `timeout_s`; the job goes on.
        """
        pause_s = _FIRST_PAUSE_S
        async with asyncio.timeout(timeout_s):
            while (answer := await self._ask()).status == _RUNNING:
                if on_progress is not None:
                    on_progress(_status(answer))
                await asyncio.sleep(pause_s)
                pause_s = min(_SLOWER * pause_s, _LAST_PAUSE_S)
        return self._read(answer)

    async def result_or_cancel(self, on_progress: OnStatus | None = None) -> T:
        """Return the result as `result` does; where the caller is cancelled, the job is, too.

        For callers who tell nobody of the job: without them nobody could end it.
        """
        try:
            return await self.result(on_progress=on_progress)
        except asyncio.CancelledError:
            with suppress(ProjectRefused, ServerAway, TimeoutError):
                async with asyncio.timeout(_LAST_WORD_S):
                    await self.cancel()
            raise

    async def status(self) -> JobStatus | None:
        """Return how far it has come; None: it has ended, and has a result."""
        answer = await self._ask()
        if answer.status != _RUNNING:
            return None
        return _status(answer)

    async def cancel(self) -> bool:
        """End the job and forget it; False: it is a change under way, which goes on."""
        request = Request("DELETE", ("jobs", str(self.id)))
        try:
            return (await self._session.ask(request)).status != _RUNNING
        except JobFailed as error:
            if not error.repeated:
                raise
            return True  # it is forgotten since it was sent first

    async def _ask(self) -> Answer:
        try:
            return await self._session.get("jobs", str(self.id))
        except ProjectRefused as error:
            if error.status == _FAILED and not isinstance(error, JobFailed):
                raise JobFailed(error.status, error.text, error.values) from error
            raise

    def __repr__(self) -> str:
        return f"AsyncJob({self.id})"


def _status(answer: Answer) -> JobStatus:
    return JobStatus.of(answer.value(JOB_INFO, entities.JobInfo))


def started(session: Session, answer: Answer, read: Callable[[Answer], T]) -> AsyncJob[T]:
    """Return the job that an answer says was started.

    Raises:
        ProjectRefused: it says nothing of the kind.
    """
    number = answer.headers.get(ID_HEADER, "")
    if answer.status != _RUNNING or not (number.isascii() and number.isdigit()):
        raise ProjectRefused(answer.status, f"the answer has no {ID_HEADER}, so no job was started")
    return AsyncJob(session, int(number), read)
