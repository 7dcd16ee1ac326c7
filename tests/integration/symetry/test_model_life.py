"""Models are built, replaced, refused, exported and deleted over the signed API."""

from __future__ import annotations

import asyncio

import pytest
import pytest_asyncio

from tests.integration.symetry import iris
from tests.integration.symetry.customer import Customer
from tests.integration.symetry.modelling import (
    PL,
    PW,
    SL,
    SW,
    X4,
    build,
    built,
    info,
    predict,
    rows,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def learned(ann: Customer) -> Customer:
    assert (await ann.create("m")).status == 201
    assert (await ann.post("projects/m/learn", iris.frame())).status == 200
    return ann


async def test_the_version_that_answered_is_named_and_a_rebuild_replaces_it_at_once(
    learned: Customer,
) -> None:
    await built(learned, "again", "mlr", SL, [SW])
    first = await learned.post("projects/m/predict/again", rows(0))
    assert first.headers["X-Model-Version"] == "1"
    await built(learned, "again", "lda", "Iris_setosa", X4)
    second = await learned.post("projects/m/predict/again", rows(0))
    assert second.headers["X-Model-Version"] == "2"
    assert second.values["KSVSMap"]["values"][0]["res"] == "1"
    told = await learned.get("projects/m/models/again/versions")
    versions = told.values["modelVersions"]
    assert (versions["current"], versions["previous"]) == (2, 1)
    assert [one["modelType"] for one in versions["values"]] == ["mlr", "lda"]
    back = await learned.post("projects/m/models/again/rollback", b"", "to=1")
    assert back.values["modelVersions"]["current"] == 1
    third = await learned.post("projects/m/predict/again", rows(0))
    assert (third.headers["X-Model-Version"], third.body) == ("1", first.body)


async def test_a_build_that_fails_says_why_and_leaves_the_old_model(learned: Customer) -> None:
    await built(learned, "keeps", "mlr", SL, [SW])
    every = iris.frame()["attributeNames"]
    body = {"targetAttributeNames": [SL], "inputAttributeNames": every}
    told = await build(learned, "keeps", "mlr", body)
    assert told.status == 500, told.body
    assert "linear combination" in told.text or "singular" in told.text
    answered = await learned.post("projects/m/predict/keeps", rows(0))
    assert answered.headers["X-Model-Version"] == "1"
    told = await build(learned, "keeps", "mlr", body, "&svdreduce=true")
    assert told.status == 200, told.body
    found = await info(learned, "keeps")
    assert any(key.startswith("dropped_") for key in found["info"])


async def test_models_are_told_of_with_the_project_and_can_be_deleted(ann: Customer) -> None:
    assert (await ann.create("gone")).status == 201
    assert (await ann.post("projects/gone/learn", iris.frame())).status == 200
    body = {"targets": ["0"], "inputAttributes": ["1", "2"]}
    for model, algo in (("b", "mlr"), ("a", "ridge")):
        assert (await build(ann, model, algo, body, pid="gone")).status == 200
    told = await ann.get("projects/gone/info")
    assert told.values["smlInfo"]["modelsList"] == ["a", "b"]
    assert told.values["smlInfo"]["modelTypeList"] == ["ridge", "mlr"]
    told = await ann.call("DELETE", "projects/gone/models/a")
    assert (told.status, told.text, told.values) == (200, "OK", {})
    for method, path in (
        ("GET", "projects/gone/models/a"),
        ("DELETE", "projects/gone/models/a"),
        ("GET", "projects/gone/models/a/versions"),
        ("POST", "projects/gone/predict/a"),
    ):
        told = await ann.call(method, path, b"{}" if method == "POST" else b"")
        assert (told.status, told.text) == (
            500,
            "Generic Exception <Error no such model <a>>",
        ), (method, path)
    assert (await build(ann, "a", "mlr", body, pid="gone")).status == 200
    answered = await ann.post("projects/gone/predict/a", rows(0))
    assert answered.headers["X-Model-Version"] == "2"  # not a number of its former self


@pytest.mark.parametrize(
    ("query", "body", "text"),
    [
        ("algo=mlr", {}, "Missing parameter [modelid]"),
        ("modelid=x", {}, "Missing parameter [algo]"),
        ("modelid=x&algo=", {}, "Missing parameter [algo]"),
        ("modelid=a%2Fb&algo=mlr", {}, "Invalid model id [a/b]: it has 1 to 128 letters, digits"),
        ("modelid=..&algo=mlr", {}, "Invalid model id [..]"),
        ("modelid=x&algo=magic", {}, "[magic]"),
        (
            "modelid=x&algo=plsq",
            {"targets": ["0"], "inputAttributes": ["1", "2"], "extraParameters": {"q": 3}},
            "q: 3 is not a whole number from 1 to 2",
        ),
        ("modelid=x&algo=rf_classifier", {}, "[rf_classifier]"),
        ("modelid=x&algo=mlr", {"inputAttributes": ["1"]}, "targets"),
        ("modelid=x&algo=mlr", {"targets": ["0"]}, "inputAttributes"),
        ("modelid=x&algo=mlr", {"targets": ["0"], "inputAttributes": ["99"]}, "[99]"),
        (
            "modelid=x&algo=mlr",
            {"targetAttributeNames": ["nowhere"], "inputAttributes": ["1"]},
            "[nowhere]",
        ),
        ("modelid=x&algo=lsvm", {"targets": ["0"], "inputAttributes": ["1"]}, SL),
        (
            "modelid=x&algo=ridge",
            {"targets": [0], "inputAttributes": [1], "extraParameters": {"lambda": "much"}},
            "lambda",
        ),
        ("modelid=x&algo=mqda", {"inputAttributes": ["1"]}, "partition"),
        ("modelid=x&algo=mlr&svdreduce=perhaps", {}, "svdreduce"),
    ],
)
async def test_what_no_statistics_allow_is_refused_before_there_is_a_job(
    learned: Customer, query: str, body: object, text: str
) -> None:
    told = await learned.post("projects/m/build", body, query)
    assert told.status == 400, told.body
    assert text in told.text
    assert "sym-job-id" not in told.headers
    assert (await learned.get("projects/m/models/x")).status == 500


async def test_a_project_that_is_not_there_has_no_models(ann: Customer) -> None:
    text = "Cannot Find SYMETRYML id[none] for Customer id [ann]"
    for method, path, query in (
        ("POST", "projects/none/build", "modelid=x&algo=mlr"),
        ("POST", "projects/none/predict/x", ""),
        ("GET", "projects/none/models/x", ""),
        ("DELETE", "projects/none/models/x", ""),
    ):
        told = await ann.call(method, path, b"{}" if method == "POST" else b"", query=query)
        assert (told.status, told.text) == (400, text), path


async def test_a_build_that_is_sent_twice_is_one_version(learned: Customer) -> None:
    body = {"targets": ["0"], "inputAttributes": ["1"]}
    query = "modelid=twice&algo=mlr"
    sent = [
        await learned.call(
            "POST", "projects/m/build", body, query=query, headers={"Idempotency-Key": "twice"}
        )
        for _ in range(2)
    ]
    assert {(await learned.job(told)).status for told in sent} == {200}
    told = await learned.get("projects/m/models/twice/versions")
    assert told.values["modelVersions"]["current"] == 1
    other = await learned.call(
        "POST",
        "projects/m/build",
        {**body, "targets": ["2"]},
        query=query,
        headers={"Idempotency-Key": "twice"},
    )
    assert other.status == 422, other.body


async def test_predictions_go_on_while_models_are_built(learned: Customer) -> None:
    await built(learned, "busy", "mlr", SL, [SW])
    body = {"targets": ["0"], "inputAttributes": ["1"]}

    async def rebuild() -> None:
        for _ in range(5):
            assert (await build(learned, "busy", "mlr", body)).status == 200

    async def ask() -> list[int]:
        found = []
        for _ in range(20):
            told = await learned.post("projects/m/predict/busy", rows(0))
            assert told.status == 200, told.body
            found.append(int(told.headers["X-Model-Version"]))
        return found

    _, versions = await asyncio.gather(rebuild(), ask())
    assert versions == sorted(versions)


async def test_a_model_that_was_exported_answers_the_same_elsewhere(
    learned: Customer, bob: Customer
) -> None:
    await built(learned, "kept", "mlr", SL, [SW, PL, PW])
    expected = await predict(learned, "kept", rows(0, 1))
    told = await learned.get("projects/m/model/export", "modelid=kept")
    assert told.status == 200, told.body
    text = told.values["string"]
    assert (await bob.create("empty")).status == 201
    for number, (path, body) in enumerate(
        [("import", text.encode()), ("export", text), ("import", text)], 1
    ):
        told = await bob.post(f"projects/empty/model/{path}", body, "modelid=theirs")
        assert told.status == 200, told.body
        told = await bob.post("projects/empty/predict/theirs", rows(0, 1))
        assert told.headers["X-Model-Version"] == str(number)
        assert told.values["KSVSMap"]["values"] == expected
    for wrong in (b"", b"bm9uc2Vuc2U=", text[:-8].encode(), b'"', b"[1]"):
        told = await bob.post("projects/empty/model/import", wrong, "modelid=theirs")
        assert told.status == 400, (wrong, told.body)
    project = await learned.get("projects/m/export")
    told = await bob.post("projects/empty/model/import", project.body, "modelid=theirs")
    assert told.status == 400, told.body


async def test_rows_are_answered_and_learned_in_one_call(ann: Customer) -> None:
    assert (await ann.create("stream")).status == 201
    first = {**iris.frame(), "data": iris.frame()["data"][:100]}
    assert (await ann.post("projects/stream/learn", first)).status == 200
    body = {"targets": ["0"], "inputAttributes": ["1", "2", "3"]}
    assert (await build(ann, "s", "mlr", body, pid="stream")).status == 200
    rest = {**iris.frame(), "data": iris.frame()["data"][100:]}
    plain = await ann.post("projects/stream/predict/s", rest)
    query = f"keepColumns={SL}&predictBeforeLearn=true&rebuildModel=true"
    for _ in range(2):
        told = await ann.call(
            "POST",
            "projects/stream/learnpredict/s",
            rest,
            query=query,
            headers={"Idempotency-Key": "once"},
        )
        assert told.status == 200, told.body
    versions = await ann.get("projects/stream/models/s/versions")
    told_of = versions.values["modelVersions"]
    assert (told_of["current"], told_of["values"][-1]["learned"]) == (2, 150.0)
    again = await ann.post("projects/stream/predict/s", rest)
    assert told.headers["X-Model-Version"] == "2"  # sent again, it was answered by the newer one
    answers = told.values["KSVSMap"]["values"]
    assert [row["res"] for row in answers] == [
        row["res"] for row in again.values["KSVSMap"]["values"]
    ]
    assert again.body != plain.body
    assert [row[SL] for row in answers] == [row[0] for row in rest["data"]]
    odd = {"attributeNames": [SW, SL], "attributeTypes": ["C", "C"], "data": [["setosa", "5"]]}
    told = await ann.post("projects/stream/learnpredict/s", odd)
    assert told.status == 200, told.body
    told = await ann.post("projects/stream/learnpredict/none", odd)
    assert told.status == 400
    assert "no such model <none>" in told.text
    assert (await ann.get("projects/stream/freeze")).status == 200
    told = await ann.post("projects/stream/learnpredict/s", odd)
    assert (told.status, told.text) == (400, "Project [stream] is frozen")
