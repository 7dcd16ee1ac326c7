"""What changes projects, over the signed API."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from tests.integration.symetry.customer import Customer, Told
from tests.integration.symetry.loans import ROWS, count, info, loans

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_frozen_project_refuses_changes_and_answers_questions(ann: Customer) -> None:
    await loans(ann, "cold")
    for _ in range(2):
        assert (await ann.get("projects/cold/freeze")).status == 200
    for verb in ("learn", "forget"):
        told = await ann.post(f"projects/cold/{verb}", {"attributeNames": ["x"], "data": [["1"]]})
        assert (told.status, told.text) == (400, "Project [cold] is frozen")
    await loans(ann, "warm")
    told = await ann.get("projects/cold/merge", "otherProjectName=warm")
    assert (told.status, told.text) == (400, "Project [cold] is frozen")
    assert (await info(ann, "cold"))["params"]["sml_project_is_freeze"] == "true"
    assert await count(ann, "cold") == 3
    assert (await ann.get("projects/cold/unfreeze")).status == 200
    assert (await ann.learn("cold", "amount", "C", [["1"]])).status == 200


async def test_what_is_forgotten_was_never_there(ann: Customer) -> None:
    await loans(ann, "forgetful")
    frame = {"attributeNames": ["amount", "late", "region"], "data": ROWS}
    told = await ann.post("projects/forgetful/forget", frame)
    assert told.status == 200, told.body
    assert await count(ann, "forgetful") == 0
    told = await ann.post("projects/forgetful/forget", frame)
    assert told.status == 400
    assert await count(ann, "forgetful") == 0


async def test_two_projects_are_merged_and_the_other_stays(ann: Customer) -> None:
    await loans(ann, "left")
    await loans(ann, "right")
    assert (await ann.get("projects/left/merge", "otherProjectName=right")).status == 200
    assert [await count(ann, pid) for pid in ("left", "right")] == [6, 3]
    told = await ann.get("projects/left/merge", "otherProjectName=left")
    assert told.status == 400
    assert (await ann.get("projects/left/merge")).text == "Missing parameter [otherProjectName]"
    await ann.create("conflicting")
    await ann.learn("conflicting", "amount", "T", [["a"]])
    await ann.learn("conflicting", "region$north", "C", [["7"]])
    told = await ann.get("projects/left/merge", "otherProjectName=conflicting")
    assert await count(ann, "left") == 6 if told.status == 400 else 7


async def test_a_merge_under_the_same_key_counts_once(ann: Customer) -> None:
    for pid in ("sum", "part", "another"):
        await loans(ann, pid)
    key = {"Idempotency-Key": "merge-1"}
    for _ in range(2):
        told = await ann.call(
            "GET", "projects/sum/merge", query="otherProjectName=part", headers=key
        )
        assert told.status == 200, told.body
        # Whatever the other one has learned since: it is the same merge.
        await ann.learn("part", "late", "B", [["1"]])
    assert await count(ann, "sum") == 6
    told = await ann.call(
        "GET", "projects/sum/merge", query="otherProjectName=another", headers=key
    )
    assert told.status == 422
    assert await count(ann, "sum") == 6


async def test_an_export_is_imported_under_another_name(ann: Customer, bob: Customer) -> None:
    await loans(ann, "exported", "enableHistogram=true")
    exported = await ann.get("projects/exported/export")
    assert exported.status == 200
    assert exported.headers["content-type"].startswith("text/plain")
    for body in (exported.body, msgspec.json.encode(exported.body.decode())):
        told = await bob.post("projects/imported/import", body)
        assert told.status == 200, told.body
        assert await count(bob, "imported") == 3
        assert (await info(bob, "imported"))["histogramEnabled"] is True
        told = await bob.post("projects/imported/import", body)
        assert told.status == 409
        assert (await bob.call("DELETE", "projects/imported")).status == 200
    for broken in (
        b"",
        b"x",
        exported.body[:-8],
        exported.body[:40] + b"AAAA" + exported.body[44:],
    ):
        told = await bob.post("projects/imported/import", broken)
        assert told.status == 400, (broken[:10], told.body)
    assert (await bob.get("projects/imported/info")).status == 400


async def test_histograms_are_switched(ann: Customer) -> None:
    await loans(ann, "counted")
    question = {
        "values": [{"inputAttributes": ["0"], "extraParameters": {"hist_bins": "2"}}],
    }
    told = await ann.post("projects/counted/densityEstimate", question)
    assert (told.status, told.text) == (400, "Histogram is not enabled for project [counted]")
    assert (await ann.post("projects/counted/histogramEnable", b"", "enable=true")).status == 200
    assert (await info(ann, "counted"))["histogramEnabled"] is True
    told = await ann.post("projects/nothing/histogramEnable", b"", "enable=true")
    assert told.text == "Customer[ann] does not have Project with id[nothing], "
    told = await ann.post("projects/counted/histogramEnable")
    assert told.text == "Missing parameter [enable]"


async def test_what_was_not_saved_is_gone_after_an_unload(ann: Customer) -> None:
    await loans(ann, "careless", sml_project_autosave="false")
    assert (await ann.get("projects/careless/save")).status == 200
    await ann.learn("careless", "amount late region", "CBT", ROWS)
    assert await count(ann, "careless") == 6
    assert (await ann.get("projects/careless/unload")).status == 200
    assert await count(ann, "careless") == 3


async def test_the_same_key_counts_once_and_with_other_rows_is_refused(ann: Customer) -> None:
    await ann.create("once")
    body = {"attributeNames": ["late"], "attributeTypes": ["B"], "data": [["1"]]}
    key = {"Idempotency-Key": "row-1"}
    for _ in range(3):
        told = await ann.call("POST", "projects/once/learn", body, headers=key)
        assert told.status == 200, told.body
    assert await count(ann, "once") == 1
    other = {**body, "data": [["0"]]}
    told = await ann.call("POST", "projects/once/learn", other, headers=key)
    assert (told.status, told.json["statusCode"]) == (422, "UNPROCESSABLE_ENTITY")
    for wrong in ("", "two words", "x" * 201):
        told = await ann.call(
            "POST", "projects/once/learn", body, headers={"Idempotency-Key": wrong}
        )
        assert told.status == 400, wrong
    assert await count(ann, "once") == 1


async def test_learners_at_the_same_time_are_all_counted(ann: Customer) -> None:
    await ann.create("crowd")

    async def learn(number: int) -> Told:
        return await ann.learn("crowd", "late amount", "BC", [["1", str(number)]] * 3)

    answers = await asyncio.gather(*(learn(number) for number in range(20)))
    assert {told.status for told in answers} == {200}
    assert await count(ann, "crowd") == 60
