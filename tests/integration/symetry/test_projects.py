from __future__ import annotations

import asyncio
import gzip
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from tally.wire.signing import format_date
from tally.wire.socket_frames import build_frame
from tests.integration.symetry.customer import Customer, Told

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROWS = [["1200.5", "0", " North "], ["300", "1", "south"], ["", "0", "north"]]
NAMES = ["amount", "late", "region$north", "region$south"]


async def loans(customer: Customer, pid: str, query: str = "", **params: str) -> None:
    told = await customer.create(pid, query, **params)
    assert told.status == 201, told.body
    told = await customer.learn(pid, "amount late region", "CBT", ROWS)
    assert told.status == 200, told.body


async def info(customer: Customer, pid: str) -> dict[str, Any]:
    told = await customer.get(f"projects/{pid}/info")
    assert told.status == 200, told.body
    return dict(told.values["smlInfo"])


async def count(customer: Customer, pid: str, attribute: str = "late") -> float:
    body = {"values": [{"inputAttributeNames": [attribute]}]}
    told = await customer.post(f"projects/{pid}/explore", body, "metric=uni")
    assert told.status == 200, told.body
    return float(told.values["KSVDMap"]["values"][0]["count"])


async def test_a_project_is_created_learned_and_told_of(ann: Customer) -> None:
    told = await ann.create(
        "loans24",
        "type=CPU&persist=true&enableHistogram=true",
        sml_project_predicate_row_filter="amount>0;region!=test",
        rf_trees="10",
    )
    assert (told.status, told.json["statusCode"]) == (201, "CREATED")
    assert told.text == "Project Created with id:loans24"
    told = await ann.learn("loans24", "amount late region", "CBT", ROWS)
    assert told.json == {"statusCode": "OK", "statusString": "OK", "values": {}}
    found = await info(ann, "loans24")
    assert found["attributeNames"] == NAMES
    assert found["attributeTypes"] == ["C", "B", "B", "B"]
    assert found["type"] == "cpu"
    assert found["histogramEnabled"] is True
    assert found["params"]["rf_trees"] == "10"
    assert await count(ann, "loans24") == 2  # the row without an amount fails the filter


async def test_a_name_that_is_taken_is_a_conflict(ann: Customer, bob: Customer) -> None:
    await ann.create("taken")
    told = await ann.create("taken")
    assert (told.status, told.json["statusCode"]) == (409, "CONFLICT")
    assert told.text == "Customer [ann] already have SYMETRYML with id[taken], "
    # It is free for everybody else.
    assert (await bob.create("taken")).status == 201


@pytest.mark.parametrize(
    ("query", "params", "text"),
    [
        ("", {}, "Missing parameter [pid]"),
        ("pid=", {}, "Missing parameter [pid]"),
        ("pid=a%20b", {}, "Invalid project id [a b]"),
        ("pid=list", {}, "Invalid project id [list]"),
        ("pid=p&type=federated", {}, "Unknown project type [federated]"),
        ("pid=p&type=sequence", {}, "Missing parameter [sml_project_order]"),
        ("pid=p&type=partition", {}, "Missing parameter [partitionSplit]"),
        ("pid=p&type=mgpuf", {}, "Missing parameter [mgpu_num]"),
        ("pid=p", {"cells": "4"}, "[cells] is a parameter of the query, not of the body"),
        ("pid=p&persist=maybe", {}, "Parameter [persist] is not true or false: [maybe]"),
    ],
)
async def test_a_project_that_cannot_be_is_refused(
    ann: Customer, query: str, params: dict[str, str], text: str
) -> None:
    told = await ann.post("projects", params, query)
    assert (told.status, told.text) == (400, text)


async def test_options_that_would_fill_every_commit_are_refused(ann: Customer) -> None:
    told = await ann.create("fat", note="v" * 2**16)
    assert told.status == 413, told.body
    assert "creation options" in told.text
    assert (await ann.get("projects/fat/info")).status == 400


@pytest.mark.parametrize(
    "params",
    [
        {"sml_project_rolling_window_size": "many"},
        {"sml_project_hashtrick_binsize": "0"},
        {"sml_project_autosave": "perhaps"},
        {"sml_project_predicate_row_filter": "amount>"},
        {"sml_project_predicate_row_filter": "amount>much"},
    ],
)
async def test_an_option_that_is_malformed_is_refused_by_its_name(
    ann: Customer, params: dict[str, str]
) -> None:
    told = await ann.create("malformed", **params)
    assert told.status == 400, told.body
    assert next(iter(params)) in told.text
    assert (await ann.get("projects/malformed/info")).status == 400


