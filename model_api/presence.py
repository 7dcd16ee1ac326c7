"""Being known: a key under a lease, put again whenever its value or the lease changes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import structlog

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
    """

    def __init__(
        self, coordinator: Coordinator, key: str, value: Callable[[], bytes], ttl_s: float
    ) -> None:
        self._coordinator = coordinator
        self._key = key
        self._value = value
        self._ttl_s = ttl_s
        self._changed = asyncio.Event()
        self.connected = False

    def changed(self) -> None:
        """Have the value put again, soon."""
        self._changed.set()

    async def run(self) -> None:
        """Keep the key until cancelled, then remove it if the coordinator is in reach."""
        while True:
            try:
                lease = await self._coordinator.grant(self._ttl_s)
            except CoordinationUnavailable as error:
                self._away(error)
                await asyncio.sleep(_RETRY_S)
                continue
            try:
                await self._keep(lease)
            except Conflict:
                pass  # the lease has ended under us
            finally:
                with contextlib.suppress(CoordinationUnavailable):
                    await lease.close()
            _log.info("lease ended, registering again", key=self._key)

    async def _keep(self, lease: Lease) -> None:
        ended = asyncio.create_task(lease.wait_ended())
        try:
            while not lease.ended:
                self._changed.clear()
                try:
                    await self._coordinator.put(self._key, self._value(), lease)
                except CoordinationUnavailable as error:
                    self._away(error)
                    await asyncio.sleep(_RETRY_S)
                    continue
                self.connected = True
                changed = asyncio.create_task(self._changed.wait())
                try:
                    await asyncio.wait({changed, ended}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    changed.cancel()
        finally:
            ended.cancel()

    def _away(self, error: CoordinationUnavailable) -> None:
        if self.connected:
            _log.warning("coordinator out of reach", key=self._key, reason=str(error))
        self.connected = False
