"""Every project there is, since neither store lists partitions.

An entry is written before the project's head and removed after its last row, so that walking
the buckets finds every snapshot that may be needed, and everything that a crash left behind.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from tally.clock import Clock
from tally.ids import BlobId
from tally.ledger.transact import Plan, decode, read, transact
from tally.projects.records import Registered, registry_partition, registry_partitions
from tally.store.base import Store
from tally.wire.projects import ProjectUuid

_PAGE = 500
NOTHING = BlobId("")


class Registry:
    """The walkable index."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def add(self, project: ProjectUuid, blob: BlobId = NOTHING) -> BlobId:
        """Enter a project; entering it again changes nothing.

        Args:
            project: which.
            blob: under which bytes will be written before the project is there.

        Returns:
            The blob that it was entered with.
        """
        partition = registry_partition(project)

        async def plan(fresh: bool) -> Plan[BlobId]:
            row = await read(self._store, partition, project, Registered, fresh=fresh)
            if row.record is not None:
                return Plan(row.record.blob)
            return Plan(blob, [row.write(Registered(now_ms(self._clock), blob))])

        return await transact(self._store, partition, plan)

    async def remove(self, project: ProjectUuid) -> None:
        """Remove a project of which no row is left; removing it again changes nothing."""
        partition = registry_partition(project)

        async def plan(fresh: bool) -> Plan[None]:
            row = await read(self._store, partition, project, Registered, fresh=fresh)
            return Plan(None, [row.write(None)] if row.record else ())

        await transact(self._store, partition, plan)

    async def walk(self) -> AsyncIterator[tuple[ProjectUuid, Registered]]:
        """Yield every project, those that are half made or half deleted included."""
        for partition in registry_partitions():
            after = ""
            while rows := await self._store.scan(partition, after=after, limit=_PAGE):
                for row in rows:
                    yield ProjectUuid(row.key), decode(row, Registered)
                after = rows[-1].key


def now_ms(clock: Clock) -> int:
    """Return the wall clock as milliseconds since 1970, as the protocol tells dates."""
    return int(clock.now().timestamp() * 1000)
