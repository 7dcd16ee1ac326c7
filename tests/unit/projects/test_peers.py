"""The index of federated projects, and what it says of those that are being made."""

from __future__ import annotations

from tally.clock import ManualClock
from tally.master_key import Sealed
from tally.projects.peers import PARTITION, Entry, PeerIndex
from tally.store.base import Write
from tally.store.sqlite import SqliteStore
from tally.wire.projects import ProjectUuid

A, B = ProjectUuid("a" * 32), ProjectUuid("b" * 32)
FIRST, SECOND = Sealed("key", b"first"), Sealed("key", b"second")


async def entries(index: PeerIndex) -> dict[ProjectUuid, Entry]:
    return {project: entry async for project, entry in index.walk()}


async def test_an_entry_stays_once_a_project_was_made(
    store: SqliteStore, clock: ManualClock
) -> None:
    index = PeerIndex(store, clock)
    await index.add(A, FIRST)
    (entry,) = (await entries(index)).values()
    assert (entry.undo, entry.made) == ((FIRST,), False)
    await index.made(A, FIRST)
    (entry,) = (await entries(index)).values()
    assert (entry.undo, entry.made) == ((), True)
    await index.remove(A)
    await index.remove(A)
    assert await entries(index) == {}


async def test_an_entry_goes_with_the_last_try_that_made_nothing(
    store: SqliteStore, clock: ManualClock
) -> None:
    index = PeerIndex(store, clock)
    for undo in (FIRST, SECOND, FIRST):
        await index.add(A, undo)
    await index.undone(A, FIRST)
    assert (await entries(index))[A].undo == (SECOND,)
    await index.undone(A, SECOND)
    assert await entries(index) == {}
    # Of two tries at once one makes it, and the other one fails after that.
    for undo in (FIRST, SECOND):
        await index.add(B, undo)
    await index.made(B, FIRST)
    await index.undone(B, SECOND)
    assert (await entries(index))[B] == Entry((await entries(index))[B].created_ms)


async def test_what_is_in_memory_only_keeps_what_undoes_it(
    store: SqliteStore, clock: ManualClock
) -> None:
    index = PeerIndex(store, clock)
    await index.add(A, FIRST)
    await index.made(A, FIRST, keep=True)
    entry = (await entries(index))[A]
    assert (entry.undo, entry.made) == ((FIRST,), True)
    await index.made(B, FIRST)  # of a project that has gone meanwhile
    assert B not in await entries(index)


async def test_an_entry_of_an_earlier_release_is_of_a_project_that_was_made(
    store: SqliteStore, clock: ManualClock
) -> None:
    await store.commit(PARTITION, [Write(A, None, b'{"created_ms":7,"blob":""}')])
    assert await entries(PeerIndex(store, clock)) == {A: Entry(7)}
