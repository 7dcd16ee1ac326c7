"""Rows that come in other ways, and jobs, over the signed API."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime

import msgspec
import pytest

from tally.wire.signing import format_date
from tally.wire.socket_frames import build_frame
from tests.integration.symetry.customer import Customer
from tests.integration.symetry.loans import count, loans

pytestmark = pytest.mark.asyncio(loop_scope="module")


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
