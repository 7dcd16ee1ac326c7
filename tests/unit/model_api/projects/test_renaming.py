"""Projects get other names, and are deleted."""

from __future__ import annotations

import asyncio

import pytest

from model_api.projects.changes import Freeze, Unload
from model_api.projects.homes import Homes
from model_api.projects.info import project_info
from tally.clock import ManualClock
from tally.errors import NotFound, StoreUnavailable
from tally.wire.status import Refused, StatusCode
from tests.unit.model_api.projects.acts import (
    WIDE,
    Troubled,
    asked,
    being_written,
    blobs,
    create,
    pids,
    rows,
    until_no_more_than,
)


async def test_of_renamings_at_the_same_time_the_last_one_counts(homes: Homes) -> None:
    project = await create(homes, "p")
    await asyncio.gather(*(homes.rename(project, f"p{n}", f"id{n}") for n in range(4)))
    assert await pids(homes) == [(await homes.ask(project)).head.pid]


async def test_a_renaming_that_is_repeated_late_does_not_undo_a_later_one(homes: Homes) -> None:
    project = await create(homes, "p")
    await homes.rename(project, "q", "1")
    await homes.rename(project, "r", "2")
    await homes.rename(project, "q", "1")
    assert await pids(homes) == [(await homes.ask(project)).head.pid] == ["r"]


async def test_a_renamed_project_is_found_under_its_new_name_only(homes: Homes) -> None:
    project = await create(homes)
    await homes.change(project, rows("a"), "1")
    await homes.rename(project, "q", "2")
    await homes.rename(project, "q", "2")  # the answer was lost
    assert await pids(homes) == ["q"]
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
    assert await pids(homes) == []


async def test_after_a_renaming_that_died_half_way_comes_another(
    homes: Homes, store: Troubled
) -> None:
    project = await create(homes)
    await homes.change(project, rows("a"), "1")
    store.troubles = ["away"]
    with pytest.raises(StoreUnavailable):
        await homes.rename(project, "q", "2")
    await homes.rename(project, "r", "3")
    assert await pids(homes) == ["r"]
    assert (await homes.ask(project)).head.pid == "r"


async def test_a_taken_name_is_refused(homes: Homes) -> None:
    project = await create(homes)
    await create(homes, "other")
    with pytest.raises(Refused, match=r"already have SYMETRYML with id\[other\]") as error:
        await homes.rename(project, "other", "1")
    assert error.value.status is StatusCode.CONFLICT
    with pytest.raises(Refused, match=r"Invalid project id \[list\]"):
        await homes.rename(project, "list", "2")
    assert await pids(homes) == ["other", "p"]


async def test_a_deleted_project_leaves_its_name_free_and_the_call_can_be_repeated(
    homes: Homes, store: Troubled, clock: ManualClock
) -> None:
    project = await create(homes)
    await homes.change(project, rows(*WIDE), "1")
    await homes.delete(project, "2")
    await homes.delete(project, "2")
    with pytest.raises(NotFound):
        await homes.delete(project, "3")
    assert await pids(homes) == []
    again = await create(homes)
    assert await asked(homes, again) == {}
    assert await blobs(store)
    await clock.advance(60)
    await until_no_more_than(store, 0)


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
