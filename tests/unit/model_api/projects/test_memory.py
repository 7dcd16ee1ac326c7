"""Projects leave memory and come back, and snapshots that were replaced are deleted."""

from __future__ import annotations

import pytest

from model_api.projects.changes import Save, Unload
from model_api.projects.homes import Homes
from model_api.projects.limits import HomeLimits
from tally.clock import ManualClock
from tally.errors import StoreUnavailable, Unavailable
from tally.projects.records import INLINE_BYTES
from tests.unit.model_api.projects.acts import (
    LAZY,
    WIDE,
    Nodes,
    Troubled,
    asked,
    blobs,
    create,
    rows,
    until_no_more_than,
    worker,
)


async def test_projects_used_least_recently_leave_memory_and_come_back(
    store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    async with worker(store, clock, nodes) as homes:
        project = await create(homes, "size")
        await homes.change(project, rows(*WIDE), "1")
        size = (await homes.ask(project)).size_bytes
    async with worker(store, clock, nodes, limits=HomeLimits(memory_bytes=2 * size + 500)) as homes:
        projects = [await create(homes, f"p{i}") for i in range(4)]
        for project in projects:
            await homes.change(project, rows(*WIDE), "1")
        assert [homes.has(project) for project in projects] == [False, False, True, True]
        for project in projects:
            assert len(await asked(homes, project)) == len(WIDE)
        assert homes.usage.memory_bytes == sum(home.size_bytes for home in homes.loaded)
        assert homes.usage.memory_bytes <= 2 * size + 500
        assert homes.usage.waiting_bytes == 0


async def test_what_was_never_saved_stays_in_memory_and_others_are_refused(
    store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    async with worker(store, clock, nodes, limits=HomeLimits(memory_bytes=30_000)) as homes:
        lazy = await create(homes, params=LAZY)
        await homes.change(lazy, rows(*WIDE), "1")
        other = await create(homes, "other")
        with pytest.raises(Unavailable, match="save or unload"):
            await homes.ask(other)
        await homes.change(lazy, Save(), "2")
        assert await asked(homes, other) == {}
        assert len(await asked(homes, lazy)) == len(WIDE)


async def test_a_replaced_snapshot_outlives_its_commit_by_a_grace(
    homes: Homes, store: Troubled, clock: ManualClock
) -> None:
    project = await create(homes)
    for i in range(3):
        await homes.change(project, rows(*WIDE), str(i))
    assert (await homes.ask(project)).head.blob is not None
    assert len(await blobs(store)) == 3
    await clock.advance(60)
    await until_no_more_than(store, 1)
    await homes.change(project, Unload(), "3")
    assert (await asked(homes, project))[WIDE[0]] == 3


async def test_a_snapshot_whose_commit_failed_is_deleted(
    homes: Homes, store: Troubled, clock: ManualClock
) -> None:
    project = await create(homes)
    store.troubles = ["", "away"]  # the claim, the commit
    with pytest.raises(StoreUnavailable):
        await homes.change(project, rows(*WIDE), "1")
    assert len(await blobs(store)) == 1
    await clock.advance(60)
    await until_no_more_than(store, 0)


async def test_a_snapshot_moves_between_row_and_blob_as_it_grows(
    homes: Homes, store: Troubled
) -> None:
    project = await create(homes)
    await homes.change(project, rows("a"), "1")
    assert (await homes.ask(project)).head.blob is None
    await homes.change(project, rows(*WIDE), "2")
    blob = (await homes.ask(project)).head.blob
    assert blob is not None
    assert blob.size_bytes > INLINE_BYTES
    assert await store.get(f"project/{project}", "snapshot") is None
    await homes.change(project, Unload(), "3")
    assert len(await asked(homes, project)) == len(WIDE) + 1
