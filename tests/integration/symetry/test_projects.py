from __future__ import annotations

import pytest

from tests.integration.symetry.customer import Customer
from tests.integration.symetry.loans import ROWS, count, info, loans

pytestmark = pytest.mark.asyncio(loop_scope="module")


NAMES = ["amount", "late", "region$north", "region$south"]


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
