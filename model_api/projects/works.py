"""Work that goes on at a project's home between the calls that ask for it.

Each call waits for a short time, then its caller is told how far the work is, and asks again under
the same batch id. What the work came to while nobody asked is kept for whoever asks next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field

from model_api.projects.sharing import Spawn, quiet, settle
from tally.clock import Clock
from tally.projects.batches import mismatch
from tally.wire.projects import ProjectUuid, Working

_HOLD_S = 2.0  # as often as a job's row is written
_KEPT_S = 60.0


@dataclass(slots=True, eq=False)
class Work:
    """One piece of work; its thread tells how far it is, and finds out whether to go on.

    Attributes:
        key: under which it is found.
        digest: what tells it from other work of the same id.
        ended: what comes of it.
        far: how many steps it has made, and of how many at most.
        stopped: nothing will come of it.
        waiting: how many callers wait for it now.
    """

    key: Hashable
    digest: str
    ended: asyncio.Future[None] = field(repr=False)
    far: tuple[int, int] = (0, 1)
    stopped: bool = False
    waiting: int = 0

    def tell(self, done: int, most: int) -> None:
        """Say how far it is; from any thread."""
        self.far = (done, most)


class Works:
    """The work under way on this worker.

    Args:
        spawn: who owns the tasks.
        clock: for how long callers wait.
        wait_s: how long a call may take before its caller takes it for lost.
    """

    def __init__(self, spawn: Spawn, clock: Clock, wait_s: float) -> None:
        self._spawn = spawn
        self._clock = clock
        self._hold_s = min(_HOLD_S, wait_s / 2)
        self._known: dict[Hashable, Work] = {}

    def begun(
        self,
        project: ProjectUuid,
        batch_id: str,
        digest: str,
        do: Callable[[Work], Awaitable[None]],
    ) -> Work:
        """Return the work of a batch id; it is begun unless it is under way.

        Args:
            project, batch_id: name it; without an id nobody can ask for the same again.
            digest: what tells it from other work of the same id.
            do: does it.

        Raises:
            IdempotencyMismatch: other work of this id is under way.
        """
        key: Hashable = (project, batch_id) if batch_id else object()
        work = self._known.get(key)
        if work is None:
            work = Work(key, digest, quiet(asyncio.get_running_loop().create_future()))
            self._spawn(self._run(work, do))
            self._known[key] = work
        elif work.digest != digest:
            raise mismatch(batch_id)
        return work

    def find(self, project: ProjectUuid, batch_id: str) -> Work | None:
        """Return the work of a batch id, if it is under way, or what it came to is not told yet."""
        return self._known.get((project, batch_id))

    async def wait(self, work: Work) -> None:
        """Return once some work has ended; raises what it raised."""
        work.waiting += 1
        try:
            await asyncio.shield(work.ended)
        finally:
            self._waited(work)

    async def wait_a_while(self, work: Work) -> Working | None:
        """Return how far some work is, after a while; or None once it has ended.

        Raises:
            TallyError: what the work raised.
        """
        pause = asyncio.ensure_future(self._clock.sleep(self._hold_s))
        work.waiting += 1
        try:
            await asyncio.wait({work.ended, pause}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waited(work)
            pause.cancel()
            await asyncio.gather(pause, return_exceptions=True)
        if not work.ended.done():
            return Working(*work.far)
        work.ended.result()
        return None

    async def _run(self, work: Work, do: Callable[[Work], Awaitable[None]]) -> None:
        try:
            await settle(work.ended, do(work))
            if not work.waiting and work.ended.exception() is not None:
                await self._clock.sleep(_KEPT_S)  # its broker is between two calls
        finally:
            self._forget(work)

    def _waited(self, work: Work) -> None:
        work.waiting -= 1
        if work.ended.done():
            self._forget(work)  # it is told: whoever asks now, asks anew

    def _forget(self, work: Work) -> None:
        if self._known.get(work.key) is work:
            del self._known[work.key]
