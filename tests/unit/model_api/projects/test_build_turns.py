"""Builds beside other builds: what waits for what, and what is built again."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest

from model_api.projects import selecting
from model_api.projects.calls import Answer, Call
from model_api.projects.homes import Homes
from model_api.projects.limits import HomeLimits
from model_api.projects.model_verbs import ModelVerbs
from tally.clock import ManualClock
from tally.errors import IdempotencyMismatch
from tally.models.base import OutOfTime
from tally.selection import select
from tally.wire.projects import ProjectUuid
from tests.unit.model_api.projects.acts import Gate, Nodes, Troubled, create, until, worker
from tests.unit.model_api.projects.test_building import (
    BODY,
    build,
    call,
    line,
    predict,
)

ROWS = {"attributeNames": ["x", "y"], "data": [["1", "1"], ["2", "2"], ["3", "3"]]}


async def ask(verbs: ModelVerbs, asked: Call) -> Answer:
    return await verbs.verbs[asked.verb](asked)


async def learn_and_rebuild(verbs: ModelVerbs, project: ProjectUuid, batch_id: str) -> Answer:
    query = {"rebuildModel": "true"}
    return await ask(verbs, call(project, "learnpredict", ROWS, batch_id, **query))


async def versions(verbs: ModelVerbs, project: ProjectUuid) -> list[str]:
    answer = await verbs.verbs["modelVersions"](call(project, "modelVersions", {}))
    told = json.loads(answer.body)["modelVersions"]["values"]
    return [str(version["modelType"]) for version in told]


async def test_a_build_does_not_wait_behind_searches(
    homes: Homes, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    verbs, project = ModelVerbs(homes, clock), await create(homes)
    await homes.change(project, line(1), "")
    searching, end, found = threading.Semaphore(0), threading.Event(), select.select

    def held(*args: Any, **kwargs: Any) -> Any:
        searching.release()
        assert end.wait(20)
        return found(*args, **kwargs)

    monkeypatch.setattr(selecting, "select", held)
    asked = {"mlcontext": BODY, "dataframe": ROWS}
    searches = [
        asyncio.create_task(ask(verbs, call(project, "autoSelect", asked, modelid=f"found{place}")))
        for place in range(homes.limits.threads + 1)
    ]
    try:
        for _ in range(homes.limits.threads):
            assert await asyncio.to_thread(searching.acquire, timeout=20)
        async with asyncio.timeout(20):
            await build(verbs, project)
        assert await predict(verbs, project) == ("1", pytest.approx(10))
    finally:
        end.set()
        await asyncio.gather(*searches)


async def test_what_is_built_again_is_what_is_served_once_its_turn_has_come(
    homes: Homes,
    clock: ManualClock,
    gate: Gate,
) -> None:
    verbs, project = ModelVerbs(homes, clock), await create(homes)
    await homes.change(project, line(1), "")
    gate.open.set()
    await build(verbs, project)
    gate.open.clear()
    newer = asyncio.create_task(ask(verbs, call(project, "build", BODY, algo="ridge")))
    await until(lambda: gate.fits == 2, "the newer build has begun")
    again = asyncio.create_task(learn_and_rebuild(verbs, project, "1"))
    home = await homes.ask(project)
    await until(lambda: home.project.summary.counts().max() == 8, "the rows are learned")
    gate.open.set()
    await asyncio.gather(newer, again)
    assert await versions(verbs, project) == ["mlr", "ridge", "ridge"]


async def test_a_rebuild_that_is_sent_again_after_another_build_counts_once(
    homes: Homes, clock: ManualClock
) -> None:
    verbs, project = ModelVerbs(homes, clock), await create(homes)
    await homes.change(project, line(1), "")
    await build(verbs, project)
    await learn_and_rebuild(verbs, project, "1")
    await ask(verbs, call(project, "build", BODY, algo="ridge"))
    answer = await learn_and_rebuild(verbs, project, "1")
    assert len(json.loads(answer.body)["KSVSMap"]["values"]) == 3
    assert await versions(verbs, project) == ["mlr", "mlr", "ridge"]
    other = call(project, "learnpredict", {**ROWS, "data": [["1", "1"]]}, "1", rebuildModel="true")
    with pytest.raises(IdempotencyMismatch):
        await ask(verbs, other)


async def test_the_time_that_a_build_may_take_begins_with_its_thread(
    store: Troubled, clock: ManualClock, nodes: Nodes, gate: Gate
) -> None:
    async with worker(store, clock, nodes, limits=HomeLimits(threads=1)) as homes:
        verbs = ModelVerbs(homes, clock)
        projects = [await create(homes, pid) for pid in ("p", "q")]
        for project in projects:
            await homes.change(project, line(1), "")
        first = asyncio.create_task(build(verbs, projects[0]))
        await until(lambda: gate.fits == 1, "the first build has the thread")
        second = asyncio.create_task(build(verbs, projects[1]))
        works = verbs._builder._works._known
        await until(lambda: len(works) == 2, "the second one waits")
        await clock.advance(HomeLimits().build_s + 1)
        gate.open.set()
        with pytest.raises(OutOfTime):
            await first
        await second
        assert await predict(verbs, projects[1]) == ("1", pytest.approx(10))
