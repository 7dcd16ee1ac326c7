"""The index of federated projects: each has a loop of its own, also while nobody asks for it.

An entry is written before the project and removed after its end, so that workers which walk the
index find every peer that must run. An entry without a project is of one that was never made, or
is being made now.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from tally.clock import Clock
from tally.ledger.transact import Plan, decode, read, transact
from tally.projects.records import Registered
from tally.projects.registry import now_ms
from tally.store.base import Store
from tally.wire.projects import ProjectUuid

PARTITION = "federated-projects"
_PAGE = 500


class PeerIndex:
    """The entries of one store.

    Args:
        store: where they are.
        clock: for the date of an entry.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def add(self, project: ProjectUuid) -> None:
        """Enter a project; entering it again changes nothing."""

        async def plan(fresh: bool) -> Plan[None]:
            row = await read(self._store, PARTITION, project, Registered, fresh=fresh)
            entry = Registered(now_ms(self._clock))
            return Plan(None, () if row.record else [row.write(entry)])

        await transact(self._store, PARTITION, plan)

    async def remove(self, project: ProjectUuid) -> None:
        """Remove a project; removing it again changes nothing."""

        async def plan(fresh: bool) -> Plan[None]:
            row = await read(self._store, PARTITION, project, Registered, fresh=fresh)
            return Plan(None, [row.write(None)] if row.record else ())

        await transact(self._store, PARTITION, plan)

    async def walk(self) -> AsyncIterator[tuple[ProjectUuid, int]]:
        """Yield every project, with the moment at which it was entered, in ms since 1970."""
        after = ""
        while rows := await self._store.scan(PARTITION, after=after, limit=_PAGE):
            for row in rows:
                yield ProjectUuid(row.key), decode(row, Registered).created_ms
            after = rows[-1].key
