"""Every state of a project's statistics has a version of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from model_api.projects.changes import Freeze, Save, Unload
from model_api.projects.homes import Homes
from model_api.projects.versions import contribution, leaves, sources, version
from tally.clock import ManualClock
from tally.fusion.sources import Leaf
from tally.ids import NodeId
from tally.models.base import Source
from tally.projects.registry import now_ms
from tally.wire.projects import ProjectUuid
from tally.wire.status import Refused
from tests.golden.write_fusion import fused
from tests.unit.model_api.projects.acts import Nodes, Troubled, bad, create, rows, worker


async def told(homes: Homes, project: ProjectUuid) -> str:
    return version(await homes.ask(project))


async def test_it_is_a_moment_and_a_count(homes: Homes, clock: ManualClock) -> None:
    found = await told(homes, await create(homes))
    epoch, counter = map(int, found.split("-"))
    assert epoch == now_ms(clock)
    assert counter > 0


@pytest.mark.parametrize("autosave", ["true", "false"])
async def test_each_change_has_its_own_and_nothing_else_has(homes: Homes, autosave: str) -> None:
    project = await create(homes, params={"sml_project_autosave": autosave})
    seen = [await told(homes, project)]
    for number in range(3):
        await homes.change(project, rows("a"), f"{number}")
        seen.append(await told(homes, project))
    await homes.change(project, rows("a", op="forget"), "4")
    seen.append(await told(homes, project))
    assert len(set(seen)) == len(seen)
    for change in (Save(), Freeze(True), Freeze(False)):
        await homes.change(project, change, "")
    await homes.change(project, rows("a"), "2")  # counted already
    with pytest.raises(Refused):
        await homes.change(project, bad(), "5")
    assert await told(homes, project) == seen[-1]


async def test_another_home_gives_another_one(
    homes: Homes, store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    project = await create(homes)
    await homes.change(project, rows("a"), "1")
    seen = {await told(homes, project)}
    async with worker(store, clock, nodes, "b_1") as others:
        await others.change(project, rows("a"), "2", {NodeId("a_1")})
        seen.add(await told(others, project))
        await others.change(project, Unload(), "")
        seen.add(await told(others, project))
    assert len(seen) == 3


async def test_a_restored_store_gives_another_one(
    store: Troubled, clock: ManualClock, nodes: Nodes, tmp_path: Path
) -> None:
    async with worker(store, clock, nodes) as homes:
        project = await create(homes)
    await store.close()
    shutil.copytree(tmp_path, backup := tmp_path.parent / f"{tmp_path.name}_backup")
    seen = set()
    for folder, name in ((tmp_path, "lost"), (backup, "made")):
        opened = Troubled(folder / "store.db")
        async with worker(opened, clock, nodes) as homes:
            # The same claim and the same count of states, with other rows.
            await homes.change(project, rows(name), "1")
            home = await homes.ask(project)
            seen.add((home.head.epoch, home.states, version(home)))
        await opened.close()
        await clock.advance(0.001)
    assert len({told for _, _, told in seen}) == 2
    assert len({(epoch, states) for epoch, states, _ in seen}) == 1


async def test_a_project_that_learned_by_itself_is_its_own_source(homes: Homes) -> None:
    project = await create(homes, "mine")
    await homes.change(project, rows("a", count=4), "1")
    home = await homes.ask(project)
    given = contribution(home)
    assert given.provenance == leaves(home) == (Leaf(project, version(home), 4),)
    assert (given.source, given.version) == (project, version(home))
    assert sources(home) == [Source("mine", str(home.head.generation), 4)]


async def test_merged_statistics_name_those_that_were_merged(homes: Homes) -> None:
    project = await create(homes)
    home = await homes.ask(project)
    home.fused = fused()
    given = contribution(home)
    assert given.source == project
    counted = [Leaf(name * 32, "1767225600000-1", rows) for name, rows in (("a", 3), ("b", 2))]
    # And themselves, so that a circle shows.
    assert list(given.provenance) == [*counted, Leaf(project, version(home), 0)]
    assert sources(home) == [Source(leaf.source, leaf.version, leaf.rows) for leaf in counted]
