"""The index of federated projects: each has a loop of its own, also while nobody asks for it.

An entry is written before anything of the project is made, here or at its broker, and removed
after the end of both, so that workers which walk the index find every peer that must run, and all
that the crash of a maker left behind.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import msgspec

from tally.clock import Clock
from tally.ledger.transact import Plan, decode, read, transact
from tally.master_key import Sealed
from tally.projects.registry import now_ms
from tally.store.base import Store
from tally.wire.projects import ProjectUuid

PARTITION = "federated-projects"
_PAGE = 500


class Entry(msgspec.Struct, frozen=True):
    """Row `federated-projects`/{uuid}: there may be such a project.

    Attributes:
        created_ms: when it was entered, in ms since 1970.
        undo: sealed, what is to be undone at a broker: of each try to make the project that has
            not come to its end, and of a project that lives in memory only.
        made: a try has come to its end, and there was the project.
    """

    created_ms: int
    undo: tuple[Sealed, ...] = ()
    made: bool = True


class PeerIndex:
    """The entries of one store.

    Args:
        store: where they are.
        clock: for the date of an entry.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def add(self, project: ProjectUuid, undo: Sealed) -> None:
        """Enter a project that somebody is about to make, perhaps not for the first time."""

        def change(entry: Entry | None) -> Entry:
            if entry is None:
                return Entry(now_ms(self._clock), (undo,), made=False)
            return msgspec.structs.replace(entry, undo=(*_without(entry, undo), undo))

        await self._change(project, change)

    async def made(self, project: ProjectUuid, undo: Sealed, *, keep: bool = False) -> None:
        """Tell that a project was made.

        Args:
            project: which.
            undo: of the try that made it.
            keep: it may be needed yet, for the project is in memory only.
        """

        def change(entry: Entry | None) -> Entry | None:
            if entry is None:
                return None
            left = entry.undo if keep else _without(entry, undo)
            return msgspec.structs.replace(entry, undo=left, made=True)

        await self._change(project, change)

    async def undone(self, project: ProjectUuid, undo: Sealed) -> None:
        """Tell that nothing is left of a try; with the last goes the entry, if none was made."""

        def change(entry: Entry | None) -> Entry | None:
            if entry is None:
                return None
            left = _without(entry, undo)
            return msgspec.structs.replace(entry, undo=left) if left or entry.made else None

        await self._change(project, change)

    async def remove(self, project: ProjectUuid) -> None:
        """Remove a project; removing it again changes nothing."""
        await self._change(project, lambda _entry: None)

    async def _change(
        self, project: ProjectUuid, change: Callable[[Entry | None], Entry | None]
    ) -> None:
        async def plan(fresh: bool) -> Plan[None]:
            row = await read(self._store, PARTITION, project, Entry, fresh=fresh)
            entry = change(row.record)
            return Plan(None, () if entry == row.record else [row.write(entry)])

        await transact(self._store, PARTITION, plan)

    async def walk(self) -> AsyncIterator[tuple[ProjectUuid, Entry]]:
        """Yield every project with its entry."""
        after = ""
        while rows := await self._store.scan(PARTITION, after=after, limit=_PAGE):
            for row in rows:
                yield ProjectUuid(row.key), decode(row, Entry)
            after = rows[-1].key


def _without(entry: Entry, undo: Sealed) -> tuple[Sealed, ...]:
    return tuple(one for one in entry.undo if one != undo)
