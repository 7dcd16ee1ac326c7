from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qsl

import pandas as pd
import pytest

from tally.client import AsyncTally, ModelReplaced, ProjectRefused, UnknownModel
from tally.client.frames import open_frame
from tally.client.models import handle
from tally.client.models.blocking import _model_name
from tally.client.results.models import ModelInfo
from tally.client.results.predictions import Predictions
from tally.errors import InvalidInput
from tally.wire.entities import DataFrame
from tally.wire.entities import ModelInfo as Told
from tests.unit.client.signed_broker import Says, SignedBroker

STARTED = Says(202, "Job Created", headers={"sym-job-id": "7"})
FINISHED = Says(200, "Job is finished")


def answers(version: int, *values: str) -> Says:
    told = {"KSVSMap": {"values": [{"res": value} for value in values]}}
    return Says(values=told, headers={"X-Model-Version": str(version)})


def info(**changed: object) -> Says:
    told = {"modelId": "m", "modelType": "mlr", "creationDate": 0, **changed}
    return Says(values={"modelInfo": told})


async def test_a_build_says_what_the_protocol_wants(
    tally: AsyncTally, broker: SignedBroker
) -> None:
    broker.says.extend([STARTED, FINISHED, info()])
    told = await tally.project("p").build(
        "m", "ridge", targets="y", inputs=["a", "b"], svdreduce=True, lambda_=0.5, debias=False
    )
    assert (told.id, told.type) == ("m", "mlr")
    asked = broker.asked[0]
    assert asked.path.endswith("/projects/p/build")
    assert asked.query == "modelid=m&algo=ridge&svdreduce=true"
    assert json.loads(asked.body) == {
        "targetAttributeNames": ["y"],
        "inputAttributeNames": ["a", "b"],
        "extraParameters": {"lambda": "0.5", "debias": "false"},
    }
    assert asked.batch_id


async def test_a_selection_sends_its_rows_beside_the_question(
    tally: AsyncTally, broker: SignedBroker
) -> None:
    rows = pd.DataFrame({"a": [4.3, 3.0], "kind": ["x", None], "y": [1, 0]})
    broker.says.extend([STARTED, FINISHED, info()] * 2)
    project = tally.project("p")
    await project.auto_select(
        "m", rows, targets="y", inputs=["a"], task="binary_classifier", selector_max_iterations=5
    )
    await project.select_model("m", "lda", rows, targets="y", inputs=["a"])
    auto, _, _, one, _, _ = broker.asked
    assert auto.path.endswith("/projects/p/autoSelect")
    assert auto.query == "task=binary_classifier&modelid=m"
    body = json.loads(auto.body)
    assert body == {
        "dataframe": {
            "attributeNames": ["a", "kind", "y"],
            "attributeTypes": ["C", "C", "C"],
            "data": [["4.3", "x", "1"], ["3.0", "", "0"]],
            "errorHandling": 1,
        },
        "mlcontext": {
            "targetAttributeNames": ["y"],
            "inputAttributeNames": ["a"],
            "extraParameters": {"selector_max_iterations": "5"},
        },
    }
    assert one.path.endswith("/projects/p/selectModel")
    assert one.query == "algo=lda&modelid=m"
    assert json.loads(one.body)["dataframe"] == body["dataframe"]


async def test_rows_in_parts_are_answered_by_one_version(
    tally: AsyncTally, broker: SignedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handle, "_ROWS_PER_REQUEST", 2)
    model = tally.project("p").model("m")
    rows = {"x": [1.0, 2.0, 3.0]}
    broker.says.extend([answers(1, "1.0", "2.0"), answers(2, "3.5")])
    broker.says.extend([answers(2, "1.5", "2.5"), answers(2, "3.5")])
    found = await model.predict(rows)
    assert (found.result, found.version) == ((1.5, 2.5, 3.5), 2)
    for version in (3, 5, 7):
        broker.says.extend([answers(version, "1.0", "2.0"), answers(version + 1, "3.0")])
    with pytest.raises(ModelReplaced, match="model m was replaced, by version 8"):
        await model.predict(rows)
    assert len(broker.asked) == 10


