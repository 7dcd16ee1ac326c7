"""What stands beside a snapshot, over every backend: written once, replaced, gone at the end."""

from __future__ import annotations

import random
import uuid
from hashlib import sha256

from tally.clock import ManualClock
from tally.ids import BlobId, NodeId
from tally.projects.beside import Beside, Wanted, part_blobs
from tally.projects.graves import Graves
from tally.projects.held import Held
from tally.projects.projects import Projects
from tally.projects.records import Head, Options, project_partition
from tally.store.base import Store
from tally.wire.projects import ProjectUuid

# As much as may stand in rows, a blob, and one that goes where the large ones are.
SIZES = (16_000, 16_001, 16_002, 16_003, 100_000, 600_000)
ROW_BYTES = 65_000


async def _never(head: Head) -> bool:
    return False


def _wanted(seed: int) -> Wanted:
    datas = [random.Random(seed + size).randbytes(size) for size in SIZES]
    parts = {sha256(data).hexdigest(): data for data in datas}
    return Wanted(random.Random(seed).randbytes(ROW_BYTES), frozenset(parts), parts)


async def _kept(store: Store, project: ProjectUuid) -> set[BlobId]:
    return {blob async for blob in part_blobs(store, project)}


async def test_what_stands_beside_a_snapshot_is_replaced_and_goes_with_its_project(
    store: Store,
) -> None:
    clock = ManualClock()
    projects = Projects(store, clock)
    project = await projects.create(f"c{uuid.uuid4().hex}", "p", Options())
    held = await projects.claim(project, NodeId("a_1"), _never)
    beside = Beside(store, project)
    assert await beside.load() == (None, {})
    gone: set[BlobId] = set()
    for seed in (1, 2):
        await _save(held, beside, _wanted(seed))
        gone |= set(held.retired)
        again = Beside(store, project)
        assert await again.load() == (_wanted(seed).row, _wanted(seed).data)
    kept = await _kept(store, project)
    assert len(gone) == len(kept) == 2
    assert gone.isdisjoint(kept)
    await projects.delete(project)
    graves = Graves(projects, clock, 1.0)
    await graves.tidy()
    await clock.advance(1.0)
    await graves.tidy()
    assert kept.isdisjoint({blob async for blob in store.blobs()})
    assert await store.scan(project_partition(project)) == []


async def _save(held: Held, beside: Beside, wanted: Wanted) -> None:
    planned = await beside.plan(wanted, held, alone=True)
    tokens = await held.commit(held.head, planned.writes, bytes(ROW_BYTES), put=planned.put)
    beside.committed(planned, tokens)
    held.retired += planned.retired
