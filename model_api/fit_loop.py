"""Takes work: fits of dead workers first, then tickets from the queue; one at a time."""

from __future__ import annotations

import asyncio

import structlog

from model_api.services.fit import FitService
from tally.clock import Clock
from tally.errors import QueueUnavailable, StoreUnavailable, TallyError
from tally.fitqueue.base import FitQueue, Ticket
from tally.ids import FitId
from tally.ledger import Ledger
from tally.ledger.attempts import Claim
from tally.ledger.fit_rows import BeatSeen
from tally.ledger.records import Fit, FitState

_WAIT_S = 1.0
_GIVE_BACK_S = 3.0
_log = structlog.get_logger()


class FitLoop:
    """The loop of one fit worker.

    Args:
        ledger, queue, service: to ask, to take from, to do it.
        clock: paces renewals and retries.
        worker: our name in the ledger.
        max_tries: then a fit is a dead letter.
        renew_s: how often the ticket at work is renewed.

    Attributes:
        busy_with: the fit at work.
    """

    def __init__(
        self,
        ledger: Ledger,
        queue: FitQueue,
        service: FitService,
        clock: Clock,
        *,
        worker: str,
        max_tries: int,
        renew_s: float,
    ) -> None:
        self._ledger = ledger
        self._queue = queue
        self._service = service
        self._clock = clock
        self._worker = worker
        self._max_tries = max_tries
        self._renew_s = renew_s
        self._dead: dict[FitId, BeatSeen] = {}
        self._queue_away = False
        self.busy_with: FitId | None = None

    def take_over(self, fit: FitId, dead: BeatSeen) -> bool:
        """Have a fit done whose worker is known to be dead.

        Returns:
            False if it has been told already, and has not come to it yet.
        """
        told = self._dead.get(fit) == dead
        self._dead[fit] = dead
        return not told

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            try:
                await self._once()
            except StoreUnavailable as error:
                # The ticket comes again, or the reconciler finds the row.
                _log.warning("store away", reason=str(error))
                await self._clock.sleep(_WAIT_S)

    async def _once(self) -> None:
        while self._dead:
            fit, seen = self._dead.popitem()
            await self._work(fit, dead=seen)
        if (ticket := await self._next()) is None:
            return
        renewing = asyncio.create_task(self._renew(ticket))
        try:
            await self._work(ticket.fit)
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
        # Also where another worker has the fit: its row, not this ticket, keeps it from being lost.
        await ticket.done()

    async def _next(self) -> Ticket | None:
        try:
            ticket = await self._queue.take(_WAIT_S)
        except QueueUnavailable as error:
            if not self._queue_away:
                _log.warning("queue away", reason=str(error))
            self._queue_away = True
            await self._clock.sleep(_WAIT_S)
            return None
        self._queue_away = False
        return ticket

    async def _work(self, fit: FitId, dead: BeatSeen | None = None) -> None:
        try:
            claim = await self._ledger.fits.claim(
                fit, self._worker, max_tries=self._max_tries, dead=dead
            )
            if claim is not None:
                await self._carry_out(claim)
        except StoreUnavailable:
            raise
        except TallyError as error:
            # A row that cannot be read, say: the fits behind it must not wait for that.
            _log.error("fit cannot be worked on", fit=fit, code=error.code, reason=str(error))

    async def _carry_out(self, claim: Claim) -> None:
        self.busy_with = claim.fit.id
        try:
            ended = await self._service.carry_out(claim)
        except asyncio.CancelledError:
            await self._give_back(claim)
            raise
        finally:
            self.busy_with = None
        if ended is not None and ended.state is FitState.QUEUED:
            await self._publish(ended)

    async def _give_back(self, claim: Claim) -> None:
        """Let another worker have the fit at once: it is this worker that is being stopped."""
        try:
            async with asyncio.timeout(_GIVE_BACK_S):
                if (queued := await self._ledger.fits.give_back(claim)) is not None:
                    _log.info("fit given back", fit=queued.id, request_id=queued.request_id)
                    await self._publish(queued)
        except (TallyError, TimeoutError) as error:
            # Then its heartbeat stands still, and a reconciler takes it over.
            _log.warning("fit not given back", fit=claim.fit.id, reason=repr(error))

    async def _publish(self, fit: Fit) -> None:
        try:
            await self._queue.publish(fit.id, fit.attempt)
        except QueueUnavailable as error:
            _log.warning("ticket not published; the reconciler will", reason=str(error))

    async def _renew(self, ticket: Ticket) -> None:
        while True:
            await self._clock.sleep(self._renew_s)
            await ticket.renew()
