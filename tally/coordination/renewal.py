"""A lease kept alive by a task of its own, whichever backend grants it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from tally.clock import Clock
from tally.coordination.base import Lease
from tally.errors import CoordinationUnavailable, InvalidInput

RENEWALS_PER_TTL = 3
"""So that two renewals in a row may fail before the lease is in danger."""

RETRIES_PER_PERIOD = 4
"""How much sooner a renewal that failed is tried again."""


class RenewedLease:
    """The `Lease` of both backends.

    Args:
        lease_id: what the backend calls it.
        ttl_s: as granted.
        renew: returns False when the backend says that the lease has ended.
        revoke: ends the lease and its keys.
        clock: paces the renewals.
        on_end: called once the lease is renewed no more.
    """

    def __init__(
        self,
        lease_id: int,
        ttl_s: float,
        *,
        renew: Callable[[int], Awaitable[bool]],
        revoke: Callable[[int], Awaitable[None]],
        clock: Clock,
        on_end: Callable[[RenewedLease], None],
    ) -> None:
        self.lease_id = lease_id
        self._period_s = ttl_s / RENEWALS_PER_TTL
        self._renew = renew
        self._revoke = revoke
        self._clock = clock
        self._on_end = on_end
        self._ended = asyncio.Event()
        self._task = asyncio.create_task(self._run())
        # Not in the task itself: cancelled before its first step, it would not get there.
        self._task.add_done_callback(self._end)

    @property
    def ended(self) -> bool:
        """Tell whether the lease is known to have ended."""
        return self._ended.is_set()

    async def wait_ended(self) -> None:
        """Return once the lease is known to have ended."""
        await self._ended.wait()

    async def close(self) -> None:
        """Stop renewing, and end the lease and its keys now if the coordinator is in reach."""
        alive = not self.ended
        await self.abandon()
        if alive:
            with contextlib.suppress(CoordinationUnavailable):
                await self._revoke(self.lease_id)

    async def abandon(self) -> None:
        """Stop renewing and leave the rest to time."""
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        alive, pause_s = True, self._period_s
        while alive:
            await self._clock.sleep(pause_s)
            try:
                alive = await self._renew(self.lease_id)
                pause_s = self._period_s
            except CoordinationUnavailable:
                # That ends nothing: leases may survive a restart of their coordinator.
                pause_s = self._period_s / RETRIES_PER_PERIOD

    def _end(self, _: asyncio.Task[None]) -> None:
        # Whatever stopped the renewals, the owner must not believe in the lease.
        self._ended.set()
        self._on_end(self)


def lease_id_of(lease: Lease | None) -> int | None:
    """Return what the backend calls a lease, None for none.

    Raises:
        InvalidInput: no coordinator of ours granted it.
    """
    if lease is None:
        return None
    if not isinstance(lease, RenewedLease):
        raise InvalidInput("lease", f"{lease!r} was not granted by this coordinator")
    return lease.lease_id
