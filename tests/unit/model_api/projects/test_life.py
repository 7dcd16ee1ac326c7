"""Saving, unloading, freezing, renaming, deleting: what a project goes through."""

from __future__ import annotations

import asyncio

import pytest

from model_api.projects.changes import Freeze, Histograms, Merge, Save, Unload
from model_api.projects.exports import Restore, opened, sealed
from model_api.projects.homes import Homes, snapshot
from model_api.projects.info import project_info, use_lines
from model_api.projects.limits import HomeLimits
from tally.clock import ManualClock
from tally.engine.options import Options
from tally.engine.project import Project
from tally.errors import NotFound, StoreUnavailable, TooLarge, Unavailable
from tally.projects.records import INLINE_BYTES, MAX_OPTIONS_BYTES
from tally.wire.projects import ProjectUuid
from tally.wire.status import Refused, StatusCode
from tests.unit.model_api.projects.acts import (
    Nodes,
    Troubled,
    asked,
    bad,
    being_written,
    create,
    eventually,
    rows,
    worker,
)

LAZY = {"sml_project_autosave": "false"}
WIDE = [f"wide{i:03}" for i in range(150)]  # a snapshot too large for a row


async def _blobs(store: Troubled) -> list[str]:
    return [blob async for blob in store.blobs()]


async def _names(homes: Homes) -> list[str]:
    return [pid for pid, _ in await homes.projects.names.all("c1")]


# Saving


async def test_without_autosave_nothing_is_written_before_it_is_asked_for(
    homes: Homes, store: Troubled
) -> None:
    project = await create(homes, params=LAZY)
    await homes.ask(project)
    before = len(store.commits)
    await homes.change(project, rows("a"), "1")
    await homes.change(project, rows("b"), "2")
    assert len(store.commits) == before
    await homes.change(project, Save(), "3")
    assert len(store.commits) == before + 1
    await homes.change(project, Save(), "4")  # nothing is left to be saved
    assert not any("snapshot" in keys for keys in store.commits[before + 1 :])
    await homes.change(project, Unload(), "5")
    assert await asked(homes, project) == {"a": 1, "b": 1}


async def test_without_autosave_unloading_loses_what_was_not_saved(homes: Homes) -> None:
    project = await create(homes, params=LAZY)
    await homes.change(project, rows("a"), "1")
    await homes.change(project, Save(), "2")
    await homes.change(project, rows("b"), "3")
    await homes.change(project, Unload(), "4")
    assert await asked(homes, project) == {"a": 1}


async def test_freezing_does_not_save_what_is_not_to_be_saved(homes: Homes) -> None:
    project = await create(homes, params=LAZY)
    await homes.change(project, rows("a"), "1")
    await homes.change(project, Freeze(True), "2")
    assert await asked(homes, project) == {"a": 1}
    await homes.change(project, Unload(), "3")
    home = await homes.ask(project)
    assert home.head.frozen
    assert await asked(homes, project) == {}
    # Its ids went with it.
    await homes.change(project, Freeze(False), "4")
    await homes.change(project, rows("a"), "1")
    assert await asked(homes, project) == {"a": 1}


async def test_a_project_that_is_not_persisted_ends_when_it_is_unloaded(homes: Homes) -> None:
    project = await create(homes, persisted=False)
    await homes.change(project, rows("a"), "1")
    assert await asked(homes, project) == {"a": 1}
    await homes.change(project, Unload(), "2")
    with pytest.raises(NotFound):
        await homes.ask(project)
    assert await _names(homes) == []


