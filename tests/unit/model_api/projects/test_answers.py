"""What a home answers to the calls that brokers make."""

from __future__ import annotations

import json

import pytest

from model_api.projects.homes import Homes
from tally.engine import explore
from tally.engine.project import Project
from tally.projects.projects import new_project_uuid
from tally.wire.projects import (
    CLIENT,
    drift_body,
)
from tests.unit.model_api.projects.acts import create
from tests.unit.model_api.projects.wire import FLOWERS, Broker, frame, questions


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


@pytest.mark.parametrize(
    ("verb", "engine"), [("explore", "explore"), ("densityEstimate", "density")]
)
async def test_all_questions_of_one_call_are_answered_from_one_state(
    homes: Homes, broker: Broker, monkeypatch: pytest.MonkeyPatch, verb: str, engine: str
) -> None:
    project = await create(homes)
    await broker(project, "histogramEnable", batch="0", enable="true")
    await broker(project, "learn", FLOWERS, batch="1")
    home = await homes.ask(project)
    asked_of = []
    real = getattr(explore, engine)

    def learns_meanwhile(source: Project, *more: object) -> object:
        asked_of.append(source)
        home._project = Project.empty(source.options)
        return real(source, *more)

    monkeypatch.setattr(explore, engine, learns_meanwhile)
    one = {"inputAttributes": ["0"], "extraParameters": {"hist_bins": "2"}}
    told = await broker(project, verb, questions(one, one), metric="uni")
    assert told.status == 200, told.body
    assert len(asked_of) == 2
    assert asked_of[0] is asked_of[1]


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
