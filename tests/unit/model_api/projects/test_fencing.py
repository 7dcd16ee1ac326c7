"""One home at a time: a home that was taken over commits nothing and tells nothing old."""

from __future__ import annotations

import asyncio

import pytest

from model_api.projects.homes import Homes
from tally.clock import ManualClock
from tally.errors import NotFound
from tally.ids import NodeId
from tally.projects.errors import NotHome
from tests.unit.model_api.projects.acts import (
    Nodes,
    Troubled,
    asked,
    being_written,
    create,
    rows,
    until,
    worker,
)

A, B = NodeId("a_1"), NodeId("b_1")


async def test_a_project_stays_with_a_home_that_lives(
    homes: Homes, store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    project = await create(homes)
    await homes.change(project, rows("a"), "1")
    async with worker(store, clock, nodes, B) as others:
        with pytest.raises(NotHome) as told:
            await others.ask(project)
        assert told.value.owner == A
        with pytest.raises(NotHome):
            await others.change(project, rows("b"), "2")
    assert await asked(homes, project) == {"a": 1}


async def test_a_project_is_taken_over_when_the_lease_of_its_home_has_ended(
    homes: Homes, store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    project = await create(homes)
    await homes.change(project, rows("a"), "1")
    nodes.alive.discard(A)
    async with worker(store, clock, nodes, B) as others:
        await others.change(project, rows("b"), "2")
        assert await asked(others, project) == {"a": 1, "b": 1}


async def test_a_project_is_taken_over_on_the_word_of_a_broker(
    homes: Homes, store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    project = await create(homes)
    await homes.change(project, rows("a"), "1")
    async with worker(store, clock, nodes, B) as others:
        await others.change(project, rows("b"), "2", {A})
        assert await asked(others, project) == {"a": 1, "b": 1}


@pytest.mark.parametrize(
    ("persisted", "params"), [(False, {}), (True, {"sml_project_autosave": "false"})]
)
async def test_what_is_only_in_memory_is_not_taken_over_on_the_word_of_a_broker(
    homes: Homes,
    store: Troubled,
    clock: ManualClock,
    nodes: Nodes,
    persisted: bool,
    params: dict[str, str],
) -> None:
    project = await create(homes, params=params, persisted=persisted)
    await homes.change(project, rows("a"), "1")
    async with worker(store, clock, nodes, B) as others:
        with pytest.raises(NotHome):
            await others.change(project, rows("b"), "2", {A})
    assert await asked(homes, project) == {"a": 1}


async def test_a_home_that_was_taken_over_commits_nothing(
    homes: Homes, store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    project = await create(homes)
    await homes.change(project, rows("a"), "1")
    async with worker(store, clock, nodes, B) as others:
        await others.change(project, rows("b"), "2", {A})
        for change in (rows("c"), rows("a", op="forget")):
            with pytest.raises(NotHome) as told:
                await homes.change(project, change, "3")
            assert told.value.owner == B
        assert await asked(others, project) == {"a": 1, "b": 1}


async def test_a_commit_under_way_when_the_project_is_taken_over_is_refused(
    homes: Homes, store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    """The home is stopped between folding and writing, and goes on after the takeover."""
    project = await create(homes)
    await homes.change(project, rows("a"), "1")
    paused = await being_written(store, homes.change(project, rows("b"), "2"))
    async with worker(Unpaused(store), clock, nodes, B) as others:  # type: ignore[arg-type]
        await others.change(project, rows("c"), "3", {A})
        store.gate.set()
        with pytest.raises(NotHome):
            await paused
        assert await asked(others, project) == {"a": 1, "c": 1}
        await others.change(project, rows("b"), "2")
        assert await asked(others, project) == {"a": 1, "b": 1, "c": 1}


async def test_a_commit_after_a_question_found_the_project_taken_over_is_refused(
    homes: Homes, store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    project = await create(homes)
    home = await homes.ask(project)
    async with worker(store, clock, nodes, B) as others:
        await others.ask(project, {A})
        with pytest.raises(NotHome):
            await homes.ask(project)
    # It was being folded all the while.
    with pytest.raises(NotHome):
        await home.held.commit(home.head)


async def test_a_commit_that_ends_after_the_project_was_let_go_takes_no_memory(
    homes: Homes, store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    project = await create(homes)
    await homes.change(project, rows("a"), "1")
    async with worker(Unpaused(store), clock, nodes, B) as others:  # type: ignore[arg-type]
        store.troubles = ["late"]
        learning = asyncio.create_task(homes.change(project, rows("b"), "2"))
        await until(lambda: not store.gate.is_set(), "it is written")
        await others.ask(project, {A})
        with pytest.raises(NotHome):
            await homes.ask(project)
        store.gate.set()
        await learning  # it was before the takeover
        assert await asked(others, project) == {"a": 1, "b": 1}
    assert homes.usage.memory_bytes == homes.usage.waiting_bytes == 0


async def test_a_commit_that_was_made_just_before_the_takeover_counts_once(
    homes: Homes, store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    """It was written, the answer was lost, and the project was gone when the home asked."""
    project = await create(homes)
    await homes.change(project, rows("a"), "1")
    async with worker(Unpaused(store), clock, nodes, B) as others:  # type: ignore[arg-type]
        store.troubles = ["unheard", "held"]
        learning = asyncio.create_task(homes.change(project, rows("b"), "2"))
        await until(lambda: not store.gate.is_set(), "it is written, and asked for again")
        await others.ask(project, {A})
        store.gate.set()
        with pytest.raises(NotHome):
            await learning
        await others.change(project, rows("b"), "2")
        assert await asked(others, project) == {"a": 1, "b": 1}


async def test_a_home_that_was_taken_over_tells_nothing_old(
    homes: Homes, store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    project = await create(homes)
    await homes.change(project, rows("a"), "1")
    async with worker(store, clock, nodes, B) as others:
        await others.change(project, rows("b"), "2", {A})
        with pytest.raises(NotHome) as told:
            await homes.ask(project)
        assert told.value.owner == B


async def test_a_home_that_was_taken_over_refuses_nothing_on_old_grounds(
    homes: Homes, store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    """What it knows says that the rows cannot be forgotten; what is true says that they can."""
    project = await create(homes)
    await homes.change(project, rows("a"), "1")
    async with worker(store, clock, nodes, B) as others:
        await others.change(project, rows("b"), "2", {A})
        with pytest.raises(NotHome):
            await homes.change(project, rows("b", op="forget"), "3")


async def test_a_home_that_was_taken_over_acknowledges_nothing_that_it_would_not_save(
    homes: Homes, store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    project = await create(homes, params={"sml_project_autosave": "false"})
    await homes.change(project, rows("a"), "1")
    nodes.alive.discard(A)
    async with worker(store, clock, nodes, B) as others:
        await others.ask(project)
        with pytest.raises(NotHome):
            await homes.change(project, rows("b"), "2")


async def test_a_project_comes_back_when_its_new_home_has_gone(
    homes: Homes, store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    project = await create(homes)
    await homes.change(project, rows("a"), "1")
    async with worker(store, clock, nodes, B) as others:
        await others.change(project, rows("b"), "2", {A})
        with pytest.raises(NotHome):
            await homes.ask(project)
    assert await asked(homes, project) == {"a": 1, "b": 1}


async def test_an_earlier_life_of_the_same_address_is_no_obstacle(
    store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    async with worker(store, clock, nodes, A) as homes:
        project = await create(homes)
        await homes.change(project, rows("a"), "1")
    nodes.alive.add(A)
    async with worker(store, clock, nodes, A) as homes:
        assert await asked(homes, project) == {"a": 1}


async def test_a_deleted_project_is_gone_for_every_home(
    homes: Homes, store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    project = await create(homes)
    await homes.change(project, rows("a"), "1")
    async with worker(store, clock, nodes, B) as others:
        await others.ask(project, {A})
        await others.delete(project, "2")
        for stale in (homes, others):
            with pytest.raises(NotFound):
                await stale.ask(project)
            with pytest.raises(NotFound):
                await stale.change(project, rows("b"), "3")


async def test_reads_that_wait_share_one_look_at_the_store_made_after_they_came(
    homes: Homes, store: Troubled, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = await create(homes)
    home = await homes.ask(project)
    looks = 0
    check = home.held.check

    async def counted() -> None:
        nonlocal looks
        looks += 1
        await check()

    monkeypatch.setattr(home.held, "check", counted)
    first = asyncio.create_task(homes.ask(project))
    await until(lambda: looks == 1, "the first look has begun")
    await asyncio.gather(first, *[homes.ask(project) for _ in range(10)])
    assert looks == 2


class Unpaused:
    """The same file as another process has it open: nobody holds up its commits."""

    def __init__(self, store: Troubled) -> None:
        self._store = store

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def commit(self, *args: object) -> object:
        return await super(Troubled, self._store).commit(*args)  # type: ignore[arg-type]
