"""Takes work: dead claims first, then tickets from the queue; one fit at a time."""

from __future__ import annotations

import asyncio

import structlog

from model_api.services.fit import FitService
from tally.errors import QueueUnavailable, StoreUnavailable
from tally.fitqueue.base import FitQueue, Ticket
from tally.ids import FitId
from tally.ledger import Ledger
from tally.ledger.fits import BeatSeen, Claim
from tally.ledger.records import FitState

_WAIT_S = 1.0
_log = structlog.get_logger()


class FitLoop:
    """The loop of one fit worker.

    Args:
        ledger, queue, service: to ask, to take from, to do it.
        worker: our name in the ledger.
        max_tries: then a fit is a dead letter.
        renew_s: how often the ticket at work is renewed.
    """

    def __init__(
        self,
        ledger: Ledger,
        queue: FitQueue,
        service: FitService,
        *,
        worker: str,
        max_tries: int,
        renew_s: float,
    ) -> None:
        self._ledger = ledger
        self._queue = queue
        self._service = service
        self._worker = worker
        self._max_tries = max_tries
        self._renew_s = renew_s
        self._dead: dict[FitId, BeatSeen] = {}
        self.busy_with: FitId | None = None
        self.queue_connected = True

    def take_over(self, fit: FitId, dead: BeatSeen) -> None:
        """Have a fit done whose worker is known to be dead."""
        self._dead[fit] = dead

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            try:
                await self._once()
            except StoreUnavailable as error:
                # The ticket comes again, or the reconciler finds the row.
                _log.warning("store away", reason=str(error))
                await asyncio.sleep(_WAIT_S)

    async def _once(self) -> None:
        while self._dead:
            fit, seen = self._dead.popitem()
            await self._work(fit, dead=seen)
        try:
            ticket = await self._queue.take(_WAIT_S)
        except QueueUnavailable as error:
            if self.queue_connected:
                _log.warning("queue away", reason=str(error))
            self.queue_connected = False
            await asyncio.sleep(_WAIT_S)
            return
        self.queue_connected = True
        if ticket is None:
            return
        renewing = asyncio.create_task(self._renew(ticket))
        try:
            await self._work(ticket.fit)
        finally:
            renewing.cancel()
        # Also where another worker has the fit: its row, not this ticket, keeps it from being lost.
        await ticket.done()

    async def _work(self, fit: FitId, dead: BeatSeen | None = None) -> None:
        claim: Claim | None = await self._ledger.fits.claim(
            fit, self._worker, max_tries=self._max_tries, dead=dead
        )
        if claim is None:
            return
        self.busy_with = fit
        try:
            ended = await self._service.carry_out(claim)
        finally:
            self.busy_with = None
        if ended is not None and ended.state is FitState.QUEUED:
            try:
                await self._queue.publish(fit, ended.attempt)
            except QueueUnavailable as error:
                _log.warning("ticket not published; the reconciler will", reason=str(error))

    async def _renew(self, ticket: Ticket) -> None:
        while True:
            await asyncio.sleep(self._renew_s)
            await ticket.renew()
