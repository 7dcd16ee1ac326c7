"""Models of a project in the store: published whole or not at all, by its home alone."""

from __future__ import annotations

import pytest

from model_api.projects.home import Home
from model_api.projects.homes import Homes
from model_api.projects.model_steps import Publish, Remove, RollBack
from tally.clock import ManualClock
from tally.errors import OutcomeUnknown, StoreUnavailable
from tally.ids import BlobId, NodeId
from tally.projects.errors import NotHome
from tally.projects.graves import Graves
from tally.projects.model_records import ModelVersion
from tally.projects.records import INLINE_BYTES
from tally.projects.references import referenced
from tally.wire.projects import ProjectUuid
from tally.wire.status import Refused
from tests.unit.model_api.projects.acts import (
    Nodes,
    Troubled,
    asked,
    being_written,
    create,
    eventually,
    rows,
    worker,
)
from tests.unit.model_api.projects.test_fencing import Unpaused

A, B = NodeId("a_1"), NodeId("b_1")
SMALL, LARGE = b"small", bytes(INLINE_BYTES + 1)


def publish(data: bytes = SMALL, model: str = "m") -> Publish:
    made = ModelVersion(
        id=model,
        version=0,
        family="mlr",
        reduce=False,
        created_ms=1,
        build_ns=2,
        rows=3,
        learned=4,
        generation=5,
        size_bytes=len(data),
    )
    return Publish(f"{model} {data[:9]!r}", made, data)


async def served(homes: Homes, project: ProjectUuid, model: str = "m") -> tuple[int, bytes]:
    home = await homes.ask(project)
    version = home.models.current(model)
    return version.version, await home.models.data(version)


def numbers(home: Home, model: str = "m") -> list[int]:
    return [version.version for version in home.models.versions(model)]


async def blobs(store: Troubled) -> set[BlobId]:
    return {blob async for blob in store.blobs()}


async def named(store: Troubled) -> set[BlobId]:
    return {blob async for blob in referenced(store)}


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
async def test_a_model_outlives_its_home(
    store: Troubled, clock: ManualClock, nodes: Nodes, data: bytes
) -> None:
    async with worker(store, clock, nodes, A) as homes:
        project = await create(homes)
        await homes.change(project, rows("a"), "1")
        await homes.change(project, publish(data), "2")
        assert await served(homes, project) == (1, data)
    async with worker(store, clock, nodes, B) as others:
        assert await served(others, project) == (1, data)
        assert await asked(others, project) == {"a": 1}
        await others.change(project, publish(data), "2")  # counted already
        assert await served(others, project) == (1, data)
        await others.change(project, publish(b"next"), "3")
        assert await served(others, project) == (2, b"next")
    assert await blobs(store) <= await named(store)


async def test_old_versions_go_and_a_version_is_never_given_twice(
    homes: Homes, store: Troubled, clock: ManualClock
) -> None:
    project = await create(homes)
    for number in range(8):
        await homes.change(project, publish(LARGE + bytes([number])), "")
    home = await homes.ask(project)
    assert numbers(home) == [4, 5, 6, 7, 8]

    async def gone() -> bool:
        await clock.advance(60)
        return len(await blobs(store)) == 5

    await eventually(gone, "the bytes of old versions are deleted after a grace")
    await homes.change(project, Remove("r", "m"), "")
    with pytest.raises(Refused, match="no such model <m>"):
        home.models.current("m")
    await homes.change(project, publish(), "")
    assert await served(homes, project) == (9, SMALL)


async def test_a_rollback_serves_the_version_before_and_the_next_one_is_newer_than_all(
    homes: Homes,
) -> None:
    project = await create(homes)
    for data in (b"1", b"2", b"3"):
        await homes.change(project, publish(data), "")
    await homes.change(project, RollBack("r", "m", 0), "")
    assert await served(homes, project) == (2, b"2")
    await homes.change(project, RollBack("r", "m", 1), "")
    assert await served(homes, project) == (1, b"1")
    await homes.change(project, publish(b"4"), "")
    assert await served(homes, project) == (4, b"4")
    with pytest.raises(Refused, match=r"no version \[9\]; it has 1, 2, 3, 4"):
        await homes.change(project, RollBack("r", "m", 9), "")


async def test_a_home_that_was_taken_over_publishes_nothing(
    homes: Homes, store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    """It is stopped between writing the bytes and the commit, and goes on after the takeover."""
    project = await create(homes)
    await homes.change(project, publish(LARGE), "1")
    paused = await being_written(store, homes.change(project, publish(LARGE + b"2"), "2"))
    assert await blobs(store) <= await named(store)
    async with worker(Unpaused(store), clock, nodes, B) as others:  # type: ignore[arg-type]
        await others.change(project, publish(LARGE + b"3"), "3", {A})
        store.gate.set()
        with pytest.raises(NotHome):
            await paused
        assert await served(others, project) == (2, LARGE + b"3")
        with pytest.raises(NotHome):
            await homes.change(project, Remove("r", "m"), "4")


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
async def test_a_model_whose_commit_was_not_heard_of_is_published_once(
    homes: Homes, store: Troubled, data: bytes
) -> None:
    project = await create(homes)
    store.troubles = ["unheard"] + ["unsaid"] * 20
    with pytest.raises((OutcomeUnknown, StoreUnavailable, NotHome)):
        await homes.change(project, publish(data), "1")
    store.troubles = []
    await homes.change(project, publish(data), "1")
    assert await served(homes, project) == (1, data)


async def test_what_was_never_saved_survives_a_model_of_unknown_outcome(
    homes: Homes, store: Troubled
) -> None:
    project = await create(homes, params={"sml_project_autosave": "false"})
    await homes.change(project, rows("a"), "1")
    store.troubles = ["unheard"] + ["unsaid"] * 20
    with pytest.raises(StoreUnavailable):
        await homes.change(project, publish(), "2")
    store.troubles = []
    assert await asked(homes, project) == {"a": 1}
    assert await served(homes, project) == (1, SMALL)
    await homes.change(project, publish(b"2"), "3")
    assert await served(homes, project) == (2, b"2")


async def test_a_model_that_could_not_be_published_leaves_the_old_one_and_the_next_is_built(
    homes: Homes, store: Troubled
) -> None:
    project = await create(homes)
    await homes.change(project, publish(LARGE), "1")
    store.troubles = ["away"]
    with pytest.raises(StoreUnavailable):
        await homes.change(project, publish(LARGE + b"2"), "2")
    assert await served(homes, project) == (1, LARGE)
    await homes.change(project, rows("a"), "3")
    await homes.change(project, publish(LARGE + b"3"), "4")
    assert await served(homes, project) == (2, LARGE + b"3")


async def test_models_go_with_their_project_and_stay_when_it_is_renamed(
    homes: Homes, store: Troubled, clock: ManualClock
) -> None:
    project = await create(homes)
    await homes.change(project, publish(LARGE), "1")
    await homes.rename(project, "q", "2")
    assert await served(homes, project) == (1, LARGE)
    await homes.delete(project, "3")
    graves = Graves(homes.projects, clock, 10)
    await graves.tidy()
    await clock.advance(11)
    assert await graves.tidy() == 1
    assert await blobs(store) == set()
