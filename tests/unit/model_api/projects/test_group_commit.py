"""Changes that gather while a commit is being written become one commit."""

from __future__ import annotations

import asyncio

import pytest

from model_api.projects.changes import Freeze, Histograms
from model_api.projects.homes import Homes
from model_api.projects.limits import HomeLimits
from tally.clock import ManualClock
from tally.errors import StoreUnavailable, TooBusy
from tally.wire.projects import ProjectUuid
from tally.wire.status import Refused
from tests.unit.model_api.projects.acts import (
    Nodes,
    Troubled,
    asked,
    bad,
    being_written,
    create,
    rows,
    until,
    worker,
)


async def _learning(
    homes: Homes, store: Troubled, project: ProjectUuid, *changes: object
) -> list[object]:
    """Have one change written, and others come meanwhile; return what the others came to."""
    await homes.change(project, rows("loaded"), "loaded")
    first = await being_written(store, homes.change(project, rows("first"), "first"))
    others = [
        asyncio.create_task(homes.change(project, change, f"other {i}"))  # type: ignore[arg-type]
        for i, change in enumerate(changes)
    ]
    [home] = homes.loaded
    await until(lambda: home.waiting == len(changes), "the others wait")
    store.gate.set()
    await first
    return await asyncio.gather(*others, return_exceptions=True)


async def test_what_gathers_while_a_commit_is_written_is_one_commit(
    homes: Homes, store: Troubled
) -> None:
    project = await create(homes)
    outcomes = await _learning(homes, store, project, *[rows(f"b{i}") for i in range(20)])
    assert outcomes == [None] * 20
    wanted = {"loaded": 1, "first": 1, **{f"b{i}": 1 for i in range(20)}}
    assert await asked(homes, project) == wanted
    learned = [keys for keys in store.commits if any(key.startswith("batch/") for key in keys)]
    assert len(learned) == 3


async def test_a_change_is_not_acknowledged_before_it_is_written(
    homes: Homes, store: Troubled
) -> None:
    project = await create(homes)
    await homes.ask(project)
    learning = await being_written(store, homes.change(project, rows("b"), "1"))
    assert not learning.done()
    assert await asked(homes, project) == {}
    store.gate.set()
    await learning
    assert await asked(homes, project) == {"b": 1}


async def test_a_change_that_is_refused_leaves_no_trace_and_the_others_count(
    homes: Homes, store: Troubled
) -> None:
    project = await create(homes)
    outcomes = await _learning(
        homes, store, project, rows("a"), bad(), rows("never", op="forget"), rows("b")
    )
    assert [type(outcome) for outcome in outcomes] == [type(None), Refused, Refused, type(None)]
    assert "Invalid DataFrame" in str(outcomes[1])
    assert await asked(homes, project) == {"loaded": 1, "first": 1, "a": 1, "b": 1}


async def test_changes_are_made_in_the_order_in_which_they_came(
    homes: Homes, store: Troubled
) -> None:
    project = await create(homes)
    outcomes = await _learning(
        homes,
        store,
        project,
        rows("a"),
        rows("a", op="forget"),
        Freeze(True),
        rows("frozen"),
        Freeze(False),
        Histograms(True),
        rows("b"),
    )
    assert [str(outcome) for outcome in outcomes if outcome] == ["Project [p] is frozen"]
    assert await asked(homes, project) == {"loaded": 1, "first": 1, "b": 1}
    home = await homes.ask(project)
    assert not home.head.frozen
    assert home.project.histograms is not None


async def test_a_store_that_is_away_fails_the_whole_group_and_changes_nothing(
    homes: Homes, store: Troubled
) -> None:
    project = await create(homes)
    await homes.change(project, rows("a"), "1")
    store.troubles = ["away"]
    with pytest.raises(StoreUnavailable):
        await homes.change(project, rows("b"), "2")
    assert await asked(homes, project) == {"a": 1}
    await homes.change(project, rows("b"), "2")
    assert await asked(homes, project) == {"a": 1, "b": 1}


async def test_a_defect_of_the_engine_fails_one_change_only(
    homes: Homes, store: Troubled, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tally.engine.project_draft import ProjectDraft

    learn = ProjectDraft.learn

    def failing(draft: ProjectDraft, frame: object) -> int:
        counted = learn(draft, frame)  # type: ignore[arg-type]
        if frame.names == ("poison",):  # type: ignore[attr-defined]
            raise ZeroDivisionError("a defect, after half of the work")
        return counted

    monkeypatch.setattr(ProjectDraft, "learn", failing)
    project = await create(homes)
    outcomes = await _learning(homes, store, project, rows("a"), rows("poison"), rows("b"))
    assert [type(outcome) for outcome in outcomes] == [type(None), ZeroDivisionError, type(None)]
    assert await asked(homes, project) == {"loaded": 1, "first": 1, "a": 1, "b": 1}


async def test_a_full_queue_refuses_at_once(
    store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    async with worker(store, clock, nodes, limits=HomeLimits(waiting=3)) as homes:
        project = await create(homes)
        await homes.ask(project)
        tasks = [await being_written(store, homes.change(project, rows("first"), "first"))]
        tasks += [asyncio.create_task(homes.change(project, rows(f"b{i}"), str(i))) for i in "abc"]
        [home] = homes.loaded
        await until(lambda: home.waiting == 3, "three wait")
        with pytest.raises(TooBusy, match=r"project \[p\]"):
            await homes.change(project, rows("too much"), "4")
        store.gate.set()
        await asyncio.gather(*tasks)
        assert len(await asked(homes, project)) == 4


async def test_bodies_that_wait_are_bounded_over_all_projects(
    store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    body = rows("b", count=100)
    limits = HomeLimits(waiting_bytes=2 * body.size_bytes)
    async with worker(store, clock, nodes, limits=limits) as homes:
        one, other = await create(homes, "one"), await create(homes, "other")
        await homes.ask(one)
        await homes.ask(other)
        tasks = [await being_written(store, homes.change(one, rows("first"), "first"))]
        tasks += [asyncio.create_task(homes.change(one, body, str(i))) for i in range(2)]
        await until(lambda: sum(home.waiting for home in homes.loaded) == 2, "two wait")
        with pytest.raises(TooBusy):
            await homes.change(other, body, "3")
        store.gate.set()
        await asyncio.gather(*tasks)


async def test_a_caller_who_goes_away_does_not_stop_the_others(
    homes: Homes, store: Troubled
) -> None:
    project = await create(homes)
    await homes.ask(project)
    gone = await being_written(store, homes.change(project, rows("gone"), "1"))
    stays = asyncio.create_task(homes.change(project, rows("stays"), "2"))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    store.gate.set()
    await stays
    counted = await asked(homes, project)
    assert counted["stays"] == 1
    assert counted.get("gone", 0) == 1
