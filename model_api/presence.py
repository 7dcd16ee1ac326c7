"""Being known: a key under a lease, put again whenever its value or the lease changes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from tally.clock import Clock
from tally.coordination.base import Coordinator, Lease
from tally.errors import Conflict, CoordinationUnavailable

_RETRY_S = 0.5
_log = structlog.get_logger()


class Presence:
    """Keeps one key alive.

    Args:
        coordinator: where.
        key: which.
        value: asked for the value each time that it is put.
        ttl_s: how long the key outlives this process.
        clock: paces the retries.

    Attributes:
        connected: whether the key stands, as far as we know.
    """

    def __init__(
        self,
        coordinator: Coordinator,
        key: str,
        value: Callable[[], bytes],
        ttl_s: float,
        clock: Clock,
    ) -> None:
        self._coordinator = coordinator
        self._key = key
        self._value = value
        self._ttl_s = ttl_s
        self._clock = clock
        self._changed = asyncio.Event()
        self._before = False
        self._outage_ended_at: float | None = None
        self.connected = False

    def changed(self) -> None:
        """Have the value put again, soon."""
        self._changed.set()

    @property
    def settled(self) -> bool:
        """Tell whether the coordinator has not just come back from an outage.

        For twice the time to live after one, others may only not have registered again yet.
        """
        ended = self._outage_ended_at
        return ended is None or self._clock.monotonic() - ended >= 2 * self._ttl_s

    async def run(self) -> None:
        """Keep the key until cancelled, then remove it if the coordinator is in reach."""
        while True:
            try:
                lease = await self._coordinator.grant(self._ttl_s)
            except CoordinationUnavailable as error:
                await self._away(error)
                continue
            try:
                await self._keep(lease)
            except Conflict:
                # The lease has ended under us; perhaps the next one will, too.
                await self._clock.sleep(_RETRY_S)
            finally:
                with contextlib.suppress(CoordinationUnavailable):
                    await lease.close()
            _log.warning("lease ended, registering again", key=self._key)

    async def _keep(self, lease: Lease) -> None:
        waking = asyncio.create_task(self._wake_at_end(lease))
        try:
            while not lease.ended:
                self._changed.clear()
                try:
                    await self._coordinator.put(self._key, self._value(), lease)
                except CoordinationUnavailable as error:
                    await self._away(error)
                    continue
                self._registered()
                await self._changed.wait()
        finally:
            self.connected = False
            waking.cancel()
            await asyncio.gather(waking, return_exceptions=True)

    async def _wake_at_end(self, lease: Lease) -> None:
        await lease.wait_ended()
        self._changed.set()

    def _registered(self) -> None:
        if self._before and not self.connected:
            self._outage_ended_at = self._clock.monotonic()
        self.connected = self._before = True

    async def _away(self, error: CoordinationUnavailable) -> None:
        if self.connected or not self._before:
            _log.warning("coordinator out of reach", key=self._key, reason=str(error))
        self.connected = False
        await self._clock.sleep(_RETRY_S)
