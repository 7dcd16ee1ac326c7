"""Workers hear from each other whose models have moved."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from model_api.projects.model_moves import MovesElsewhere, MovesHere
from tally.coordination.embedded import EmbeddedCoordinator
from tally.wire.projects import ProjectUuid
from tests.unit.model_api.projects.acts import until

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
