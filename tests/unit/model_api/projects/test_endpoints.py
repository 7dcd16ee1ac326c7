"""What a home refuses of the calls that brokers make, and how it tells."""

from __future__ import annotations

import asyncio

import pytest

from model_api.projects.homes import Homes
from model_api.projects.limits import HomeLimits
from tally.clock import ManualClock
from tally.ids import NodeId
from tally.projects.projects import new_project_uuid
from tally.wire.projects import (
    SUSPECTS,
)
from tests.unit.model_api.projects.acts import (
    Nodes,
    Troubled,
    being_written,
    create,
    rows,
    until,
    worker,
)
from tests.unit.model_api.projects.wire import FLOWERS, Broker, questions

A, B = NodeId("a_1"), NodeId("b_1")


@pytest.mark.parametrize(
    ("verb", "query", "text"),
    [
        ("rename", {}, "Missing parameter [newName]"),
        ("rename", {"newName": "a b"}, "Invalid project id [a b]"),
        ("histogramEnable", {}, "Missing parameter [enable]"),
        ("histogramEnable", {"enable": "maybe"}, "Invalid parameter [enable]: [maybe]"),
        ("import", {"cid": "c1"}, "Missing parameter [pid]"),
        ("explore", {}, "Missing parameter [metric]"),
    ],
)
async def test_a_wrong_parameter_is_named(
    homes: Homes, broker: Broker, verb: str, query: dict[str, str], text: str
) -> None:
    project = await create(homes)
    told = await broker(project, verb, questions({"inputAttributes": [0]}), headers=None, **query)
    assert (told.status, told.text) == (400, text)


@pytest.mark.parametrize(
    ("verb", "body", "text"),
    [
        ("learn", b"", "Invalid DataFrame: "),
        ("learn", b"{", "Invalid DataFrame: "),
        ("forget", b"[1]", "Invalid DataFrame: "),
        ("transform", b"nothing", "Invalid DataFrame: "),
        ("explore", b"{}", "values: "),
        ("vif", b"[]", ""),
        ("densityEstimate", b"{", "body: "),
        ("import", b"!", "Invalid export: "),
        ("explore", b'{"values":[{"inputAttributes":["9"]}]}', "Unknown attribute [9]"),
    ],
)
async def test_a_body_that_cannot_be_used_is_refused(
    homes: Homes, broker: Broker, verb: str, body: bytes, text: str
) -> None:
    project = await create(homes)
    told = await broker(project, verb, body, cid="c1", pid="q", metric="uni")
    assert told.status == 400
    assert told.text.startswith(text)


@pytest.mark.parametrize("verb", ["vif", "explorepca", "exploresvd", "exploresvdfs"])
@pytest.mark.parametrize(
    ("context", "query", "text"),
    [
        ({"inputAttributes": ["9"]}, {}, "Unknown attribute [9]"),
        ({"inputAttributes": ["0", "0"]}, {}, "attributes: [x] is there twice"),
        ({}, {"explainedCovariance": "abc"}, "explainedCovariance: 'abc' is not a number"),
        ({}, {"explainedCovariance": "2"}, "explainedCovariance: 2 is not in (0, 1]"),
        ({"extraParameters": {"pcaNumDimension": "0"}}, {}, "pcaNumDimension: "),
    ],
)
async def test_a_question_is_refused_beforehand_as_it_would_be(
    homes: Homes,
    broker: Broker,
    verb: str,
    context: dict[str, object],
    query: dict[str, str],
    text: str,
) -> None:
    project = await create(homes)
    await broker(project, "learn", FLOWERS)
    asked = questions(context)
    checked = await broker(project, f"{verb}Check", asked, headers=None, **query)
    answered = await broker(project, verb, asked, headers=None, **query)
    assert checked.status == answered.status
    if checked.status == 200:  # these parameters are for explorepca only
        assert verb != "explorepca"
        assert checked.json == {}
    else:
        assert (checked.status, checked.text) == (400, answered.text)
        assert checked.text.startswith(text)


async def test_bytes_that_are_no_snapshot_do_not_pass_for_one(homes: Homes, broker: Broker) -> None:
    project = await create(homes)
    assert (await broker(project, "merge", b"no snapshot")).status in (400, 500)
    assert (await broker(project, "info")).status == 200


