"""A sharded project and its shards are made, frozen, renamed, saved and deleted as one."""

from __future__ import annotations

import pytest

from tally.clock import ManualClock
from tally.ids import NodeId
from tally.projects.graves import Graves
from tally.projects.projects import Projects
from tally.projects.records import Head, Options
from tally.projects.shards import shards
from tally.store.base import Store
from tally.wire.projects import ProjectUuid
from tests.unit.model_api.shards.sites import Site


async def _entries(projects: Projects) -> set[ProjectUuid]:
    return {project async for project, _ in projects.registry.walk()}


@pytest.fixture
def projects(store: Store, clock: ManualClock) -> Projects:
    return Projects(store, clock)


async def _swept(projects: Projects, clock: ManualClock) -> None:
    graves = Graves(projects, clock, 100.0)
    await graves.tidy()
    await clock.advance(100.0)
    await graves.tidy()


async def test_a_frozen_project_is_frozen_in_every_shard(site: Site) -> None:
    await site.create(4)
    assert (await site.learn("a", "x", "C", "1")).status == 200
    assert (await site.ask("freeze", batch="f1")).status == 200
    for number in range(8):
        told = await site.learn(f"b{number}", "x", "C", "1")
        assert told.text == "Project [p] is frozen"
    assert (await site.ask("info")).json["smlInfo"]["params"]["sml_project_is_freeze"] == "true"
    assert (await site.ask("unfreeze", batch="f2")).status == 200
    assert (await site.ask("freeze", batch="f1")).status == 200  # counted already
    assert (await site.learn("b0", "x", "C", "1")).status == 200
    assert await site.rows() == 2


async def test_a_renamed_project_keeps_its_rows_and_its_shards_its_name(site: Site) -> None:
    await site.create(2)
    await site.learn("b1", "x", "C", "1")
    assert (await site.ask("rename", batch="r", newName="q")).status == 200
    assert (await site.ask("info")).json["smlInfo"]["pid"] == "q"
    assert await site.rows() == 1
    await site.ask("freeze", batch="f")
    for number in range(4):
        assert (await site.learn(f"c{number}", "x", "C", "1")).text == "Project [q] is frozen"
    names = await site.homes[0].projects.names.all("c1")
    assert [pid for pid, _ in names] == ["q"]


@pytest.mark.parametrize("name", ["..", "a b", "taken"])
async def test_a_name_that_the_project_may_not_have_reaches_no_shard(site: Site, name: str) -> None:
    await site.create(2)
    await site.homes[0].projects.create("c1", "taken", Options())
    assert (await site.ask("freeze", batch="f")).status == 200
    assert (await site.ask("rename", batch="r", newName=name)).status in (400, 409)
    for number in range(4):
        assert (await site.learn(f"c{number}", "x", "C", "1")).text == "Project [p] is frozen"


async def test_values_are_counted_in_every_shard_once_that_is_asked_for(site: Site) -> None:
    await site.create(3)
    assert not (await site.ask("info")).json["smlInfo"]["histogramEnabled"]
    assert (await site.ask("histogramEnable", batch="h", enable="true")).status == 200
    for number in range(9):
        await site.learn(f"b{number}", "x", "C", str(number))
    await site.forget("f", "x", "C", "8")
    assert (await site.ask("info")).json["smlInfo"]["histogramEnabled"]
    histograms = (await site.homes[0].ask(site.project)).project.histograms
    assert histograms is not None
    assert histograms.distribution("x").median == 3.5
    assert (await site.ask("histogramEnable", batch="i", enable="false")).status == 200
    assert not (await site.ask("info")).json["smlInfo"]["histogramEnabled"]


async def test_shards_that_do_not_save_themselves_are_saved_on_request(site: Site) -> None:
    await site.create(2, sml_project_autosave="false")
    for number in range(4):
        await site.learn(f"b{number}", "x", "C", "1")
    assert (await site.ask("save", batch="s")).status == 200
    for number in range(4, 8):
        await site.learn(f"b{number}", "x", "C", "1")
    assert await site.rows() == 8
    assert (await site.ask("unload", batch="u")).status == 200
    assert await site.rows() == 4


async def test_what_a_sharded_project_does_not_do_is_refused(site: Site) -> None:
    await site.create(2)
    told = await site.ask("learnpredict", batch="l", modelid="m")
    assert told.status == 400
    assert told.text == "Operation [learnpredict] is not available on a project with cells"


async def test_shards_are_deleted_with_their_project_and_nothing_stays(
    site: Site, projects: Projects, clock: ManualClock
) -> None:
    await site.create(3)
    await site.learn("b1", "x", "C", "1")
    assert await site.rows() == 1
    assert (await site.ask("delete", batch="d")).status == 200
    told = await site.learn("b2", "x", "C", "1")
    assert told.status == 404
    assert await projects.names.find("c1", "p") is None
    await _swept(projects, clock)
    assert await _entries(projects) == set()


async def test_shards_whose_project_was_deleted_by_one_who_died_then_are_removed(
    site: Site, projects: Projects, clock: ManualClock
) -> None:
    await site.create(3)
    await site.learn("b1", "x", "C", "1")

    async def dies(project: ProjectUuid, head: Head) -> None:
        raise OSError("killed")

    site.homes[0].projects.delete_shards = dies  # type: ignore[method-assign]
    assert (await site.ask("delete", batch="d")).status == 500
    await _swept(projects, clock)
    await _swept(projects, clock)
    assert await _entries(projects) == set()
    told = await site.learn("b2", "x", "C", "1")
    assert told.status == 404


@pytest.mark.parametrize("made", [0, 1, 2])
async def test_what_a_maker_left_who_died_is_removed(
    projects: Projects, clock: ManualClock, made: int
) -> None:
    whole = ProjectUuid("a" * 32)
    insert = projects._insert
    left = [made]

    async def dies(project: ProjectUuid, *more: object) -> None:
        if left[0] == 0:
            raise SystemExit
        left[0] -= 1
        await insert(project, *more)  # type: ignore[arg-type]

    async def gone(project: ProjectUuid) -> None:
        raise SystemExit

    projects._insert = dies  # type: ignore[method-assign,assignment]
    projects.delete = gone  # type: ignore[method-assign]
    with pytest.raises(SystemExit):
        await projects.create("c1", "p", Options(cells=4), project=whole)
    fresh = Projects(projects.store, clock)
    assert await _entries(fresh) <= {whole, *shards(whole, 4)}
    await _swept(fresh, clock)
    await _swept(fresh, clock)
    assert await _entries(fresh) == set()
    # And neither name nor id are taken.
    await fresh.create("c1", "p", Options(cells=2))


async def test_shards_in_use_are_not_taken_for_leftovers(
    site: Site, projects: Projects, clock: ManualClock
) -> None:
    await site.create(3)
    await _swept(projects, clock)
    await projects.claim(site.shards[0], NodeId("x_1"), _always)
    await _swept(projects, clock)
    assert await _entries(projects) == {site.project, *site.shards}


async def _always(head: Head) -> bool:
    return True
