"""The index of fits that have not ended, since CQL cannot list rows by state.

An entry is written before the fit's row and removed after the fit ended, so every fit under way
is found by walking the buckets. An entry without a row belongs to a broker that died, or that
is still between the two writes: `Fits.abandon` takes the row's place, so that it cannot appear
any more, before the entry goes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import structlog

from tally.errors import CorruptState
from tally.ids import BlobId, FitId
from tally.ledger.records import OpenFit, open_partition, open_partitions
from tally.ledger.transact import Plan, decode, read, transact
from tally.store.base import Store, Token

_log = structlog.get_logger()


class OpenFits:
    """The walkable index."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, fit: FitId, payload: BlobId) -> None:
        """Enter a fit; entering it again changes nothing."""
        partition = open_partition(fit)

        async def plan(fresh: bool) -> Plan[None]:
            row = await read(self._store, partition, fit, OpenFit, fresh=fresh)
            return Plan(None, () if row.record else [row.write(OpenFit(payload))])

        await transact(self._store, partition, plan)

    async def enter(self, fit: FitId, payload: BlobId) -> None:
        """Enter a fit anew, so that nobody removes it on account of what it was before."""
        partition = open_partition(fit)

        async def plan(fresh: bool) -> Plan[None]:
            row = await read(self._store, partition, fit, OpenFit, fresh=fresh)
            return Plan(None, [row.write(OpenFit(payload))])

        await transact(self._store, partition, plan)

    async def entry(self, fit: FitId) -> Token | None:
        """Return what stands for a fit's entry as it is now; None if it has none."""
        return (await read(self._store, open_partition(fit), fit, OpenFit)).token

    async def remove(self, fit: FitId, entry: Token | None = None) -> None:
        """Remove a fit that has ended; removing it again changes nothing.

        Args:
            fit: which.
            entry: remove this entry only, not one that was made since.
        """
        partition = open_partition(fit)

        async def plan(fresh: bool) -> Plan[None]:
            row = await read(self._store, partition, fit, OpenFit, fresh=fresh)
            if row.record is None or entry not in (None, row.token):
                return Plan(None)
            return Plan(None, [row.write(None)])

        await transact(self._store, partition, plan)

    async def walk(self, *, whole: bool = False) -> AsyncIterator[tuple[FitId, OpenFit]]:
        """Yield every entry.

        Args:
            whole: raise where an entry cannot be read. Otherwise it is logged and passed over,
                since one damaged row must not keep the others from being looked after.

        Raises:
            CorruptState: an entry cannot be read, and `whole` was asked for.
        """
        for partition in open_partitions():
            after = ""
            while rows := await self._store.scan(partition, after=after, limit=500):
                for row in rows:
                    try:
                        entry = decode(row, OpenFit)
                    except CorruptState as error:
                        if whole:
                            raise
                        _log.error("entry of an open fit passed over", fit=row.key, why=str(error))
                        continue
                    yield FitId(row.key), entry
                after = rows[-1].key
