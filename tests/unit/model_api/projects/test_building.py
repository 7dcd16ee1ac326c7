"""Builds at a project's home: in order, once, and nothing half-built."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from model_api.projects import predicting
from model_api.projects.calls import Call
from model_api.projects.homes import Homes
from model_api.projects.limits import HomeLimits
from model_api.projects.model_verbs import ModelVerbs
from tally.clock import ManualClock
from tally.errors import FitFailed, InvalidInput, Unavailable
from tally.ids import NodeId
from tally.models.base import OutOfTime
from tally.projects.errors import NotHome
from tally.wire.projects import ProjectUuid
from tally.wire.status import Refused
from tests.unit.model_api.projects.acts import (
    Gate,
    Nodes,
    Troubled,
    asked,
    create,
    feed,
    until,
    worker,
)

A, B = NodeId("a_1"), NodeId("b_1")
BODY = {"targetAttributeNames": ["y"], "inputAttributeNames": ["x"]}


def line(slope: int, count: int = 5) -> Any:
    """Return rows of y = slope * x, to learn."""
    data = [[str(x), str(slope * x)] for x in range(count)]
    frame = {"attributeNames": ["x", "y"], "attributeTypes": ["C", "C"], "data": data}
    return feed(json.dumps(frame).encode())


def call(project: ProjectUuid, verb: str, body: object, batch_id: str = "", **query: str) -> Call:
    return Call(
        project=project,
        verb=verb,
        query={"modelid": "m", **query},
        batch_id=batch_id,
        client="tests",
        request_id="",
        suspects=frozenset(),
        media_type="application/json",
        content_encoding="",
        body=json.dumps(body).encode(),
    )


async def build(verbs: ModelVerbs, project: ProjectUuid, batch_id: str = "") -> None:
    await verbs.verbs["build"](call(project, "build", BODY, batch_id, algo="mlr"))


async def predict(verbs: ModelVerbs, project: ProjectUuid) -> tuple[str, Any]:
    """Return the version that answers x = 10, and its answer."""
    rows = {"attributeNames": ["x"], "data": [["10"]]}
    answer = await verbs.verbs["predict"](call(project, "predict", rows))
    (row,) = json.loads(answer.body)["KSVSMap"]["values"]
    return answer.headers[0][1], float(row["res"])


async def test_builds_of_one_model_are_served_in_the_order_in_which_they_were_asked_for(
    homes: Homes, clock: ManualClock, gate: Gate
) -> None:
    verbs, project = ModelVerbs(homes, clock), await create(homes)
    await homes.change(project, line(1), "")
    first = asyncio.create_task(build(verbs, project))
    await until(lambda: gate.fits == 1, "the first build has begun")
    await homes.change(project, line(-1, 9), "")
    second = asyncio.create_task(build(verbs, project))
    gate.open.set()
    await asyncio.gather(first, second)
    version, answer = await predict(verbs, project)
    assert version == "2"
    assert answer != pytest.approx(10)  # it knows the rows that came while the first was built


async def test_a_build_that_is_asked_for_again_while_it_runs_is_the_same_build(
    homes: Homes, clock: ManualClock, gate: Gate
) -> None:
    verbs, project = ModelVerbs(homes, clock), await create(homes)
    await homes.change(project, line(1), "")
    first = asyncio.create_task(build(verbs, project, "1"))
    await until(lambda: gate.fits == 1, "the build has begun")
    first.cancel()  # its caller has gone away
    again = asyncio.create_task(build(verbs, project, "1"))
    gate.open.set()
    await again
    await build(verbs, project, "1")
    assert gate.fits == 1
    assert await predict(verbs, project) == ("1", pytest.approx(10))


async def test_a_home_that_is_taken_over_while_it_builds_publishes_nothing(
    homes: Homes, store: Troubled, clock: ManualClock, nodes: Nodes, gate: Gate
) -> None:
    verbs, project = ModelVerbs(homes, clock), await create(homes)
    await homes.change(project, line(1), "")
    building = asyncio.create_task(build(verbs, project, "1"))
    await until(lambda: gate.fits == 1, "the build has begun")
    async with worker(store, clock, nodes, B) as others:
        theirs = ModelVerbs(others, clock)
        await others.ask(project, {A})
        gate.open.set()
        with pytest.raises(NotHome):
            await building
        assert (await others.ask(project)).models.names == []
        await build(theirs, project, "1")
        assert await predict(theirs, project) == ("1", pytest.approx(10))
        # Nor does it answer by anything else, now that any worker predicts.
        assert await predict(verbs, project) == ("1", pytest.approx(10))


async def test_a_build_of_which_the_answer_was_lost_is_not_made_again_by_the_next_home(
    homes: Homes, store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    verbs, project = ModelVerbs(homes, clock), await create(homes)
    await homes.change(project, line(1), "")
    await build(verbs, project, "1")
    async with worker(store, clock, nodes, B) as others:
        await others.ask(project, {A})
        await build(ModelVerbs(others, clock), project, "1")
        assert await predict(ModelVerbs(others, clock), project) == ("1", pytest.approx(10))


async def test_a_fit_that_fails_leaves_what_was_served(homes: Homes, clock: ManualClock) -> None:
    verbs, project = ModelVerbs(homes, clock), await create(homes)
    await homes.change(project, line(1), "")
    await build(verbs, project)
    forget = json.loads(line(1).body)
    await homes.change(project, feed(json.dumps(forget).encode(), "forget"), "")
    with pytest.raises(FitFailed):
        await build(verbs, project)
    assert await predict(verbs, project) == ("1", pytest.approx(10))
    with pytest.raises(InvalidInput, match="magic"):
        await verbs.verbs["build"](call(project, "build", BODY, algo="magic"))
    assert await asked(homes, project) == {}


async def test_a_build_that_takes_too_long_is_given_up(
    store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    async with worker(store, clock, nodes, A, HomeLimits(build_s=-1)) as homes:
        verbs, project = ModelVerbs(homes, clock), await create(homes)
        await homes.change(project, line(1), "")
        body = {**BODY, "extraParameters": {"tolerance": "1e-12"}}
        with pytest.raises(OutOfTime, match="taken more than"):
            await verbs.verbs["build"](call(project, "build", body, algo="elasticnet"))


async def test_a_stopping_worker_ends_its_builds(
    store: Troubled, clock: ManualClock, nodes: Nodes, gate: Gate
) -> None:
    async with worker(store, clock, nodes, A) as homes:
        verbs, project = ModelVerbs(homes, clock), await create(homes)
        await homes.change(project, line(1), "")
        building = asyncio.create_task(build(verbs, project, "1"))
        await until(lambda: gate.fits == 1, "the build has begun")
    with pytest.raises(Unavailable, match="is stopping"):
        await building
    gate.open.set()
    async with worker(store, clock, nodes, A) as homes:
        assert (await homes.ask(project)).models.names == []


async def test_models_in_memory_are_bounded(
    store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    async with worker(store, clock, nodes, A, HomeLimits(model_bytes=1)) as homes:
        verbs, project = ModelVerbs(homes, clock), await create(homes)
        await homes.change(project, line(1), "")
        for _ in range(4):
            await build(verbs, project)
            await predict(verbs, project)
        assert len(verbs._models._kept) == 1
        assert await predict(verbs, project) == ("4", pytest.approx(10))


async def test_more_answers_than_memory_should_hold_are_refused(
    homes: Homes, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    verbs, project = ModelVerbs(homes, clock), await create(homes)
    await homes.change(project, line(1), "")
    await build(verbs, project)
    monkeypatch.setattr(predicting, "_MOST_ANSWERS", 2)
    rows = {"attributeNames": ["x"], "data": [["1"]] * 2}
    await verbs.verbs["predict"](call(project, "predict", rows))
    rows = {"attributeNames": ["x"], "data": [["1"]] * 3}
    with pytest.raises(Refused, match="3 rows of 1 answers are more than 2") as told:
        await verbs.verbs["predict"](call(project, "predict", rows))
    assert told.value.status.http == 413
