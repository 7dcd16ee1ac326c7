"""Deletes bytes that no row names: of workers that slept through the end, or died before it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

import structlog

from tally.clock import Clock
from tally.errors import TallyError
from tally.ids import BlobId
from tally.store.base import Store

References = Callable[[Store], AsyncIterator[BlobId]]
"""Yields every blob that some kind of rows names, or is about to."""

_LOOKS_PER_AGE = 2
_log = structlog.get_logger()


class Sweep:
    """The look for orphans of one fit worker; several may run side by side.

    Args:
        store: whose blobs.
        references: of every kind of rows that names blobs. One that is missing here costs the
            bytes of its rows.
        clock: ours; ages are counted from when this process first saw an orphan.
        age_s: how long a blob must have been nobody's: longer than anybody takes from writing
            bytes to writing the row that names them.
    """

    def __init__(
        self, store: Store, references: Sequence[References], clock: Clock, age_s: float
    ) -> None:
        self._store = store
        self._references = references
        self._clock = clock
        self._age_s = age_s
        self._since: dict[BlobId, float] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                gone = await self.look()
                if gone:
                    _log.info("deleted bytes that nobody names", blobs=gone)
            except TallyError as error:
                # Nothing is deleted by a look that did not see everything.
                _log.warning("sweep put off", code=error.code, reason=str(error))
            await self._clock.sleep(self._age_s / _LOOKS_PER_AGE)

    async def look(self) -> int:
        """Look at every blob once; return how many were deleted."""
        now = self._clock.monotonic()
        # Before the references: what is written from here on is not judged by this look.
        orphans = {blob async for blob in self._store.blobs()}
        for referenced in self._references:
            async for blob in referenced(self._store):
                orphans.discard(blob)
        self._since = {blob: self._since.get(blob, now) for blob in orphans}
        due = [blob for blob, since in self._since.items() if now - since >= self._age_s]
        for blob in due:
            await self._store.delete_blob(blob)
            del self._since[blob]
        return len(due)