async def test_query_names_are_read_in_every_spelling(bob: Customer) -> None:
    assert (
        await bob.post("projects", b"", "PID=spelled&Type=cpu&EnableHistogram=TRUE")
    ).status == 201
    assert (await info(bob, "spelled"))["histogramEnabled"] is True
    told = await bob.get("projects/spelled/rename", "rename=spelled2")
    assert (told.status, told.text) == (201, "Project Created with id:spelled2")
    await loans(bob, "other")
    assert (await bob.get("projects/spelled2/merge", "otherProject=other")).status == 200
    assert (await info(bob, "spelled2"))["attributeNames"] == NAMES


async def test_projects_are_listed_and_told_of_together(bob: Customer) -> None:
    listed = (await bob.get("projects/list")).values["stringList"]["values"]
    assert listed == sorted(listed)
    started = await bob.get("projects/info")
    job = await bob.job(started)
    assert started.text == "Job Created"
    assert started.headers["Location"] == (
        f"{bob.url}/symetry/rest/bob/jobs/{started.headers['sym-job-id']}"
    )
    assert job.text == "Job is finished"
    at_once = await bob.get("projects/info", "async=false")
    for told in (job, at_once):
        assert [one["pid"] for one in told.values["smlInfoList"]["values"]] == listed


async def test_a_project_is_renamed_with_what_it_knows(ann: Customer) -> None:
    await loans(ann, "before")
    await ann.create("standing")
    told = await ann.get("projects/before/rename", "newName=standing")
    assert (told.status, told.text) == (
        409,
        "Customer [ann] already have SYMETRYML with id[standing], ",
    )
    assert (await ann.get("projects/before/rename")).text == "Missing parameter [newName]"
    told = await ann.get("projects/before/rename", "newName=dataDrift")
    assert told.text == "Invalid project id [dataDrift]"
    told = await ann.get("projects/before/rename", "newName=after")
    assert (told.status, told.text) == (201, "Project Created with id:after")
    assert (await info(ann, "after"))["pid"] == "after"
    assert await count(ann, "after") == 3
    assert (await ann.get("projects/before/info")).status == 400


async def test_a_project_is_deleted_and_shares_nothing_with_the_next_of_its_name(
    ann: Customer,
) -> None:
    await loans(ann, "gone")
    told = await ann.call("DELETE", "projects/gone")
    assert (told.status, told.text) == (
        200,
        "deleted Project with id[gone] from Customer[ann] store",
    )
    told = await ann.call("DELETE", "projects/gone")
    assert (told.status, told.text) == (400, "Customer[ann] does not have Project with id[gone], ")
    told = await ann.get("projects/gone/info")
    assert told.text == "Cannot Find SYMETRYML id[gone] for Customer id [ann]"
    await ann.create("gone")
    assert (await info(ann, "gone"))["attributeNames"] == []


async def test_another_customers_project_is_as_unknown_as_none(
    ann: Customer, bob: Customer
) -> None:
    await loans(ann, "private")
    calls: list[tuple[str, str, str]] = [
        ("GET", "info", ""),
        ("GET", "save", ""),
        ("GET", "export", ""),
        ("GET", "rename", "newName=mine"),
        ("GET", "getLFStats", ""),
        ("POST", "learn", ""),
        ("POST", "explore", "metric=uni"),
        ("POST", "vif", ""),
        ("POST", "histogramEnable", "enable=true"),
    ]
    for method, verb, query in calls:
        answers = [
            await bob.call(method, f"projects/{pid}/{verb}", b"{}", query=query)
            for pid in ("private", "nothing")
        ]
        assert {told.status for told in answers} == {400}
        assert answers[0].text == answers[1].text.replace("nothing", "private")
    await bob.create("mine")
    told = await bob.get("projects/mine/merge", "otherProjectName=private")
    assert told.text == "Cannot Find SYMETRYML id[private] for Customer id [bob]"
    drift = {
        "extraParameters": {
            "driftPreferenceProjectName": "mine",
            "driftAnalysisProjectName": "private",
            "driftMetric": "global",
        }
    }
    told = await bob.post("projects/dataDrift", drift)
    assert told.text == "Cannot Find SYMETRYML id[private] for Customer id [bob]"


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


async def test_a_learn_may_be_a_job(ann: Customer) -> None:
    await ann.create("later")
    body = {"attributeNames": ["late"], "attributeTypes": ["B"], "data": [["1"], ["0"]]}
    started = await ann.post("projects/later/learn", body, "async=true")
    job = await ann.job(started)
    assert (job.status, job.values) == (200, {})
    assert await count(ann, "later") == 2
    wrong = await ann.job(await ann.post("projects/later/learn", b"[", "async=true"))
    assert wrong.status == 500
    assert wrong.text.startswith("Invalid DataFrame: ")
    told = await ann.post("projects/later/learn", body, "async=perhaps")
    assert told.status == 400
    assert (await ann.post("projects/nothing/learn", body, "async=true")).status == 400


