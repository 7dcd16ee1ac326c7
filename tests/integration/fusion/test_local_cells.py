"""Fusion projects whose cells are on the same server."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tally.wire.bodycrypt import decrypt
from tally.wire.secret_key import SecretKey
from tests.integration.fusion.servers import (
    NAMES,
    asked,
    built,
    cell,
    coefficients,
    customer,
    explored,
    fetch_error,
    fuse,
    info,
    learn,
    sealed,
    server,
    statuses,
    third,
)
from tests.integration.symetry.customer import Customer
from tests.system.broker.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

SL, *OTHERS = NAMES


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    async with server(tmp_path_factory.mktemp("fusion")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ann(service: Service) -> Customer:
    made = await customer(service, "ann")
    for number in range(3):
        await learn(made, f"third{number}", third(number))
    return made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def thirds(ann: Customer) -> str:
    told = await fuse(ann, "thirds", *(cell(ann, f"third{n}") for n in range(3)))
    assert (told.status, told.text) == (201, "SYMETRYML Created with id:thirds")
    return "thirds"


async def test_three_thirds_are_explored_like_the_whole(ann: Customer, thirds: str) -> None:
    await learn(ann, "whole", {**third(0), "data": [r for n in range(3) for r in third(n)["data"]]})
    for name in NAMES:
        expected = await explored(ann, "whole", name)
        assert await explored(ann, thirds, name) == pytest.approx(expected, rel=1e-9)
        assert expected["count"] == 150


async def test_a_regression_over_three_thirds_is_that_of_the_reference(
    ann: Customer, thirds: str
) -> None:
    model = await built(ann, thirds, "m", "mlr", SL, *OTHERS)
    expected = [0.6548642427853542, 0.7110629145526262, -0.5625678605519066, 1.8450608032166143]
    assert coefficients(model) == pytest.approx(expected, rel=1e-9)
    told = model["info"]
    assert float(told["learned"]) == 150
    # Whoever has the model knows what it stands on.
    leaves = [told[f"source_{n}"].split() for n in range(3)]
    assert len({source for source, _, _ in leaves}) == 3
    assert [rows for _, _, rows in leaves] == ["50"] * 3
    assert [one["pid"] for one in json.loads(told["fusion_cells"])] == [
        "third0",
        "third1",
        "third2",
    ]


async def test_a_model_of_a_fusion_answers_rows(ann: Customer, thirds: str) -> None:
    await built(ann, thirds, "answers", "mlr", SL, *OTHERS)
    rows = {"attributeNames": OTHERS, "data": [["3.5", "1.4", "0.2"]]}
    told = await ann.post(f"projects/{thirds}/predict/answers", rows)
    (found,) = told.values["KSVSMap"]["values"]
    assert float(found["res"]) == pytest.approx(5.020060161228644, rel=1e-9)


async def test_what_a_cell_learns_is_seen(ann: Customer) -> None:
    await learn(ann, "grows", third(0))
    assert (await fuse(ann, "growing", cell(ann, "grows"))).status == 201
    assert (await explored(ann, "growing"))["count"] == 50
    one = {**third(1), "data": third(1)["data"][:1]}
    assert (await ann.post("projects/grows/learn", one)).status == 200
    assert (await explored(ann, "growing"))["count"] == 51


async def test_an_answer_says_what_it_stands_on(ann: Customer, thirds: str) -> None:
    told = await info(ann, thirds)
    assert told["type"] == "fusion"
    assert told["attributeNames"] == list(NAMES)
    assert told["params"]["fusion_fetch_error"] == ""
    cells = json.loads(told["params"]["fusion_cells"])
    assert [(one["cid"], one["pid"], one["rows"]) for one in cells] == [
        ("ann", f"third{n}", 50) for n in range(3)
    ]
    assert all(one["version"] and one["ageMs"] < 60_000 and one["fetchedAt"] for one in cells)
    with_info = (await asked(ann, thirds)).values["smlInfo"]
    assert json.loads(with_info["params"]["fusion_cells"])[0]["pid"] == "third0"


async def test_only_its_customer_can_read_the_list_of_cells(ann: Customer, thirds: str) -> None:
    told = await info(ann, thirds)
    assert told["fusionCellInfo"] == told["fusionCellInfoList"]
    cells = json.loads(decrypt(ann.key, told["fusionCellInfo"].encode()))["values"]
    assert [one["pid"] for one in cells] == ["third0", "third1", "third2"]
    assert {one["sk"] for one in cells} == {ann.key.text}
    assert ann.key.text not in json.dumps(told)


async def test_cells_say_how_they_are_in_the_order_asked(ann: Customer, thirds: str) -> None:
    stored = await statuses(ann, thirds)
    assert [(one.pid, one.rows, one.attributes) for one in stored] == [
        (f"third{n}", 50, 4) for n in range(3)
    ]
    assert {one.status for one in stored} <= {"OK", "NOT_MODIFIED"}
    asked_ = [cell(ann, "third2"), cell(ann, "nothing"), cell(ann, "third0")]
    for pid in (thirds, ""):
        found = await statuses(ann, pid, *asked_)
        assert [one.pid for one in found] == ["third2", "nothing", "third0"]
        assert found[1].status == "NO_SUCH_PROJECT"
        assert found[2].status in ("OK", "NOT_MODIFIED")
    assert [one.pid for one in await statuses(ann, thirds)] == ["third0", "third1", "third2"]


async def test_the_list_of_cells_is_replaced_at_once(ann: Customer) -> None:
    assert (await fuse(ann, "members", cell(ann, "third0"))).status == 201
    other = sealed(ann, [cell(ann, "third0"), cell(ann, "third1")])
    told = await ann.post("projects/fusion/members/updateCellsInfo", other)
    assert told.status == 200, told.body
    assert (await explored(ann, "members"))["count"] == 100
    fewer = sealed(ann, [cell(ann, "third1")])
    assert (await ann.post("projects/fusion/members/updateCellsInfo", fewer)).status == 200
    assert (await explored(ann, "members"))["count"] == 50


async def test_the_same_list_sent_again_counts_once(ann: Customer) -> None:
    assert (await fuse(ann, "again", cell(ann, "third0"))).status == 201
    key = {"Idempotency-Key": "one"}
    path = "projects/fusion/again/updateCellsInfo"
    for expected, pid in ((200, "third1"), (200, "third1"), (422, "third2")):
        told = await ann.call("POST", path, sealed(ann, [cell(ann, pid)]), headers=key)
        assert told.status == expected, told.body


async def test_a_cell_of_another_customer_needs_that_customers_key(
    service: Service, ann: Customer
) -> None:
    bob = await customer(service, "bob")
    told = await fuse(bob, "mine", cell(ann, "third0"))
    assert told.status == 201, told.body
    assert (await explored(bob, "mine"))["count"] == 50
    told = await fuse(bob, "stolen", cell(ann, "third0", key=SecretKey.generate()))
    assert told.status == 201, told.body
    assert (await statuses(bob, "stolen"))[0].status == "UNAUTHORIZED"
    told = await asked(bob, "stolen")
    assert told.status == 400
    assert told.text == "Fusion project [stolen] has no data: cell[local ann/third0] UNAUTHORIZED"


async def test_no_key_is_told_or_logged(ann: Customer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = SecretKey.generate()
    told = await fuse(ann, "secret", cell(ann, "third0"), cell(ann, "third1", key=wrong))
    shown = [told.body]
    shown += [(await ann.get("projects/secret/info")).body, (await asked(ann, "secret")).body]
    shown += [(await ann.post("projects/fusion/secret/cellsStatus")).body]
    shown += [str(await statuses(ann, "secret")).encode(), caplog.text.encode()]
    for text in shown:
        assert wrong.text.encode() not in text
        assert ann.key.text.encode() not in text


@pytest.mark.parametrize("letter", ["S", "T"])
async def test_a_cell_that_means_something_else_by_a_name_does_not_count(
    ann: Customer, letter: str
) -> None:
    await learn(ann, f"odd{letter}", third(1) | {"attributeTypes": ["C", letter, "C", "C"]})
    cells = [cell(ann, "third0"), cell(ann, f"odd{letter}")]
    assert (await fuse(ann, f"mixed{letter}", *cells)).status == 201
    assert (await explored(ann, f"mixed{letter}"))["count"] == 50
    assert await fetch_error(ann, f"mixed{letter}") == (
        f"cell[local ann/odd{letter}] INCOMPATIBLE_SCHEMA: "
        f"attribute [sepal_width] is {letter}, expected C"
    )


async def test_an_attribute_that_a_cell_lacks_is_missing_in_its_rows(ann: Customer) -> None:
    short = third(2)
    short = {
        "attributeNames": short["attributeNames"][:3],
        "attributeTypes": short["attributeTypes"][:3],
        "data": [row[:3] for row in short["data"]],
    }
    await learn(ann, "short", short)
    cells = [cell(ann, "third0"), cell(ann, "third1"), cell(ann, "short")]
    assert (await fuse(ann, "uneven", *cells)).status == 201
    assert (await explored(ann, "uneven", "petal_width"))["count"] == 100
    assert (await explored(ann, "uneven", "petal_length"))["count"] == 150


async def test_the_same_rows_count_once_by_whatever_way_they_come(ann: Customer) -> None:
    for pid in ("b", "c"):
        assert (await fuse(ann, pid, cell(ann, "third0"))).status == 201
    assert (await fuse(ann, "a", cell(ann, "b"), cell(ann, "c"))).status == 201
    assert (await explored(ann, "a"))["count"] == 50
    assert (await fetch_error(ann, "a")).startswith("cell[local ann/c] DUPLICATE_SOURCE")


async def test_a_fusion_of_fusions_adds_their_rows(ann: Customer, thirds: str) -> None:
    assert (await fuse(ann, "lower", cell(ann, "third0"), cell(ann, "third1"))).status == 201
    assert (await fuse(ann, "upper", cell(ann, "lower"), cell(ann, "third2"))).status == 201
    assert (await explored(ann, "upper"))["count"] == 150
    # A sum of sums differs from the sum of all in the last bits.
    assert await explored(ann, "upper") == pytest.approx(await explored(ann, thirds), rel=1e-12)


async def test_a_circle_is_refused(ann: Customer) -> None:
    told = await fuse(ann, "self", cell(ann, "self"))
    assert told.status == 400
    assert told.text == "Fusion cycle detected: ann/self -> ann/self"
    assert (await fuse(ann, "x", cell(ann, "y"))).status == 201  # there is no y yet
    told = await fuse(ann, "y", cell(ann, "x"))
    assert (told.status, told.text) == (400, "Fusion cycle detected: ann/y -> ann/x -> ann/y")
    assert "y" not in (await ann.get("projects/list")).values["stringList"]["values"]
    assert (await fuse(ann, "y", cell(ann, "third0"))).status == 201
    body = sealed(ann, [cell(ann, "x")])
    told = await ann.post("projects/fusion/y/updateCellsInfo", body)
    assert told.status == 400
    assert (await explored(ann, "y"))["count"] == 50


@pytest.mark.parametrize(
    ("method", "path", "verb"),
    [
        ("POST", "learn", "learn"),
        ("POST", "forget", "forget"),
        ("POST", "learnpredict/m", "learnpredict"),
        ("GET", "getDsLog", "getDsLog"),
        ("GET", "getLFStats", "getLFStats"),
        ("GET", "export", "export"),
        ("POST", "import", "import"),
        ("GET", "merge?otherProjectName=third0", "merge"),
    ],
)
async def test_what_needs_rows_is_refused(
    ann: Customer, thirds: str, method: str, path: str, verb: str
) -> None:
    where, _, query = path.partition("?")
    body = third(0) if method == "POST" else b""
    told = await ann.call(method, f"projects/{thirds}/{where}", body, query=query)
    assert told.status == 400, told.body
    assert told.text == f"Operation [{verb}] is not available on a Fusion project"


async def test_another_project_is_no_fusion(ann: Customer) -> None:
    told = await ann.post("projects/fusion/third0/cellsStatus")
    assert (told.status, told.text) == (400, "Project [third0] is not a fusion project")
    body = sealed(ann, [cell(ann, "third1")])
    told = await ann.post("projects/fusion/third0/updateCellsInfo", body)
    assert (told.status, told.text) == (400, "Project [third0] is not a fusion project")
    told = await ann.post("projects/fusion/nothing/cellsStatus")
    assert told.text == "Cannot Find SYMETRYML id[nothing] for Customer id [ann]"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "Cannot decrypt request body"),
        (b"bm90IGVuY3J5cHRlZA==", "Cannot decrypt request body"),
        ([], "values: a fusion project needs at least one cell"),
        ([{"cid": "ann", "pid": "p"}], "Missing required key [sk]"),
        (["third0", "third0"], "values: cell[local ann/third0] stands there twice"),
    ],
    ids=["empty", "garbage", "no-cell", "no-key", "twice"],
)
async def test_a_list_that_cannot_be_used_makes_nothing(
    ann: Customer, body: bytes | list[Any], text: str
) -> None:
    if isinstance(body, list):
        cells = [cell(ann, one) if isinstance(one, str) else one for one in body]
        body = sealed(ann, cells)
    told = await ann.post("projects/fusion/create", body, "pid=unusable")
    assert (told.status, told.text) == (400, text)
    assert "unusable" not in (await ann.get("projects/list")).values["stringList"]["values"]


async def test_a_name_that_is_taken_or_reserved_is_refused(ann: Customer, thirds: str) -> None:
    told = await fuse(ann, thirds, cell(ann, "third0"))
    assert (told.status, told.text[:12]) == (409, "Customer [an")
    told = await fuse(ann, "fusion", cell(ann, "third0"))
    assert (told.status, told.text) == (400, "Invalid project id [fusion]")


async def test_a_fusion_is_the_source_of_a_merge(ann: Customer, thirds: str) -> None:
    assert (await ann.create("sum")).status == 201
    assert (await ann.get("projects/sum/merge", f"otherProjectName={thirds}")).status == 200
    assert (await explored(ann, "sum"))["count"] == 150


async def test_a_frozen_fusion_answers_from_what_it_has(ann: Customer) -> None:
    await learn(ann, "still", third(0))
    assert (await fuse(ann, "ice", cell(ann, "still"))).status == 201
    assert (await ann.get("projects/ice/freeze")).status == 200
    assert (await ann.post("projects/still/learn", third(1))).status == 200
    assert (await explored(ann, "ice"))["count"] == 50
    assert (await ann.get("projects/ice/unfreeze")).status == 200
    assert (await explored(ann, "ice"))["count"] == 100


async def test_histograms_are_those_of_the_cells(ann: Customer) -> None:
    for number in range(2):
        await learn(ann, f"counted{number}", third(number), "enableHistogram=true")
    assert (await fuse(ann, "counts", cell(ann, "counted0"), cell(ann, "counted1"))).status == 201
    asked_ = {"inputAttributeNames": [SL], "extraParameters": {"hist_bins": "10"}}
    body = {"values": [asked_]}
    told = await ann.post("projects/counts/densityEstimate", body)
    assert told.status == 200, told.body
    assert sum(told.values["densityList"]["values"][0]["histogram"]) == 100
    assert (await ann.post("projects/counts/histogramEnable", b"", "enable=false")).status == 200
    told = await ann.post("projects/counts/densityEstimate", body)
    assert told.text == "Histogram is not enabled for project [counts]"
    assert (await ann.post("projects/counts/histogramEnable", b"", "enable=true")).status == 200
    assert (await ann.post("projects/counts/densityEstimate", body)).status == 200


@pytest.mark.parametrize("persist", ["true", "false"])
async def test_a_fusion_is_renamed_saved_and_deleted_like_any_project(
    ann: Customer, persist: str
) -> None:
    told = await fuse(ann, "life", cell(ann, "third0"), query=f"persist={persist}")
    assert told.status == 201, told.body
    assert (await ann.get("projects/life/rename", "newName=lives")).status == 201
    assert (await explored(ann, "lives"))["count"] == 50
    assert (await info(ann, "lives"))["persisted"] is (persist == "true")
    assert (await ann.get("projects/lives/save")).status == 200
    assert (await ann.get("projects/lives/unload")).status == 200
    assert (await explored(ann, "lives"))["count"] == 50
    assert (await ann.call("DELETE", "projects/lives")).status == 200
    assert (await asked(ann, "lives")).status == 400


async def test_all_projects_are_told_without_asking_a_cell(ann: Customer, thirds: str) -> None:
    told = await ann.get("projects/info", "async=false")
    found = {one["pid"]: one for one in told.values["smlInfoList"]["values"]}
    assert found[thirds]["type"] == "fusion"
    assert "fusion_cells" in found[thirds]["params"]
    assert json.loads(decrypt(ann.key, found[thirds]["fusionCellInfoList"].encode()))["values"]


async def test_twenty_who_ask_at_once_are_all_answered(ann: Customer, thirds: str) -> None:
    found = await asyncio.gather(*(explored(ann, thirds) for _ in range(20)))
    assert [one["count"] for one in found] == [150] * 20
