"""Builds that outlast the calls that ask for them, and builds that are stopped."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from model_api.projects.homes import Homes
from model_api.projects.limits import HomeLimits
from model_api.projects.model_verbs import ModelVerbs
from tally.clock import ManualClock
from tally.errors import (
    FitFailed,
    IdempotencyMismatch,
    InvalidInput,
    OutcomeUnknown,
    StoreUnavailable,
    Unavailable,
)
from tally.ids import NodeId
from tally.ledger.transact import decode
from tally.models import fitting
from tally.projects.errors import NotHome
from tally.projects.records import HEAD, Head, project_partition
from tally.wire.projects import ProjectUuid
from tests.unit.model_api.projects.acts import (
    Gate,
    Nodes,
    Troubled,
    being_written,
    create,
    feed,
    rows,
    until,
    worker,
)
from tests.unit.model_api.projects.test_building import (
    BODY,
    build,
    call,
    line,
    predict,
)

A, B = NodeId("a_1"), NodeId("b_1")
UNKNOWN = {"done": 0, "most": 1, "known": False}
MANUAL: Mapping[str, str] = {"sml_project_autosave": "false"}


async def ask(
    verbs: ModelVerbs, clock: ManualClock, project: ProjectUuid, verb: str, batch_id: str = "1"
) -> tuple[int, object]:
    """Return status and body of a call that is held for as long as a home holds one."""
    body = BODY if verb.startswith("build") else ""
    asking = asyncio.ensure_future(
        verbs.verbs[verb](call(project, verb, body, batch_id, algo="mlr"))
    )
    while not asking.done():
        await clock.advance(1)
        await asyncio.sleep(0.002)
    answer = await asking
    return answer.status, json.loads(answer.body)


async def built(
    verbs: ModelVerbs, clock: ManualClock, project: ProjectUuid, batch_id: str = "1"
) -> None:
    """Return once a build is published; raises why it is not."""
    while (told := await ask(verbs, clock, project, "build", batch_id))[0] == 202:
        pass
    assert told == (200, {})


async def names(homes: Homes, project: ProjectUuid) -> list[str]:
    return (await homes.ask(project)).models.names


async def test_a_build_longer_than_a_call_is_asked_about_until_it_ends(
    homes: Homes, clock: ManualClock, gate: Gate
) -> None:
    verbs, project = ModelVerbs(homes, clock), await create(homes)
    await homes.change(project, line(1), "")
    going = (202, {"done": 0, "most": 1, "known": True})
    assert await ask(verbs, clock, project, "build") == going
    assert await ask(verbs, clock, project, "work") == going
    assert await ask(verbs, clock, project, "build") == going  # sent again, it is the same
    gate.open.set()
    await until(lambda: verbs._builder._works.find(project, "1") is None, "it has ended")
    assert await ask(verbs, clock, project, "work") == (202, UNKNOWN)
    await built(verbs, clock, project)
    assert gate.fits == 1
    assert await predict(verbs, project) == ("1", pytest.approx(10))


async def test_why_a_build_failed_while_nobody_asked_is_told_once_to_who_asks_next(
    homes: Homes, clock: ManualClock, gate: Gate
) -> None:
    verbs, project = ModelVerbs(homes, clock), await create(homes)
    await homes.change(project, line(1, count=1), "")
    assert (await ask(verbs, clock, project, "build"))[0] == 202
    gate.open.set()
    work = verbs._builder._works.find(project, "1")
    assert work is not None
    await until(work.ended.done, "it has failed")
    with pytest.raises(FitFailed):
        await ask(verbs, clock, project, "work")
    assert await ask(verbs, clock, project, "work") == (202, UNKNOWN)
    assert gate.fits == 1


async def test_a_search_tells_how_far_it_is(homes: Homes, clock: ManualClock, gate: Gate) -> None:
    verbs, project = ModelVerbs(homes, clock), await create(homes)
    cells = [["0", "0", "0"], ["1", "0", "0"], ["0", "1", "1"], ["1", "2", "1"], ["3", "3", "1"]]
    table = {"attributeNames": ["x", "z", "y"], "attributeTypes": list("CCB"), "data": cells}
    await homes.change(project, feed(json.dumps(table).encode()), "")
    body = {"targetAttributeNames": ["y"], "inputAttributeNames": ["x", "z"]}
    asking = asyncio.ensure_future(
        verbs.verbs["reduce"](call(project, "reduce", body, "1", algo="lda", numIterations="7"))
    )
    await until(lambda: gate.fits == 1, "the search is over, and the last fit is held")
    await clock.advance(3)
    assert json.loads((await asking).body) == {"done": 7, "most": 7, "known": True}
    gate.open.set()
    await until(lambda: verbs._builder._works.find(project, "1") is None, "it has ended")


async def test_a_stopped_build_publishes_nothing_and_its_thread_takes_other_work(
    store: Troubled, clock: ManualClock, nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit, go_on = fitting.fit, threading.Event()

    def held(*args: Any, **kwargs: Any) -> Any:
        assert go_on.wait(60)
        kwargs["checkpoint"]()
        raise AssertionError("it is not stopped")

    async with worker(store, clock, nodes, A, HomeLimits(threads=1)) as homes:
        verbs, project = ModelVerbs(homes, clock), await create(homes)
        await homes.change(project, line(1), "")
        monkeypatch.setattr(fitting, "fit", held)
        assert (await ask(verbs, clock, project, "build"))[0] == 202
        monkeypatch.setattr(fitting, "fit", fit)
        work = verbs._builder._works.find(project, "1")
        assert work is not None
        for _ in range(2):
            assert await ask(verbs, clock, project, "stop") == (200, {"stopped": True})
        go_on.set()
        await until(work.ended.done, "its next step found that it is stopped")
        for verb in ("work", "build", "buildCheck"):
            with pytest.raises(IdempotencyMismatch, match="'1' was stopped"):
                await ask(verbs, clock, project, verb)
        assert await names(homes, project) == []
        await build(verbs, project, "2")
        assert await predict(verbs, project) == ("1", pytest.approx(10))


async def test_a_build_that_waits_for_its_turn_is_stopped_too(
    homes: Homes, clock: ManualClock, gate: Gate
) -> None:
    verbs, project = ModelVerbs(homes, clock), await create(homes)
    await homes.change(project, line(1), "")
    assert (await ask(verbs, clock, project, "build", "1"))[0] == 202
    assert (await ask(verbs, clock, project, "build", "2"))[0] == 202
    assert await ask(verbs, clock, project, "stop", "2") == (200, {"stopped": True})
    gate.open.set()
    with pytest.raises(IdempotencyMismatch, match="was stopped"):
        await built(verbs, clock, project, "2")
    await built(verbs, clock, project)
    assert gate.fits == 1


async def test_what_is_published_or_being_published_cannot_be_stopped(
    homes: Homes, store: Troubled, clock: ManualClock
) -> None:
    verbs, project = ModelVerbs(homes, clock), await create(homes)
    await homes.change(project, line(1), "")
    publishing = await being_written(store, build(verbs, project, "1"))
    stopping = asyncio.create_task(ask(verbs, clock, project, "stop"))
    await asyncio.sleep(0.01)
    assert not stopping.done()
    store.gate.set()
    await publishing
    assert await stopping == (200, {"stopped": False})
    assert await ask(verbs, clock, project, "stop") == (200, {"stopped": False})
    assert await names(homes, project) == ["m"]


async def test_a_version_whose_turn_comes_after_the_stop_is_not_published(
    homes: Homes, store: Troubled, clock: ManualClock, gate: Gate
) -> None:
    verbs, project = ModelVerbs(homes, clock), await create(homes)
    await homes.change(project, line(1), "")
    assert (await ask(verbs, clock, project, "build"))[0] == 202
    stopping = await being_written(store, ask(verbs, clock, project, "stop"))
    gate.open.set()
    home = await homes.ask(project)
    await until(lambda: home.waiting == 1, "the version waits to be published")
    store.gate.set()
    assert await stopping == (200, {"stopped": True})
    with pytest.raises(IdempotencyMismatch, match="was stopped"):
        await built(verbs, clock, project)
    assert await names(homes, project) == []


@pytest.mark.parametrize("params", [{}, MANUAL])
async def test_the_next_home_refuses_what_was_stopped(
    homes: Homes, store: Troubled, clock: ManualClock, nodes: Nodes, params: Mapping[str, str]
) -> None:
    """Also where the project has rows that were never saved, so that ids wait for its state."""
    verbs, project = ModelVerbs(homes, clock), await create(homes, params=params)
    await homes.change(project, line(1), "rows")
    assert await ask(verbs, clock, project, "stop") == (200, {"stopped": True})
    nodes.alive.discard(A)
    async with worker(store, clock, nodes, B) as others:
        theirs = ModelVerbs(others, clock)
        await others.ask(project, {A})
        with pytest.raises(IdempotencyMismatch, match="'1' was stopped"):
            await ask(theirs, clock, project, "build")
        assert await names(others, project) == []


async def test_a_home_that_was_taken_over_stops_nothing(
    homes: Homes, store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    verbs, project = ModelVerbs(homes, clock), await create(homes)
    await homes.change(project, line(1), "")
    async with worker(store, clock, nodes, B) as others:
        await others.ask(project, {A})
        for verb in ("stop", "work"):
            with pytest.raises(NotHome):
                await ask(verbs, clock, project, verb)
        await built(ModelVerbs(others, clock), clock, project)


async def test_a_publication_nobody_heard_of_is_known_when_it_is_to_be_stopped(
    homes: Homes, store: Troubled, clock: ManualClock
) -> None:
    """The project has rows that were never saved: so it stays in memory after such a commit."""
    verbs, project = ModelVerbs(homes, clock), await create(homes, params=MANUAL)
    await homes.change(project, line(1), "rows")
    store.troubles = ["unheard"] + ["unsaid"] * 20
    with pytest.raises(Exception, match="no answer"):
        await build(verbs, project, "1")
    store.troubles = []
    assert await ask(verbs, clock, project, "stop") == (200, {"stopped": False})
    assert await names(homes, project) == ["m"]
    await build(verbs, project, "1")  # sent again, it counts once
    assert await predict(verbs, project) == ("1", pytest.approx(10))
    await homes.change(project, rows("seen"), "more")


async def test_a_stop_without_an_id_and_other_work_of_the_same_id_are_refused(
    homes: Homes, clock: ManualClock, gate: Gate
) -> None:
    verbs, project = ModelVerbs(homes, clock), await create(homes)
    await homes.change(project, line(1), "")
    with pytest.raises(InvalidInput, match="X-Batch-Id"):
        await ask(verbs, clock, project, "stop", "")
    assert (await ask(verbs, clock, project, "build"))[0] == 202
    with pytest.raises(IdempotencyMismatch, match="used for another"):
        await verbs.verbs["build"](call(project, "build", BODY, "1", algo="covest"))
    gate.open.set()
    await built(verbs, clock, project)


@pytest.mark.parametrize("seed", range(40))
async def test_a_version_and_a_stop_exclude_each_other_whatever_goes_wrong(
    homes: Homes, store: Troubled, clock: ManualClock, nodes: Nodes, seed: int
) -> None:
    """Both are sent until they are answered, to one home or the other, which takes over."""
    chance = random.Random(seed)
    project = await create(homes)
    await homes.change(project, line(1), "")
    async with worker(store, clock, nodes, B) as others:
        workers = [(ModelVerbs(homes, clock), {B}), (ModelVerbs(others, clock), {A})]

        async def answered(verb: str) -> object:
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
            while True:
                verbs, suspects = chance.choice(workers)
                asked = call(project, verb, BODY, "1", algo="mlr")
                try:
                    answer = await verbs.verbs[verb](replace(asked, suspects=frozenset(suspects)))
                except (NotHome, Unavailable, StoreUnavailable, OutcomeUnknown):
                    await asyncio.sleep(0.001)
                except IdempotencyMismatch:
                    return "refused"
                else:
                    return json.loads(answer.body)

        store.troubles = chance.choices(["", "away", "unheard", "unsaid"], k=12)
        built, stopped = await asyncio.gather(answered("build"), answered("stop"))
        store.troubles = []
        again = await answered("build")  # whoever sends it once more
        kept = await names(others if (await asked_home(store, project)) == B else homes, project)
    assert (built, stopped, again, kept) in [
        ({}, {"stopped": False}, {}, ["m"]),
        ("refused", {"stopped": True}, "refused", []),
    ]


async def asked_home(store: Troubled, project: ProjectUuid) -> NodeId:
    """Return where a project is at home, as the store says."""
    row = await store.get(project_partition(project), HEAD, fresh=True)
    assert row is not None
    return decode(row, Head).node