async def test_a_project_that_is_not_persisted_ends_with_its_home(
    store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    async with worker(store, clock, nodes, "a_1") as homes:
        project = await create(homes, persisted=False)
        await homes.change(project, rows("a"), "1")
    async with worker(store, clock, nodes, "b_1") as homes:
        with pytest.raises(NotFound):
            await homes.change(project, rows("b"), "2")
        assert await _names(homes) == []
        assert await create(homes) != project


async def test_saving_makes_a_project_persisted(homes: Homes) -> None:
    project = await create(homes, persisted=False)
    await homes.change(project, rows("a"), "1")
    await homes.change(project, Save(), "2")
    await homes.change(project, rows("b"), "3")
    await homes.change(project, Unload(), "4")
    assert await asked(homes, project) == {"a": 1, "b": 1}
    assert project_info(await homes.ask(project)).persisted


# Settings


async def test_a_frozen_project_refuses_rows_and_merges_and_answers_on(homes: Homes) -> None:
    project, other = await create(homes), await create(homes, "other")
    await homes.change(project, rows("a"), "1")
    await homes.change(project, Freeze(True), "2")
    data = snapshot(await homes.ask(other))
    for change in (rows("b"), rows("a", op="forget"), Merge(data, other)):
        with pytest.raises(Refused, match=r"^Project \[p\] is frozen$"):
            await homes.change(project, change, "")
    info = project_info(await homes.ask(project))
    assert info.params["sml_project_is_freeze"] == "true"
    await homes.change(project, Freeze(False), "3")
    await homes.change(project, rows("b"), "4")
    assert await asked(homes, project) == {"a": 1, "b": 1}


async def test_histograms_can_be_turned_on_and_off(homes: Homes) -> None:
    project = await create(homes)
    await homes.change(project, Histograms(True), "1")
    await homes.change(project, Unload(), "2")
    assert project_info(await homes.ask(project)).histogram_enabled
    await homes.change(project, Histograms(False), "3")
    assert not project_info(await homes.ask(project)).histogram_enabled


async def test_the_date_of_the_last_change_is_that_of_rows_and_merges_only(
    homes: Homes, clock: ManualClock
) -> None:
    project, other = await create(homes), await create(homes, "other")
    created = project_info(await homes.ask(project)).creation_date

    async def modified() -> int:
        return project_info(await homes.ask(project)).last_modification_date

    assert await modified() == created
    await clock.advance(60)
    await homes.change(project, rows("a"), "1")
    assert await modified() == created + 60_000
    await clock.advance(60)
    for change in (Freeze(True), Freeze(False), Histograms(True), Save()):
        await homes.change(project, change, "")
    assert await modified() == created + 60_000
    await homes.change(project, Merge(snapshot(await homes.ask(other)), other), "2")
    assert await modified() == created + 120_000
    await homes.change(project, Unload(), "3")
    assert await modified() == created + 120_000


# Names


async def test_of_renamings_at_the_same_time_the_last_one_counts(homes: Homes) -> None:
    project = await create(homes, "p")
    await asyncio.gather(*(homes.rename(project, f"p{n}", f"id{n}") for n in range(4)))
    assert await _names(homes) == [(await homes.ask(project)).head.pid]


async def test_a_renaming_that_is_repeated_late_does_not_undo_a_later_one(homes: Homes) -> None:
    project = await create(homes, "p")
    await homes.rename(project, "q", "1")
    await homes.rename(project, "r", "2")
    await homes.rename(project, "q", "1")
    assert await _names(homes) == [(await homes.ask(project)).head.pid] == ["r"]


async def test_a_renamed_project_is_found_under_its_new_name_only(homes: Homes) -> None:
    project = await create(homes)
    await homes.change(project, rows("a"), "1")
    await homes.rename(project, "q", "2")
    await homes.rename(project, "q", "2")  # the answer was lost
    assert await _names(homes) == ["q"]
    found = await homes.projects.names.find("c1", "q")
    assert found is not None
    assert found.project == project
    await homes.change(project, Unload(), "3")
    assert project_info(await homes.ask(project)).pid == "q"
    await homes.change(project, Freeze(True), "4")
    with pytest.raises(Refused, match=r"\[q\] is frozen"):
        await homes.change(project, rows("b"), "5")


async def test_a_renaming_that_died_half_way_is_completed_when_the_project_is_loaded(
    homes: Homes,
) -> None:
    project = await create(homes)
    await homes.change(project, rows("a"), "1")
    await homes.projects.names.rename("c1", project, "p", "q")
    await homes.change(project, Unload(), "2")
    home = await homes.ask(project)
    assert home.head.pid == "q"
    assert await asked(homes, project) == {"a": 1}
    await homes.delete(project, "3")
    assert await _names(homes) == []


async def test_after_a_renaming_that_died_half_way_comes_another(
    homes: Homes, store: Troubled
) -> None:
    project = await create(homes)
    await homes.change(project, rows("a"), "1")
    store.troubles = ["away"]
    with pytest.raises(StoreUnavailable):
        await homes.rename(project, "q", "2")
    await homes.rename(project, "r", "3")
    assert await _names(homes) == ["r"]
    assert (await homes.ask(project)).head.pid == "r"


async def test_a_taken_name_is_refused(homes: Homes) -> None:
    project = await create(homes)
    await create(homes, "other")
    with pytest.raises(Refused, match=r"already have SYMETRYML with id\[other\]") as error:
        await homes.rename(project, "other", "1")
    assert error.value.status is StatusCode.CONFLICT
    with pytest.raises(Refused, match=r"Invalid project id \[list\]"):
        await homes.rename(project, "list", "2")
    assert await _names(homes) == ["other", "p"]


async def test_a_deleted_project_leaves_its_name_free_and_the_call_can_be_repeated(
    homes: Homes, store: Troubled, clock: ManualClock
) -> None:
    project = await create(homes)
    await homes.change(project, rows(*WIDE), "1")
    await homes.delete(project, "2")
    await homes.delete(project, "2")
    with pytest.raises(NotFound):
        await homes.delete(project, "3")
    assert await _names(homes) == []
    again = await create(homes)
    assert await asked(homes, again) == {}
    assert await _blobs(store)
    await clock.advance(60)
    await _until_no_more_than(store, 0)


async def test_changes_behind_a_deletion_are_told_that_the_project_is_gone(
    homes: Homes, store: Troubled
) -> None:
    project = await create(homes)
    await homes.ask(project)
    deleting = await being_written(store, homes.delete(project, "1"))
    late = asyncio.create_task(homes.change(project, rows("a"), "2"))
    await asyncio.sleep(0)
    store.gate.set()
    await deleting
    with pytest.raises(NotFound):
        await late


# Copies


async def test_an_export_comes_back_as_another_project(homes: Homes) -> None:
    project = await create(homes)
    await homes.change(project, rows("a", count=3), "1")
    text = sealed((await homes.ask(project)).project)
    export = opened(b'"' + text + b'"', 2**20)
    copy = await homes.projects.create("c1", "copy", export.options, snapshot=export.data)
    assert await asked(homes, copy) == {"a": 3}
    memory = await create(homes, "memory", persisted=False)
    await homes.change(memory, Restore(export), "2")
    assert await asked(homes, memory) == {"a": 3}


@pytest.mark.parametrize("text", [b"", b"nonsense", "für".encode(), b"VEFMTFlQUko="])
async def test_what_is_no_export_is_refused(text: bytes) -> None:
    with pytest.raises(Refused, match="Invalid export"):
        opened(text, 2**20)


async def test_an_export_with_more_options_than_a_project_may_have_is_refused() -> None:
    def export(count: int) -> bytes:
        return sealed(Project.empty(Options("cpu", {"lr_x": "x" * count})))

    most = MAX_OPTIONS_BYTES - len("lr_x")
    assert opened(export(most), 2**20).options.params["lr_x"] == "x" * most
    with pytest.raises(TooLarge, match="creation options have more than 65536 bytes"):
        opened(export(most + 1), 2**20)


async def test_a_merge_adds_the_other_project_once(homes: Homes) -> None:
    project, other = await create(homes), await create(homes, "other")
    await homes.change(project, rows("a"), "1")
    await homes.change(other, rows("a", "b"), "2")
    for _ in range(2):  # the other one may have changed before the second try
        data = snapshot(await homes.ask(other))
        await homes.change(project, Merge(data, other), "3")
        await homes.change(other, rows("c"), "")
    assert await asked(homes, project) == {"a": 2, "b": 1}


# Memory and snapshots


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


async def _until_no_more_than(store: Troubled, count: int) -> None:
    async def few() -> bool:
        return len(await _blobs(store)) <= count

    await eventually(few, f"{count} blobs are left")


async def test_a_replaced_snapshot_outlives_its_commit_by_a_grace(
    homes: Homes, store: Troubled, clock: ManualClock
) -> None:
    project = await create(homes)
    for i in range(3):
        await homes.change(project, rows(*WIDE), str(i))
    assert (await homes.ask(project)).head.blob is not None
    assert len(await _blobs(store)) == 3
    await clock.advance(60)
    await _until_no_more_than(store, 1)
    await homes.change(project, Unload(), "3")
    assert (await asked(homes, project))[WIDE[0]] == 3


async def test_a_snapshot_whose_commit_failed_is_deleted(
    homes: Homes, store: Troubled, clock: ManualClock
) -> None:
    project = await create(homes)
    store.troubles = ["", "away"]  # the claim, the commit
    with pytest.raises(StoreUnavailable):
        await homes.change(project, rows(*WIDE), "1")
    assert len(await _blobs(store)) == 1
    await clock.advance(60)
    await _until_no_more_than(store, 0)


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


# The log of learn and forget


async def test_the_log_counts_calls_that_are_alike_and_outlives_its_home(homes: Homes) -> None:
    project = await create(homes)
    await homes.change(project, rows("a.b", count=2), "1")
    await homes.change(project, rows("a.b", count=3), "2")
    await homes.change(project, rows("a.b", op="forget"), "3")
    with pytest.raises(Refused):
        await homes.change(project, bad(), "4")
    await homes.change(project, rows("c"), "5")  # writes down the refused one, too
    await homes.change(project, Unload(), "6")
    uses = (await homes.ask(project)).uses.all()
    told = {(use.op, use.status, use.names): (use.count, use.rows) for use in uses}
    assert told == {
        ("learn", "OK", ("a.b",)): (2, 5),
        ("forget", "OK", ("a.b",)): (1, 1),
        ("learn", "BAD_REQUEST", ()): (1, 0),
        ("learn", "OK", ("c",)): (1, 1),
    }
    assert any('"client_request_df_attributes_names":"a_b"' in line for line in use_lines(uses))


async def test_a_commit_that_fails_counts_no_call(homes: Homes, store: Troubled) -> None:
    project: ProjectUuid = await create(homes)
    await homes.ask(project)
    store.troubles = ["away"]
    with pytest.raises(StoreUnavailable):
        await homes.change(project, rows("a"), "1")
    await homes.change(project, rows("a"), "1")
    [use] = (await homes.ask(project)).uses.all()
    assert use.count == 1


async def test_the_log_is_counted_as_memory(homes: Homes) -> None:
    project = await create(homes)
    home = await homes.ask(project)
    before = home.size_bytes
    with pytest.raises(Refused):
        await homes.change(project, bad(), "1")
    assert home.uses.size_bytes > 0
    assert home.size_bytes == homes.usage.memory_bytes == before + home.uses.size_bytes
