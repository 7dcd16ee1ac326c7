"""Fit tickets on their way to the queue, so that no client waits for a queue that hangs."""

from __future__ import annotations

import asyncio

import structlog

from tally.errors import QueueUnavailable
from tally.fitqueue.base import FitQueue
from tally.ledger.records import Fit

_MOST = 1000
_log = structlog.get_logger()


class Hints:
    """Publishes the tickets of accepted fits in the background.

    A ticket that is dropped, or dies with this process, costs time only: the fit stands in the
    ledger, and a reconciler queues it.

    Args:
        queue: where tickets go.
    """

    def __init__(self, queue: FitQueue) -> None:
        self._queue = queue
        self._waiting: asyncio.Queue[Fit] = asyncio.Queue(_MOST)

    def give(self, fit: Fit) -> None:
        """Have the ticket of a fit published soon."""
        try:
            self._waiting.put_nowait(fit)
        except asyncio.QueueFull:
            _log.warning("ticket dropped", fit=fit.id, waiting=_MOST)

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            fit = await self._waiting.get()
            try:
                await self._queue.publish(fit.id, fit.attempt)
            except QueueUnavailable as error:
                # Accepted all the same: the reconciler finds the row.
                _log.warning("ticket not published", fit=fit.id, reason=str(error))
