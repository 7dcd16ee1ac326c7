"""Saving, unloading, freezing: what a project goes through."""

from __future__ import annotations

import pytest

from model_api.projects.changes import Freeze, Histograms, Merge, Save, Unload
from model_api.projects.homes import Homes, snapshot
from model_api.projects.info import project_info
from tally.clock import ManualClock
from tally.errors import NotFound
from tally.wire.status import Refused
from tests.unit.model_api.projects.acts import (
    LAZY,
    Nodes,
    Troubled,
    asked,
    create,
    pids,
    rows,
    worker,
)


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
    assert await pids(homes) == []


async def test_a_project_that_is_not_persisted_ends_with_its_home(
    store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    async with worker(store, clock, nodes, "a_1") as homes:
        project = await create(homes, persisted=False)
        await homes.change(project, rows("a"), "1")
    async with worker(store, clock, nodes, "b_1") as homes:
        with pytest.raises(NotFound):
            await homes.change(project, rows("b"), "2")
        assert await pids(homes) == []
        assert await create(homes) != project


async def test_saving_makes_a_project_persisted(homes: Homes) -> None:
    project = await create(homes, persisted=False)
    await homes.change(project, rows("a"), "1")
    await homes.change(project, Save(), "2")
    await homes.change(project, rows("b"), "3")
    await homes.change(project, Unload(), "4")
    assert await asked(homes, project) == {"a": 1, "b": 1}
    assert project_info(await homes.ask(project)).persisted


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