async def test_a_question_that_cannot_be_answered_is_no_job(ann: Customer) -> None:
    await loans(ann, "unasked")
    asked = {"values": [{"inputAttributes": ["0", "nothing"]}]}
    for verb in ("vif", "explorepca", "exploresvd", "exploresvdfs"):
        told = await ann.post(f"projects/unasked/{verb}", asked)
        assert (told.status, told.text) == (400, "Unknown attribute [nothing]")
        assert "sym-job-id" not in told.headers
    good = {"values": [{"inputAttributes": ["0", "1"]}]}
    told = await ann.post("projects/unasked/explorepca", good, "explainedCovariance=abc")
    assert (told.status, told.text) == (400, "explainedCovariance: 'abc' is not a number")
    job = await ann.job(await ann.post("projects/unasked/explorepca", good))
    assert job.status == 200


async def test_jobs_are_ones_own(ann: Customer, bob: Customer) -> None:
    await loans(ann, "jobs")
    started = await ann.post("projects/jobs/vif", {"values": [{"inputAttributes": ["0", "1"]}]})
    number = started.headers["sym-job-id"]
    assert (await ann.job(started)).status == 200
    listed = await ann.get("jobs")
    assert number in listed.values["stringList"]["values"]
    mine = next(
        job for job in listed.values["jobInfoList"]["values"] if job["jobId"] == int(number)
    )
    assert (mine["jobType"], mine["owner"], mine["isDone"]) == ("vif", "ann", True)
    for method in ("GET", "DELETE"):
        told = await bob.call(method, "jobs/999999")
        assert (told.status, told.text) == (400, "No such job")
    assert (await ann.call("DELETE", f"jobs/{number}")).status == 200
    assert (await ann.get(f"jobs/{number}")).text == "No such job"


async def test_rows_come_over_a_socket(ann: Customer) -> None:
    await ann.create("socket")
    rows = msgspec.json.encode(
        {"attributeNames": ["late"], "attributeTypes": ["B"], "data": [["1"], ["0"]]}
    )
    counts = []
    for path, messages in (("learn", 3), ("forget", 1)):
        url = f"{ann.url}/symetry/ws/{path}"
        signed = build_frame(
            ann.key,
            ann.cid,
            url.replace("http", "ws"),
            ["socket"],
            format_date(datetime.now(UTC)),
            rows,
        )
        async with ann.session.ws_connect(url) as socket:
            for message in [signed, *[rows.decode()] * (messages - 1)]:
                await socket.send_str(message)
                told = await socket.receive_json()
                assert told == {"statusCode": "OK", "statusString": "OK", "values": {}}
        counts.append(await count(ann, "socket"))
    assert counts == [6, 4]


async def test_rows_come_compressed_and_as_csv(ann: Customer) -> None:
    await ann.create("forms")
    csv = b"late,amount\n1,2.5\n0,3\n"
    told = await ann.call(
        "POST",
        "projects/forms/learn",
        csv,
        query="attributetypes=BC",
        headers={"Content-Type": "text/csv"},
    )
    assert told.status == 200, told.body
    told = await ann.call(
        "POST",
        "projects/forms/learn",
        gzip.compress(csv),
        query="attributeTypes=BC",
        headers={"Content-Type": "text/csv", "Content-Encoding": "gzip"},
    )
    assert told.status == 200, told.body
    assert await count(ann, "forms") == 4


async def test_the_log_tells_who_sent_what(ann: Customer) -> None:
    await ann.create("logged")
    body = {"attributeNames": ["late"], "attributeTypes": ["B"], "data": [["1"], ["0"]]}
    headers = {"sym-client": "notebook"}
    for _ in range(2):
        await ann.call("POST", "projects/logged/learn", body, headers=headers)
    told = await ann.get("projects/logged/getLFStats")
    (line,) = told.values["stringList"]["values"]
    entry = msgspec.json.decode(line)
    assert entry["client_id"] == "notebook"
    assert entry["client_request_count"] == "2"
    assert entry["client_request_df_attributes_numrows_total"] == "4"
    assert (await ann.get("projects/logged/getDsLog")).values == {"stringList": {"values": []}}


async def test_learners_at_the_same_time_are_all_counted(ann: Customer) -> None:
    await ann.create("crowd")

    async def learn(number: int) -> Told:
        return await ann.learn("crowd", "late amount", "BC", [["1", str(number)]] * 3)

    answers = await asyncio.gather(*(learn(number) for number in range(20)))
    assert {told.status for told in answers} == {200}
    assert await count(ann, "crowd") == 60
