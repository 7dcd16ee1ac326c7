"""Walks the fits that have not ended, and gives each the push that it lacks.

Whatever died, the store says how far each fit had come. Nothing here compares two machines'
clocks: a heartbeat is dead when it stood still for the TTL on this process's own clock, seen by
walks that reached the store all the while.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from model_api.fit_loop import FitLoop
from model_api.services.fit import FitService
from tally.clock import Clock
from tally.errors import QueueUnavailable, StoreUnavailable, TallyError
from tally.fitqueue.base import FitQueue
from tally.ids import FitId
from tally.ledger import Ledger
from tally.ledger.records import Fit, FitState, OpenFit

_log = structlog.get_logger()

ABSENT_S = 60.0
"""How long an entry may stand without a row: a broker writes the series in between."""

DOUBT_S = 600.0
"""How long a fit may wait for a ticket that the queue seems to have."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What we saw of a fit, and since when it has looked the same."""

    mark: object
    since: float


class Reconciler:
    """The walk of one fit worker.

    Args:
        ledger, queue, service, loop: what it pushes with.
        clock: ours.
        every_s: how often it walks.
        claim_ttl_s: how long a heartbeat may stand still.
        settled: whether fits may be taken over; not for a while after an outage.
    """

    def __init__(
        self,
        ledger: Ledger,
        queue: FitQueue,
        service: FitService,
        loop: FitLoop,
        clock: Clock,
        *,
        every_s: float,
        claim_ttl_s: float,
        settled: Callable[[], bool],
    ) -> None:
        self._ledger = ledger
        self._queue = queue
        self._service = service
        self._loop = loop
        self._clock = clock
        self._every_s = every_s
        self._claim_ttl_s = claim_ttl_s
        self._settled = settled
        self._seen: dict[FitId, Seen] = {}

    async def run(self) -> None:
        """Walk until cancelled."""
        while True:
            try:
                await self.walk()
            except StoreUnavailable as error:
                # A heart that could not be written while the store was away is not dead.
                self._seen.clear()
                _log.warning("walk given up until later", reason=str(error))
            except TallyError as error:
                _log.error("walk given up until later", code=error.code, reason=str(error))
            await self._clock.sleep(self._every_s)

    async def walk(self) -> None:
        """Look at every open fit once."""
        present: set[FitId] = set()
        waiting: list[Fit] = []
        working = 0
        async for fit_id, entry in self._ledger.fits.open.walk():
            present.add(fit_id)
            try:
                fit = await self._look_at(fit_id, entry)
            except StoreUnavailable:
                raise
            except TallyError as error:
                # One fit whose rows cannot be read must not keep the others from going on.
                _log.error("fit not reconciled", fit=fit_id, code=error.code, reason=str(error))
                continue
            if fit is not None and fit.state is FitState.QUEUED:
                waiting.append(fit)
            elif fit is not None and fit.state is FitState.RUNNING:
                working += 1
        for gone in self._seen.keys() - present:
            del self._seen[gone]
        await self._queue_again(waiting, working)

    async def _look_at(self, fit_id: FitId, entry: OpenFit) -> Fit | None:
        fit = await self._ledger.fits.find(fit_id)
        if fit is None and self._unchanged_for(fit_id, None) >= ABSENT_S:
            fit = await self._ledger.fits.abandon(fit_id)
        if fit is None:
            return None
        match fit.state:
            case FitState.ABANDONED:
                await self._ledger.store.delete_blob(entry.payload)
                await self._ledger.fits.open.remove(fit_id)
            case FitState.QUEUED:
                pass  # all of them together, after the walk
            case FitState.RUNNING:
                await self._running(fit)
            case FitState.STORED:
                # The worker that stored it publishes at once; long after, it is dead.
                if self._unchanged_for(fit_id, fit.state) >= self._claim_ttl_s:
                    await self._service.publish(fit_id)
            case FitState.PUBLISHED:
                await self._published(fit)
            case _:
                await self._ledger.fits.close(fit)
        return fit

    async def _queue_again(self, waiting: list[Fit], working: int) -> None:
        """Publish tickets for fits that have waited, if the queue has fewer than there should be.

        Waiting in a long queue looks like a lost ticket, so the queue is asked how many it has.
        Tickets of fits that have ended are counted too, so after a while we stop trusting that.
        A ticket that is published twice costs one look at the ledger.
        """
        waited = {fit.id: self._unchanged_for(fit.id, (fit.state, fit.attempt)) for fit in waiting}
        overdue = [fit for fit in waiting if waited[fit.id] >= self._claim_ttl_s]
        if not overdue:
            return
        try:
            if await self._queue.depth() >= len(waiting) + working:
                overdue = [fit for fit in overdue if waited[fit.id] >= DOUBT_S]
            for fit in overdue:
                await self._queue.publish(fit.id, fit.attempt)
                del self._seen[fit.id]
        except QueueUnavailable as error:
            _log.warning("tickets not published", fits=len(overdue), reason=str(error))

    async def _running(self, fit: Fit) -> None:
        beat = await self._ledger.fits.beat(fit.id)
        if beat is None or fit.id == self._loop.busy_with:
            return
        if self._unchanged_for(fit.id, beat.token) >= self._claim_ttl_s and self._settled():
            if self._loop.take_over(fit.id, beat):
                _log.warning("taking over", fit=fit.id, worker=fit.worker, attempt=fit.attempt)
            del self._seen[fit.id]

    async def _published(self, fit: Fit) -> None:
        now = await self._ledger.fits.replaced(fit.id)
        if now.state is FitState.PUBLISHED:
            await self._service.announce(fit.model)
        else:
            await self._ledger.fits.close(now)

    def _unchanged_for(self, fit: FitId, mark: object) -> float:
        """Return for how many seconds a fit has looked like this to us."""
        now = self._clock.monotonic()
        seen = self._seen.get(fit)
        if seen is None or seen.mark != mark:
            self._seen[fit] = Seen(mark, now)
            return 0.0
        return now - seen.since
