"""Models served by workers that are not their project's home."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from model_api.projects import served as served_models
from model_api.projects.homes import Homes
from model_api.projects.limits import HomeLimits
from model_api.projects.model_cache import ModelCache
from model_api.projects.model_steps import Remove, RollBack
from model_api.projects.model_verbs import ModelVerbs
from model_api.projects.served import Served
from tally.clock import ManualClock
from tally.errors import NotFound, StoreUnavailable
from tally.ids import NodeId
from tally.store.base import Row
from tally.wire.projects import ProjectUuid
from tally.wire.status import Refused
from tests.unit.model_api.projects.acts import Nodes, Troubled, asked, create, worker
from tests.unit.model_api.projects.test_building import build, line

B = NodeId("b_1")


class Read(Troubled):
    """A store that tells which rows of projects were read.

    Attributes:
        reads: their keys.
        fresh: those that were read so that no commit under way is seen in part.
        before: is done before a row is read; it gets the key.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.reads: list[str] = []
        self.fresh: list[str] = []
        self.before: Callable[[str], Awaitable[None]] | None = None

    async def get(self, partition: str, key: str, *, fresh: bool = False) -> Row | None:
        if partition.startswith("project/"):
            self.reads.append(key)
            self.fresh += [key] if fresh else []
            if self.before is not None:
                await self.before(key)
        return await super().get(partition, key, fresh=fresh)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Read]:
    opened = Read(tmp_path / "store.db")
    yield opened
    await opened.close()


@pytest.fixture
def verbs(homes: Homes, clock: ManualClock) -> ModelVerbs:
    """What the home does."""
    return ModelVerbs(homes, clock)


@pytest.fixture
async def project(homes: Homes, verbs: ModelVerbs) -> ProjectUuid:
    """Give a project with one version of the model `m`."""
    made = await create(homes)
    await homes.change(made, line(1), "")
    await build(verbs, made)
    return made


@pytest.fixture
async def others(store: Read, clock: ManualClock, nodes: Nodes) -> AsyncIterator[Homes]:
    """Give another worker, which has heard of nothing."""
    async with worker(store, clock, nodes, B) as running:
        yield running


@pytest.fixture
def cache(others: Homes) -> ModelCache:
    return ModelCache(others)


@pytest.fixture
def served(others: Homes, cache: ModelCache) -> Served:
    return Served(others, cache)


async def number(served: Served, project: ProjectUuid, name: str = "m") -> int:
    version, _ = await served.current(project, name)
    return version.version


async def test_a_worker_that_nobody_told_answers_by_what_was_published_last(
    homes: Homes, verbs: ModelVerbs, served: Served, project: ProjectUuid
) -> None:
    assert await number(served, project) == 1
    await build(verbs, project)
    assert await number(served, project) == 2
    await homes.change(project, RollBack("r", "m", 0), "")
    assert await number(served, project) == 1
    await build(verbs, project)
    assert await number(served, project) == 3


async def test_the_home_keeps_its_project_while_others_predict(
    homes: Homes, served: Served, project: ProjectUuid
) -> None:
    await number(served, project)
    head = await homes.projects.head(project)
    assert head is not None
    assert (head.node, head.epoch) == ("a_1", 1)
    assert await asked(homes, project) == {"x": 5, "y": 5}


async def test_a_model_that_was_deleted_is_refused_at_once_and_lives_again_when_it_is_built(
    homes: Homes, verbs: ModelVerbs, served: Served, project: ProjectUuid
) -> None:
    await number(served, project)
    await homes.change(project, Remove("r", "m"), "")
    with pytest.raises(Refused, match="<Error no such model <m>>") as refused:
        await number(served, project)
    assert refused.value.status.http == 500
    await build(verbs, project)
    assert await number(served, project) == 2


async def test_models_go_with_their_project(
    homes: Homes, served: Served, project: ProjectUuid
) -> None:
    await number(served, project)
    await homes.delete(project, "d")
    with pytest.raises(NotFound):
        await number(served, project)
    with pytest.raises(NotFound):
        await number(served, ProjectUuid("00" * 16))


@pytest.mark.parametrize("name", ["n", "../m", "m/000000000001", "", "ü", "x" * 1000, "\x00"])
async def test_a_model_that_never_was_is_refused(
    served: Served, project: ProjectUuid, name: str
) -> None:
    with pytest.raises(Refused, match="no such model"):
        await number(served, project, name)