async def test_an_unknown_path_or_project_is_404(homes: Homes, broker: Broker) -> None:
    project = await create(homes)
    for uuid, verb in ((project, "nonsense"), ("ab", "info"), (new_project_uuid(), "info")):
        assert (await broker(uuid, verb)).status == 404


async def test_a_body_over_the_bound_is_refused(
    store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    async with worker(store, clock, nodes, limits=HomeLimits(body_bytes=5000)) as homes:
        broker, project = Broker(homes), await create(homes)
        assert (await broker(project, "learn", bytes(5001))).status == 413
        declared = {"Content-Length": "5001"}
        assert (await broker(project, "learn", b"{}", headers=declared)).status == 413
        assert (await broker(project, "learn", FLOWERS)).status == 200


async def test_an_id_is_bounded_and_bound_to_its_change(homes: Homes, broker: Broker) -> None:
    project = await create(homes)
    assert (await broker(project, "learn", FLOWERS, batch="x" * 201)).status == 400
    assert (await broker(project, "learn", FLOWERS, batch="1")).status == 200
    assert (await broker(project, "learn", FLOWERS, batch="1")).status == 200
    assert (await broker(project, "forget", FLOWERS, batch="1")).status == 422
    assert (await broker(project, "freeze", batch="1")).status == 422


async def test_another_worker_names_the_home_until_the_broker_says_that_it_is_gone(
    homes: Homes, broker: Broker, store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    project = await create(homes)
    await broker(project, "learn", FLOWERS)
    async with worker(store, clock, nodes, B) as others:
        another = Broker(others)
        told = await another(project, "info")
        assert (told.status, told.json["values"]) == (421, {"owner": A})
        assert (await another(project, "info", headers={SUSPECTS: f"{A}, x_1"})).status == 200
        told = await broker(project, "info")
        assert (told.status, told.json["values"]) == (421, {"owner": B})


async def test_a_store_that_is_away_is_503_and_a_full_queue_429(
    store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    async with worker(store, clock, nodes, limits=HomeLimits(waiting=1)) as homes:
        broker, project = Broker(homes), await create(homes)
        await broker(project, "info")
        store.troubles = ["away"]
        assert (await broker(project, "learn", FLOWERS)).status == 503
        tasks = [await being_written(store, broker(project, "learn", FLOWERS))]
        tasks.append(asyncio.create_task(broker(project, "learn", FLOWERS)))
        [home] = homes.loaded
        await until(lambda: home.waiting == 1, "one waits")
        refused = await broker(project, "learn", FLOWERS)
        assert refused.status == 429
        assert refused.text == "Too many changes are waiting for project [p]"
        store.gate.set()
        assert [reply.status for reply in await asyncio.gather(*tasks)] == [200, 200]


async def test_a_call_that_takes_too_long_is_503(
    store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    async with worker(store, clock, nodes, limits=HomeLimits(wait_s=0.05)) as homes:
        broker, project = Broker(homes), await create(homes)
        await homes.ask(project)
        store.gate.clear()
        assert (await broker(project, "learn", FLOWERS, batch="1")).status == 503
        store.gate.set()
        # Given up on, not undone: asked for again under its id, it counts once.
        await homes.change(project, rows("other"), "2")
        [home] = homes.loaded
        assert home.project.row_count == 5


async def test_a_defect_is_500_and_the_worker_goes_on(
    homes: Homes, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = await create(homes)

    def defect(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr("model_api.projects.reads.explore.explore", defect)
        asked = questions({"inputAttributes": [0]})
        assert (await broker(project, "explore", asked, metric="uni")).status == 500
    assert (await broker(project, "info")).status == 200


async def test_a_worker_that_is_stopping_says_that_it_cannot_answer(
    store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    async with worker(store, clock, nodes) as homes:
        project = await create(homes)
        await homes.ask(project)
        waiting = await being_written(store, Broker(homes)(project, "learn", FLOWERS))
    assert (await waiting).status == 503
    store.gate.set()
    assert (await Broker(homes)(project, "info")).status == 503
