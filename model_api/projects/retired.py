"""Snapshots that were replaced: deleted once nobody can be reading them any more."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

import structlog

from tally.clock import Clock
from tally.errors import StoreUnavailable
from tally.ids import BlobId
from tally.store.base import Store

_log = structlog.get_logger()


class Retired:
    """The blobs that one worker has replaced. A crash leaves them to the sweep.

    Args:
        store: where they are.
        clock: ours.
        grace_s: how long each stays.
    """

    def __init__(self, store: Store, clock: Clock, grace_s: float) -> None:
        self._store = store
        self._clock = clock
        self._grace_s = grace_s
        self._blobs: deque[tuple[float, BlobId]] = deque()
        self._more = asyncio.Event()

    def add(self, blobs: Iterable[BlobId]) -> None:
        """Have blobs deleted after the grace."""
        due_s = self._clock.monotonic() + self._grace_s
        self._blobs.extend((due_s, blob) for blob in blobs)
        self._more.set()

    async def run(self) -> None:
        """Delete until cancelled."""
        while True:
            if not self._blobs:
                self._more.clear()
                await self._more.wait()
                continue
            due_s, blob = self._blobs.popleft()
            if (left_s := due_s - self._clock.monotonic()) > 0:
                await self._clock.sleep(left_s)
            try:
                await self._store.delete_blob(blob)
            except StoreUnavailable as error:
                _log.warning("replaced snapshot left to the sweep", blob=blob, reason=str(error))
