"""Selecting models over the signed API, with the request and the number of the reference."""

from __future__ import annotations

import json
from typing import Any

import pytest
import pytest_asyncio

from tests.integration.symetry import iris
from tests.integration.symetry.customer import Customer, Told

pytestmark = pytest.mark.asyncio(loop_scope="module")

FRAME = iris.frame()
NAMES: list[str] = FRAME["attributeNames"]
INPUTS = NAMES[:12]
SETOSA = "Iris_setosa"
ASKED = {
    "autoselect_grid_type": "autoselect_grid_type_normal",
    "selector_type": "selector_type_fw_bw",
    "selector_max_iterations": "5",
    "autoselect_thread_pool_size": "4",
    "sml_model_assessment_type": "auc",
}
ROWS = {
    "attributeNames": NAMES,
    "data": FRAME["data"],
    "attributeTypes": ["C"] * 15,
    "errorHandling": 1,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def learned(ann: Customer) -> Customer:
    assert (await ann.create("s")).status == 201
    assert (await ann.post("projects/s/learn", FRAME)).status == 200
    return ann


def body(**context: object) -> dict[str, object]:
    return {"dataframe": ROWS, "mlcontext": context}


def named(target: str = SETOSA, inputs: list[str] = INPUTS, **parameters: object) -> Any:
    return body(
        inputAttributeNames=inputs,
        targetAttributeNames=[target],
        extraParameters={**ASKED, **parameters},
    )


async def info(customer: Customer, model: str) -> dict[str, Any]:
    told = await customer.get(f"projects/s/models/{model}")
    assert told.status == 200, told.body
    return dict(told.values["modelInfo"])


async def auto(customer: Customer, model: str, sent: object, task: str = "") -> Told:
    query = f"task={task}&modelid={model}" if task else f"modelid={model}"
    started = await customer.post("projects/s/autoSelect", sent, query)
    assert (started.status, started.text) == (202, "Job Created"), started.body
    return await customer.job(started)


@pytest.mark.parametrize(
    "sent",
    [
        named(),
        dict(reversed(named().items())),
        body(
            targets=["12"],
            inputAttributes=[str(k) for k in range(12)],
            extraParameters=ASKED,
        ),
        body(targets=[12], inputAttributeNames=INPUTS, extraParameters=ASKED),
    ],
    ids=["names", "the other order", "indexes", "both"],
)
@pytest.mark.parametrize("task", ["binary_classifier", "binary_classification", ""])
async def test_the_request_of_the_reference_finds_a_perfect_classifier(
    learned: Customer, sent: object, task: str
) -> None:
    told = await auto(learned, "best", sent, task)
    assert (told.status, told.text, told.values) == (200, "Job is finished", {}), told.body
    found = await info(learned, "best")
    assert float(found["info"]["selection_score"]) == 1.0
    assert found["targetNames"] == [SETOSA]
    assert found["modelType"] in ("lda", "bayes", "lsvm")
    # One attribute tells setosa from the others; of equal models the smallest wins.
    assert len(found["attributeNames"]) == 1
    assert found["modelBuilt"] >= 3 * 12


async def test_what_was_selected_answers_and_is_built_again(learned: Customer) -> None:
    told = await auto(learned, "again", named())
    assert told.status == 200, told.body
    first = await info(learned, "again")
    answers = await learned.post("projects/s/predict/again", ROWS)
    found = [row["res"] for row in answers.values["KSVSMap"]["values"]]
    assert len(found) == 150
    one = {**ROWS, "data": ROWS["data"][:1]}
    told = await learned.post("projects/s/learnpredict/again", one, "rebuildModel=true")
    assert told.status == 200, told.body
    second = await info(learned, "again")
    for key in ("modelType", "attributeNames", "targetNames"):
        assert first[key] == second[key]
    assert (first["info"]["learned"], second["info"]["learned"]) == ("150.0", "151.0")
    one["data"] = ROWS["data"][:1]
    assert (await learned.post("projects/s/forget", {**FRAME, "data": one["data"]})).status == 200


async def test_the_rows_are_not_learned(learned: Customer) -> None:
    async def project() -> Any:
        told = await learned.post(
            "projects/s/explore", {"values": [{"inputAttributes": [0]}]}, "metric=uni_all"
        )
        return told.body

    before = await project()
    rows = {**ROWS, "data": [["9"] * 12 + ["1", "0", "0"], ["1"] * 12 + ["0", "1", "0"]]}
    told = await auto(learned, "unlearned", {**named(), "dataframe": rows})
    assert told.status == 200, told.body
    assert await project() == before


async def test_a_job_tells_what_was_asked_and_the_first_rows(learned: Customer) -> None:
    started = await learned.post("projects/s/autoSelect", named(note="x" * 9999), "modelid=told")
    number = int(started.headers["sym-job-id"])
    assert (await learned.job(started)).status == 200
    told = await learned.get("jobs")
    (job,) = (one for one in told.values["jobInfoList"]["values"] if one["jobId"] == number)
    assert job["jobType"] == "autoSelect"
    details = job["details"]
    assert details.items() >= ASKED.items()
    assert details["targets"] == SETOSA
    assert [json.loads(details[f"row_{k}"]) for k in range(5)] == ROWS["data"][:5]
    assert "row_5" not in details
    assert len(details["note"]) == 256


async def test_one_family_is_selected_with_its_inputs_and_penalties(learned: Customer) -> None:
    sent = named("sepal_length", NAMES[1:4], sml_model_assessment_type="r2")
    started = await learned.post("projects/s/selectModel", sent, "algo=ridge&modelid=ridge")
    told = await learned.job(started)
    assert told.status == 200, told.body
    found = await info(learned, "ridge")
    assert found["modelType"] == "ridge"
    assert found["info"]["lambda"] == "1.0E-4"
    assert found["info"]["selection_candidates"] == "ridge 6"
    assert float(found["info"]["selection_score"]) == pytest.approx(0.859216, rel=1e-5)
    assert set(found["attributeNames"]) == set(NAMES[1:4])


@pytest.mark.parametrize(
    ("path", "query", "sent", "text"),
    [
        ("autoSelect", "", named(), "Missing parameter [modelid]"),
        ("selectModel", "modelid=x", named(), "Missing parameter [algo]"),
        ("selectModel", "modelid=x&algo=magic", named(), "algo: [magic]"),
        ("selectModel", "modelid=x&algo=covest", named(), "algo: models of covest"),
        ("autoSelect", "modelid=a%2Fb", named(), "Invalid model id [a/b]"),
        ("autoSelect", "modelid=x&task=magic", named(), "task: [magic] is unknown"),
        ("autoSelect", "modelid=x&task=multiclass_classifier", body(targets=[12]), "targets: 1"),
        ("autoSelect", "modelid=x", {"mlcontext": {}}, "dataframe: it is missing"),
        ("autoSelect", "modelid=x", {"dataframe": ROWS}, "targets: they are missing"),
        ("autoSelect", "modelid=x", body(targets=["12"], inputAttributes=["99"]), "[99]"),
        ("autoSelect", "modelid=x", named(selector_type="magic"), "selector_type"),
        ("autoSelect", "modelid=x", named(sml_model_assessment_type="rmse"), "auc"),
        (
            "autoSelect",
            "modelid=x",
            body(targets=[12], extraParameters={"selector_type": "selector_type_iteration"}),
            "selector_max_iterations",
        ),
        ("autoSelect", "modelid=x", {**named(), "dataframe": {"data": 7}}, "Invalid DataFrame"),
        ("autoSelect", "modelid=x", {**named(), "dataframe": []}, "Invalid DataFrame"),
        ("autoSelect", "modelid=x", {**named(), "mlcontext": 7}, "Expected"),
        (
            "autoSelect",
            "modelid=x",
            {**named(), "dataframe": {"attributeNames": ["a"], "data": [["1"]]}},
            "dataframe: it has none of the inputs",
        ),
        (
            "autoSelect",
            "modelid=x",
            {**named(), "dataframe": {**ROWS, "data": ROWS["data"][:9]}},
            "dataframe: [Iris_setosa] is 1.0 in every row",
        ),
        ("autoSelect", "modelid=x", "{", "body: it is not JSON"),
        ("autoSelect", "modelid=x", b"", "body: it is empty"),
    ],
)
async def test_what_cannot_be_selected_is_refused_before_there_is_a_job(
    learned: Customer, path: str, query: str, sent: object, text: str
) -> None:
    data = sent.encode() if isinstance(sent, str) else sent
    told = await learned.post(f"projects/s/{path}", data, query)
    assert told.status == 400, told.body
    assert text in told.text
    assert "sym-job-id" not in told.headers
    assert (await learned.get("projects/s/models/x")).status == 500


async def test_a_selection_that_no_candidate_survives_fails_and_leaves_the_model(
    learned: Customer, bob: Customer
) -> None:
    assert (await bob.create("flat")).status == 201
    rows: list[list[Any]] = [[1, 0], [1, 1], [1, 0]]
    assert (await bob.learn("flat", "x y", "CB", rows)).status == 200
    sent = {
        "mlcontext": {"targetAttributeNames": ["y"], "inputAttributeNames": ["x"]},
        "dataframe": {"attributeNames": ["x", "y"], "data": rows},
    }
    query = "modelid=flat&task=binary_classifier"
    told = await bob.job(await bob.post("projects/flat/selectModel", sent, "modelid=flat&algo=lda"))
    assert told.status == 500, told.body
    assert told.text.startswith("no candidate could be fitted: lda: attribute [x] is constant")
    told = await bob.post("projects/none/autoSelect", sent, query)
    assert (told.status, told.text) == (400, "Cannot Find SYMETRYML id[none] for Customer id [bob]")


async def test_a_selection_that_is_sent_twice_is_one_version(learned: Customer) -> None:
    sent = [
        await learned.call(
            "POST",
            "projects/s/autoSelect",
            named(),
            query="modelid=once",
            headers={"Idempotency-Key": "select"},
        )
        for _ in range(2)
    ]
    assert {(await learned.job(told)).status for told in sent} == {200}
    told = await learned.get("projects/s/models/once/versions")
    assert told.values["modelVersions"]["current"] == 1