async def test_an_answer_costs_one_row_and_a_learn_in_between_one_more(
    homes: Homes, store: Read, served: Served, project: ProjectUuid
) -> None:
    await number(served, project)
    store.reads.clear()
    await number(served, project)
    assert store.reads == ["head"]
    await homes.change(project, line(2), "")
    store.reads.clear()
    assert await number(served, project) == 1
    assert store.reads == ["head", "model/m"]


async def test_no_commit_is_seen_in_part(store: Read, served: Served, project: ProjectUuid) -> None:
    store.fresh.clear()
    await number(served, project)
    assert store.fresh == ["model/m", "model-version/m/000000000001"]


async def test_those_who_ask_at_once_share_what_is_read(
    store: Read, served: Served, project: ProjectUuid
) -> None:
    store.reads.clear()
    assert set(await asyncio.gather(*(number(served, project) for _ in range(50)))) == {1}
    assert store.reads.count("head") == 1
    assert len(store.reads) == 4, store.reads


async def test_who_asks_while_a_read_is_under_way_is_not_answered_by_it(
    store: Read, verbs: ModelVerbs, served: Served, project: ProjectUuid
) -> None:
    await number(served, project)
    reading, gate = asyncio.Event(), asyncio.Event()

    async def hold(key: str) -> None:
        if key == "head" and not reading.is_set():
            reading.set()
            await gate.wait()

    store.before = hold
    early = asyncio.create_task(number(served, project))
    await reading.wait()
    await build(verbs, project)
    late = asyncio.create_task(number(served, project))
    await asyncio.sleep(0)
    gate.set()
    assert await late == 2
    await early


async def test_a_version_that_is_retired_while_it_is_looked_up_is_not_missed(
    store: Read, verbs: ModelVerbs, served: Served, project: ProjectUuid
) -> None:
    async def retire(key: str) -> None:
        if key.startswith("model-version/"):
            store.before = None
            for _ in range(HomeLimits().versions + 1):
                await build(verbs, project)

    store.before = retire
    assert await number(served, project) == HomeLimits().versions + 2


async def test_news_loads_the_new_version_beside_the_old_one_before_anybody_asks(
    store: Read, verbs: ModelVerbs, served: Served, cache: ModelCache, project: ProjectUuid
) -> None:
    old, _ = await served.current(project, "m")
    await build(verbs, project)
    await served.moved(project)
    store.reads.clear()
    new, _ = await served.current(project, "m")
    assert store.reads == ["head"]
    assert (old.version, new.version) == (1, 2)
    assert cache.has(project, old)
    assert cache.has(project, new)


async def test_news_of_what_nobody_asks_for_here_loads_nothing(
    store: Read, verbs: ModelVerbs, served: Served, project: ProjectUuid
) -> None:
    await build(verbs, project)
    store.reads.clear()
    await served.moved(project)
    assert store.reads == []


async def test_news_of_a_model_that_is_gone_does_no_harm(
    homes: Homes, served: Served, project: ProjectUuid
) -> None:
    await number(served, project)
    await homes.change(project, Remove("r", "m"), "")
    await served.moved(project)
    await homes.delete(project, "d")
    await served.moved(project)
    with pytest.raises(NotFound):
        await number(served, project)


async def test_nothing_is_answered_on_a_guess_while_the_store_is_away(
    store: Read, served: Served, project: ProjectUuid
) -> None:
    await number(served, project)

    async def away(key: str) -> None:
        raise StoreUnavailable("the store is away")

    store.before = away
    with pytest.raises(StoreUnavailable):
        await number(served, project)
    await served.moved(project)
    store.before = None
    assert await number(served, project) == 1


async def test_what_is_known_of_models_has_a_bound(
    homes: Homes, verbs: ModelVerbs, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served_models, "_MOST", 3)
    projects = [await create(homes, f"p{k}") for k in range(5)]
    for each in projects:
        await homes.change(each, line(1), "")
        await build(verbs, each)
        assert await number(served, each) == 1
    assert set(served._projects) == set(projects[2:])
    assert [await number(served, each) for each in projects] == [1] * 5
