"""What Tally asks of the fit queue: work tickets, delivered at least once, with luck.

A ticket carries a fit's id, never its data. The queue is only a hint: whoever takes a ticket
asks the ledger what to do, and the reconciler publishes tickets that the queue has lost.
"""

from __future__ import annotations

from typing import Protocol

from tally.ids import FitId


class Ticket(Protocol):
    """One delivery of a ticket to one worker.

    If it is neither finished nor renewed for the queue's `redeliver_after_s`, another worker
    gets it. All methods are hints too: none raises when the queue is out of reach.
    """

    @property
    def fit(self) -> FitId:
        """The fit that the ledger is to be asked about."""
        ...

    @property
    def deliveries(self) -> int:
        """How often this ticket has been handed out, this time included."""
        ...

    async def renew(self) -> None:
        """Say that the work goes on."""
        ...

    async def done(self) -> None:
        """Remove the ticket; the ledger knows how the fit ended."""
        ...

    async def again(self, delay_s: float) -> None:
        """Hand the ticket out once more, after a while."""
        ...


class FitQueue(Protocol):
    """A work queue: each ticket goes to one worker at a time, in about the order of arrival."""

    async def publish(self, fit: FitId, attempt: int) -> None:
        """Add a ticket; the same fit and attempt within two minutes is added once.

        Raises:
            QueueUnavailable: it may or may not have been added.
        """
        ...

    async def take(self, wait_s: float) -> Ticket | None:
        """Return the next ticket, None if none came within `wait_s`.

        Raises:
            QueueUnavailable: the queue is out of reach; wait, then call again.
        """
        ...

    async def depth(self) -> int:
        """Return how many tickets are waiting or being worked on."""
        ...

    async def ping(self) -> None:
        """Return when the queue answers; raise `QueueUnavailable` otherwise."""
        ...

    async def close(self) -> None:
        """Release connections. Twice is allowed."""
        ...