async def test_a_delete_that_was_sent_twice_is_done(
    tally: AsyncTally, broker: SignedBroker
) -> None:
    gone = Says(500, "Generic Exception <Error no such model <m>>")
    broker.says.extend([Says(503, "away"), gone])
    await tally.project("p").model("m").delete()
    broker.says.append(gone)
    with pytest.raises(UnknownModel):
        await tally.project("p").model("m").delete()


async def test_roll_back_and_reduce_name_what_they_are_given(
    tally: AsyncTally, broker: SignedBroker
) -> None:
    versions = Says(values={"modelVersions": {"current": 2, "previous": 3, "values": []}})
    broker.says.extend([versions, versions, STARTED, FINISHED, info()])
    project = tally.project("p")
    await project.model("m").rollback()
    assert (await project.model("m").rollback(2)).current == 2
    await project.reduce("m", targets="y", inputs="a", delta=0.01, iterations=3)
    queries = [dict(parse_qsl(asked.query)) for asked in broker.asked[:3]]
    assert queries == [
        {},
        {"to": "2"},
        {"modelid": "m", "algo": "lda", "delta": "0.01", "numIterations": "3"},
    ]


async def test_an_answer_of_another_form_is_refused(
    tally: AsyncTally, broker: SignedBroker
) -> None:
    broker.says.append(Says(values={"KSVSMap": {"values": [{"res": 1}]}}))
    with pytest.raises(ProjectRefused, match="no KSVSMap as this client knows it"):
        await tally.project("p").model("m").predict({"x": [1.0]})


async def test_a_parameter_is_a_text_a_number_or_a_truth_value(tally: AsyncTally) -> None:
    with pytest.raises(InvalidInput, match="q: a list is no text"):
        await tally.project("p").build("m", "pcr", q=[1])  # type: ignore[arg-type]


def test_answers_keep_the_names_of_classes_that_look_like_numbers() -> None:
    told = [{"res": "1", "1": "-0.5", "2": "-1.0E-7", "resZ": "NaN"}]
    found = Predictions.of(told, 1)
    assert (found.result, found["2"]) == (("1",), (-1e-7,))
    assert Predictions.of([{"res": "1", "normZ": "0.5"}], 1).result == (1,)
    assert Predictions.of([{"res": "10", "Prob": "0.5"}], 1).result == ("10",)
    assert str(found).splitlines() == [
        "1 row by version 1",
        "row  res     1       2  resZ",
        "1      1  -0.5  -1e-07     -",
    ]


def test_a_model_without_coefficients_shows_what_it_has() -> None:
    means = DataFrame(["attribute", "a"], ["S", "C"], [["x", "1.5"]])
    told = Told(model_id="m", model_type="bayes", creation_date=0, info={"rows": "3.0"})
    found = ModelInfo.of(told)
    assert found.coefficients is None
    assert "rows    3.0" in str(found)
    told = Told(model_id="m", model_type="bayes", creation_date=0, extra={"means": means})
    assert str(ModelInfo.of(told)).splitlines()[1:] == ["mean of    a", "x        1.5"]


def test_rows_of_every_source_can_stand_inside_a_request(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [1.5, None], "name": ["a", "b"]})
    file = f"{tmp_path}/rows.csv"
    frame.to_csv(file, index=False)
    for form in (frame, file, frame.to_dict("list")):
        cells = [list(row) for row in open_frame(form).cells()]
        assert [row[1] for row in cells] == ["a", "b"]
        assert float(cells[0][0]) == 1.5  # type: ignore[arg-type]


def test_a_fit_names_its_model_after_what_it_does() -> None:
    assert _model_name("mlr", ["y"]) == "mlr_y"
    assert len(_model_name("mlr", ["y" * 300])) == 128
