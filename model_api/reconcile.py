"""Walks the fits that have not ended, and gives each the push that it lacks.

Whatever died, the store says how far each fit had come. Nothing here compares two machines'
clocks: a heartbeat is dead when it stood still for the TTL on this process's own clock.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from model_api.fit_loop import FitLoop
from model_api.services.fit import FitService
from tally.clock import Clock
from tally.errors import CoordinationUnavailable, QueueUnavailable, StoreUnavailable
from tally.fitqueue.base import FitQueue
from tally.ids import FitId
from tally.ledger import Ledger
from tally.ledger.fits import BeatSeen
from tally.ledger.records import Fit, FitState, OpenFit

_log = structlog.get_logger()

ABSENT_S = 60.0
"""How long an entry may stand without a row: a broker writes the series in between."""


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
    ) -> None:
        self._ledger = ledger
        self._queue = queue
        self._service = service
        self._loop = loop
        self._clock = clock
        self._every_s = every_s
        self._claim_ttl_s = claim_ttl_s
        self._seen: dict[FitId, Seen] = {}

    async def run(self) -> None:
        """Walk until cancelled."""
        while True:
            try:
                await self.walk()
            except (StoreUnavailable, CoordinationUnavailable) as error:
                _log.warning("walk given up until later", reason=str(error))
            await self._clock.sleep(self._every_s)

    async def walk(self) -> None:
        """Look at every open fit once."""
        present: set[FitId] = set()
        async for fit, entry in self._ledger.fits.open.walk():
            present.add(fit)
            await self._look_at(fit, entry)
        for gone in self._seen.keys() - present:
            del self._seen[gone]

    async def _look_at(self, fit_id: FitId, entry: OpenFit) -> None:
        fit = await self._ledger.fits.find(fit_id)
        if fit is None and self._unchanged_for(fit_id, None) >= ABSENT_S:
            fit = await self._ledger.fits.abandon(fit_id)
        if fit is None:
            return
        match fit.state:
            case FitState.ABANDONED:
                await self._ledger.store.delete_blob(entry.payload)
                await self._ledger.fits.open.remove(fit_id)
            case FitState.QUEUED:
                await self._queued(fit)
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

    async def _queued(self, fit: Fit) -> None:
        if self._unchanged_for(fit.id, (fit.state, fit.attempt)) < self._claim_ttl_s:
            return
        try:
            # Waiting in a long queue looks the same; the queue keeps one ticket of a kind.
            await self._queue.publish(fit.id, fit.attempt)
        except QueueUnavailable as error:
            _log.warning("ticket not published", fit=fit.id, reason=str(error))
            return
        del self._seen[fit.id]

    async def _running(self, fit: Fit) -> None:
        beat: BeatSeen | None = await self._ledger.fits.beat(fit.id)
        if beat is None:
            return
        if self._unchanged_for(fit.id, beat.token) >= self._claim_ttl_s:
            _log.warning("taking over", fit=fit.id, worker=fit.worker, attempt=fit.attempt)
            self._loop.take_over(fit.id, beat)

    async def _published(self, fit: Fit) -> None:
        head = await self._ledger.versions.head(fit.model)
        if head is None or head.deleted or head.version != fit.version:
            await self._ledger.fits.close(fit)  # the head has moved on; nobody will serve it
        else:
            await self._service.announce(fit.model)

    def _unchanged_for(self, fit: FitId, mark: object) -> float:
        """Return for how many seconds a fit has looked like this to us."""
        now = self._clock.monotonic()
        seen = self._seen.get(fit)
        if seen is None or seen.mark != mark:
            self._seen[fit] = Seen(mark, now)
            return 0.0
        return now - seen.since
