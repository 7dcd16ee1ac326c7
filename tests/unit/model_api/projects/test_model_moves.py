"""Workers hear from each other whose models have moved."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from model_api.projects.model_moves import MovesElsewhere, MovesHere
from model_api.projects.model_steps import Remove, RollBack
from tally.clock import ManualClock
from tally.coordination.embedded import EmbeddedCoordinator
from tally.errors import StoreUnavailable
from tally.wire.projects import ProjectUuid
from tally.wire.status import Refused
from tests.unit.model_api.projects.acts import Nodes, Troubled, create, rows, until, worker
from tests.unit.model_api.projects.test_models_store import publish

P, Q = ProjectUuid("aa" * 16), ProjectUuid("bb" * 16)
KEY = "moves/a_1"


@pytest.fixture
async def heard(coordinator: EmbeddedCoordinator) -> AsyncIterator[list[ProjectUuid]]:
    """Give what a worker hears, which listens from before anything is told."""
    projects: list[ProjectUuid] = []

    async def moved(project: ProjectUuid) -> None:
        projects.append(project)

    hearing = asyncio.create_task(MovesElsewhere(coordinator, moved).run())
    await asyncio.sleep(0)
    yield projects
    hearing.cancel()
    await asyncio.gather(hearing, return_exceptions=True)


async def test_a_home_tells_of_changes_of_models_and_of_nothing_else(
    store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    told: list[ProjectUuid] = []
    async with worker(store, clock, nodes, moved=told.append) as homes:
        project = await create(homes)
        await homes.change(project, rows("a"), "")
        with pytest.raises(Refused):
            await homes.change(project, RollBack("r", "m", 0), "")
        store.troubles = ["away"]
        with pytest.raises(StoreUnavailable):
            await homes.change(project, publish(), "")
        assert told == []
        await homes.change(project, publish(), "")
        await homes.change(project, publish(b"2"), "")
        await homes.change(project, RollBack("r", "m", 0), "")
        await homes.change(project, Remove("r", "m"), "")
        assert told == [project] * 4


async def test_each_move_is_heard_once(
    coordinator: EmbeddedCoordinator, heard: list[ProjectUuid]
) -> None:
    told = asyncio.Event()
    here = MovesHere(told.set)
    here.add(P)
    assert told.is_set()
    await coordinator.put(KEY, here.value())
    await until(lambda: heard == [P], "the first move is heard")
    here.add(Q)
    here.add(Q)
    await coordinator.put(KEY, here.value())
    await until(lambda: heard == [P, Q], "two moves of one project are one")
    await coordinator.put(KEY, here.value())
    here.add(P)
    await coordinator.put(KEY, here.value())
    await until(lambda: heard == [P, Q, P], "what was heard is not heard again")


async def test_a_worker_that_starts_again_is_heard_again(
    coordinator: EmbeddedCoordinator, heard: list[ProjectUuid]
) -> None:
    for _ in range(2):
        here = MovesHere(lambda: None)
        here.add(P)
        await coordinator.put(KEY, here.value())
        await until(lambda: P in heard, "it is heard")
        heard.clear()
        await coordinator.delete(KEY)


async def test_what_cannot_be_read_is_passed_over(
    coordinator: EmbeddedCoordinator, heard: list[ProjectUuid]
) -> None:
    await coordinator.put(KEY, b"not for us")
    here = MovesHere(lambda: None)
    here.add(P)
    await coordinator.put("moves/b_1", here.value())
    await until(lambda: heard == [P], "the next one is heard")


async def test_the_key_stays_small(coordinator: EmbeddedCoordinator) -> None:
    here = MovesHere(lambda: None)
    for number in range(10_000):
        here.add(ProjectUuid(f"{number:032x}"))
    assert len(here.value()) < 4096
