"""The call that brokers make, as it comes from the wire and goes back."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

from model_api.projects.endpoints import ProjectsApp
from model_api.projects.homes import Homes
from model_api.projects.limits import HomeLimits
from tally.clock import ManualClock
from tally.ids import NodeId
from tally.projects.projects import new_project_uuid
from tally.wire.projects import (
    BATCH_ID,
    CLIENT,
    SUSPECTS,
    ProjectUuid,
    drift_body,
    project_path,
)
from tests.unit.model_api.projects.acts import Nodes, Troubled, create, rows, until, worker

A, B = NodeId("a_1"), NodeId("b_1")


@dataclass
class Reply:
    status: int
    body: bytes
    headers: Mapping[bytes, bytes] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """Of a refusal."""
        return str(self.json["text"])


class Broker:
    """Calls a worker as a broker does."""

    def __init__(self, homes: Homes) -> None:
        self._app = ProjectsApp(homes)

    async def __call__(
        self,
        project: str,
        verb: str,
        body: bytes | object = b"",
        *,
        batch: str = "",
        headers: Mapping[str, str] | None = None,
        **query: str,
    ) -> Reply:
        url = urlsplit(project_path(ProjectUuid(project), verb, query))
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        told = {"Content-Type": "application/json", BATCH_ID: batch, **(headers or {})}
        scope = {
            "type": "http",
            "method": "POST",
            "path": url.path,
            "query_string": url.query.encode(),
            "headers": [(k.lower().encode(), v.encode()) for k, v in told.items()],
        }
        parts = [content[i : i + 1000] for i in range(0, len(content), 1000)] or [b""]
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        return Reply(sent[0]["status"], sent[1]["body"], dict(sent[0]["headers"]))


@pytest.fixture
def broker(homes: Homes) -> Broker:
    return Broker(homes)


def frame(names: str, types: str, *data: str, **more: object) -> dict[str, object]:
    table = [row.split(",") for row in data]
    return {
        "attributeNames": names.split(","),
        "attributeTypes": list(types),
        "data": table,
        **more,
    }


def questions(*asked: Mapping[str, object]) -> dict[str, object]:
    return {"values": list(asked)}


FLOWERS = frame("x,y,color", "CBT", "1,1, Red ", "2,0,blue", ",1,red", "4,0,")


# What it answers


async def test_rows_are_learned_and_explored(homes: Homes, broker: Broker) -> None:
    project = await create(homes)
    learned = await broker(project, "learn", FLOWERS, batch="1")
    assert (learned.status, learned.json) == (200, {})
    asked = questions({"inputAttributes": ["0"]}, {"inputAttributeNames": ["color$red"]})
    told = await broker(project, "explore", asked, metric="uni")
    assert told.status == 200
    x, red = told.json["KSVDMap"]["values"]
    assert (x["count"], x["mean"]) == (3.0, 7 / 3)
    assert (red["count"], red["mean"]) == (3.0, 2 / 3)
    info = told.json["smlInfo"]
    assert info["attributeNames"] == ["x", "y", "color$red", "color$blue"]
    assert info["attributeIndexes"] == [0, 1, 2, 3]
    assert info["attributeTypes"] == ["C", "B", "B", "B"]
    alone = await broker(project, "explore", asked, metric="uni", returnProjectInfo="false")
    assert "smlInfo" not in alone.json


async def test_forget_undoes_learn_and_is_refused_below_zero(homes: Homes, broker: Broker) -> None:
    project = await create(homes)
    await broker(project, "learn", FLOWERS, batch="1")
    assert (await broker(project, "forget", FLOWERS, batch="2")).status == 200
    again = await broker(project, "forget", FLOWERS, batch="3")
    assert again.status == 400
    told = await broker(project, "explore", questions({"inputAttributes": [0]}), metric="uni")
    assert told.json["KSVDMap"]["values"][0]["count"] == 0.0


async def test_csv_rows_take_their_types_from_the_query(homes: Homes, broker: Broker) -> None:
    project = await create(homes)
    learned = await broker(
        project,
        "learn",
        b"x,y\n1.5,1\n2.5,0\n",
        headers={"Content-Type": "text/csv"},
        attributeTypes="CB",
    )
    assert learned.status == 200, learned.body
    info = (await broker(project, "info")).json["smlInfo"]
    assert info["attributeTypes"] == ["C", "B"]


async def test_matrices_are_explored(homes: Homes, broker: Broker) -> None:
    project = await create(homes)
    data = [f"{i},{i % 7},{i * i % 11}" for i in range(30)]
    await broker(project, "learn", frame("a,b,c", "CCC", *data))
    asked = questions({"inputAttributes": ["0", "1", "2"]})
    vif = (await broker(project, "vif", asked)).json["KSVSMap"]["values"][0]
    assert set(vif) == {"0", "1", "2"}
    assert all(isinstance(value, str) and float(value) >= 1 for value in vif.values())
    pca = (await broker(project, "explorepca", asked, explainedCovariance="0.5")).json
    assert pca["pcaSumValues"] == pytest.approx(3.0)
    assert pca["pcaValues"]["attributeNames"] == [
        f"e{k + 1}" for k in range(len(pca["pcaValues"]["data"][0]))
    ]
    assert len(pca["pcaVectors"]["data"][0]) == 3
    for verb in ("exploresvd", "exploresvdfs"):
        svd = (await broker(project, verb, asked)).json["KSVSMap"]["values"][0]
        assert list(svd.values()) == ["0", "1", "2"]


async def test_densities_need_histograms(homes: Homes, broker: Broker) -> None:
    project = await create(homes)
    asked = questions({"inputAttributes": ["0"], "extraParameters": {"hist_bins": 2}})
    refused = await broker(project, "densityEstimate", asked)
    assert refused.text == "Histogram is not enabled for project [p]"
    assert (await broker(project, "histogramEnable", enable="true")).status == 200
    await broker(project, "learn", frame("x,y", "CB", "0,1", "1,1", "4,0"))
    [density] = (await broker(project, "densityEstimate", asked)).json["densityList"]["values"]
    assert density == {
        "attrName": "x",
        "min": 0.0,
        "max": 4.0,
        "width": 2.0,
        "histogram": [2.0, 1.0],
    }
    both = questions({"inputAttributes": ["1", "0"], "extraParameters": {"hist_bins": "2"}})
    told = await broker(project, "conditionalDensityEstimate", both)
    assert told.json["densityList"]["values"][0]["histogram"] == [2.0, 0.0]


async def test_drift_compares_with_another_snapshot(homes: Homes, broker: Broker) -> None:
    project, other = await create(homes), await create(homes, "other")
    await broker(project, "learn", frame("x,y", "CC", "0,1", "1,2", "4,2"))
    await broker(other, "learn", frame("x,y", "CC", "5,1", "6,2", "9,2"))
    snapshot = await broker(other, "snapshot")
    assert snapshot.headers[b"content-type"] == b"application/octet-stream"
    context = {"extraParameters": {"driftMetric": "marginal_non_stat"}}
    body = drift_body(json.dumps(context).encode(), snapshot.body)
    [told] = (await broker(project, "dataDrift", body)).json["KSVDMap"]["values"]
    assert set(told) == {"driftScore", "x_drift", "y_drift"}
    assert told["y_drift"] == pytest.approx(0.0, abs=1e-7)
    own = drift_body(json.dumps(context).encode(), b"")
    assert "no embedded rolling window" in (await broker(project, "dataDrift", own)).text
    unknown = drift_body(b'{"extraParameters":{"driftMetric":"?"}}', snapshot.body)
    assert (await broker(project, "dataDrift", unknown)).text == "Unknown metric [?]"
    assert (await broker(project, "dataDrift", b"short")).status == 400


async def test_an_embedded_window_can_be_compared_with_its_project(
    homes: Homes, broker: Broker
) -> None:
    window = {
        "sml_project_rolling_window_size": "2",
        "sml_project_rolling_window_use_embedded": "true",
    }
    project = await create(homes, params=window)
    await broker(project, "learn", frame("x", "C", "0", "1", "4", "5"))
    body = drift_body(b'{"extraParameters":{"driftMetric":"global"}}', b"")
    told = await broker(project, "dataDrift", body)
    assert told.status == 200, told.body
    assert told.json["KSVDMap"]["values"][0]["driftScore"] > 0


async def test_a_project_is_merged_exported_and_imported(homes: Homes, broker: Broker) -> None:
    project, other = await create(homes), await create(homes, "other")
    await broker(project, "learn", FLOWERS)
    await broker(other, "learn", FLOWERS)
    snapshot = await broker(other, "snapshot")
    merged = await broker(project, "merge", snapshot.body, batch="1", other=other)
    assert merged.status == 200
    export = await broker(project, "export")
    assert export.headers[b"content-type"].startswith(b"text/plain")
    copy = new_project_uuid()
    for _ in range(2):  # the answer to the first was lost
        made = await broker(copy, "import", export.body, batch="2", cid="c1", pid="copy")
        assert made.status == 200, made.body
    asked = questions({"inputAttributes": ["0"]})
    told = [await broker(each, "explore", asked, metric="uni") for each in (project, copy)]
    assert told[0].json["KSVDMap"] == told[1].json["KSVDMap"]
    assert told[0].json["KSVDMap"]["values"][0]["count"] == 6.0
    taken = await broker(new_project_uuid(), "import", export.body, cid="c1", pid="copy")
    assert (taken.status, taken.text) == (
        409,
        "Customer [c1] already have SYMETRYML with id[copy], ",
    )
    memory = new_project_uuid()
    made = await broker(memory, "import", export.body, cid="c1", pid="m", persist="false")
    assert made.status == 200
    info = (await broker(memory, "info")).json["smlInfo"]
    assert (info["persisted"], len(info["attributeNames"])) == (False, 4)


async def test_a_project_tells_about_itself(homes: Homes, broker: Broker) -> None:
    params = {"partitionSplit": "grade", "automl_x": "1"}
    project = await create(homes, params=params, kind="partition")
    info = (await broker(project, "info")).json["smlInfo"]
    assert info["pid"] == "p"
    assert info["type"] == "partition"
    assert info["partitionColumn"] == "grade"
    assert info["params"] == {**params, "sml_project_is_freeze": "false"}
    assert (info["loaded"], info["persisted"], info["autoSave"]) == (True, True, True)
    assert info["creationDate"] == info["lastModificationDate"] == 1767225600000
    await broker(project, "unload")
    assert not (await broker(project, "info")).json["smlInfo"]["loaded"]
    assert (await broker(project, "info")).json["smlInfo"]["loaded"]


async def test_the_log_of_learn_names_its_clients(homes: Homes, broker: Broker) -> None:
    project = await create(homes)
    await broker(project, "learn", FLOWERS, headers={CLIENT: "cli.1"})
    await broker(project, "learn", FLOWERS)
    lines = (await broker(project, "getLFStats")).json["stringList"]["values"]
    told = [json.loads(line) for line in lines]
    assert sorted(one["client_id"] for one in told) == ["cli_1", "default-rest-client"]
    assert {one["client_request_df_attributes_types"] for one in told} == {"C,B,T"}
    assert {one["client_request_df_attributes_numrows_total"] for one in told} == {"4"}
    assert (await broker(project, "getDsLog")).json == {"stringList": {"values": []}}


async def test_a_frame_is_transformed_into_itself(homes: Homes, broker: Broker) -> None:
    project = await create(homes)
    told = await broker(project, "transform", frame("x,c", "CT", "1.5,Red", ",blue"))
    assert told.json["dataframe"] == {
        "attributeNames": ["x", "c"],
        "attributeTypes": ["C", "T"],
        "data": [["1.5", "Red"], ["", "blue"]],
    }


# What it refuses


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
        store.gate.clear()
        before = len(store.commits)
        tasks = [asyncio.create_task(broker(project, "learn", FLOWERS))]
        await until(lambda: len(store.commits) > before, "it is being written")
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
        store.gate.clear()
        before = len(store.commits)
        waiting = asyncio.create_task(Broker(homes)(project, "learn", FLOWERS))
        await until(lambda: len(store.commits) > before, "it is being written")
    assert (await waiting).status == 503
    store.gate.set()
    assert (await Broker(homes)(project, "info")).status == 503


async def test_a_short_question_does_not_wait_behind_long_ones(
    homes: Homes, broker: Broker
) -> None:
    project = await create(homes)
    await broker(project, "learn", FLOWERS)
    go_on = threading.Event()
    computing = asyncio.create_task(homes.long_thread.run(go_on.wait, 20))
    ask = questions({"inputAttributes": ["0", "1"]})
    waiting = [asyncio.create_task(broker(project, "vif", ask)) for _ in range(4)]
    short = await broker(project, "explore", ask, metric="bi")
    assert short.status == 200
    assert not any(one.done() for one in waiting)
    go_on.set()
    assert await computing
    assert {(await one).status for one in waiting} == {200}
