"""Projects with cells, as a customer sees them: like any other project, and what they refuse."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from tally.wire.signing import format_date
from tally.wire.socket_frames import build_frame
from tests.integration.symetry.customer import Customer, Told
from tests.integration.symetry.iris import frame as iris

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def explored(customer: Customer, pid: str, *names: str) -> list[dict[str, Any]]:
    asked = {"values": [{"inputAttributeNames": [name]} for name in names]}
    told = await customer.post(f"projects/{pid}/explore", asked, "metric=uni")
    assert told.status == 200, told.body
    return list(told.values["KSVDMap"]["values"])


async def sent(
    customer: Customer, pid: str, op: str, body: object, key: str = "", query: str = ""
) -> Told:
    headers = {"Idempotency-Key": key} if key else {}
    path = f"projects/{pid}/{op}"
    return await customer.call("POST", path, body, query=query, headers=headers)


def halves(body: dict[str, Any], count: int) -> list[dict[str, Any]]:
    return [{**body, "data": body["data"][k::count]} for k in range(count)]


async def test_a_project_with_cells_answers_as_one_without(ann: Customer) -> None:
    assert (await ann.create("whole", "enableHistogram=true")).status == 201
    assert (await ann.create("split", "enableHistogram=true&cells=4")).status == 201
    rows = iris()
    for k, part in enumerate(halves(rows, 10)):
        for pid in ("whole", "split"):
            assert (await sent(ann, pid, "learn", part, f"l{k}")).status == 200
    gone = halves(rows, 15)[7]
    for pid in ("whole", "split"):
        assert (await sent(ann, pid, "forget", gone, "gone")).status == 200
    info = {
        pid: (await ann.get(f"projects/{pid}/info")).values["smlInfo"] for pid in ("whole", "split")
    }
    assert info["split"]["attributeNames"] == info["whole"]["attributeNames"]
    assert info["split"]["attributeTypes"] == info["whole"]["attributeTypes"]
    assert info["split"]["params"]["cells"] == "4"
    assert "cells" not in info["whole"]["params"]
    names = info["whole"]["attributeNames"]
    ours, theirs = await explored(ann, "split", *names), await explored(ann, "whole", *names)
    for our, their in zip(ours, theirs, strict=True):
        assert our == pytest.approx(their, rel=1e-10, nan_ok=True)
    context = {"targetAttributeNames": [names[0]], "inputAttributeNames": names[1:4]}
    models = []
    for pid in ("whole", "split"):
        started = await ann.post(f"projects/{pid}/build", context, "modelid=m&algo=mlr")
        assert (await ann.job(started)).status == 200
        asked = {"attributeNames": names[1:4], "data": [["1.5", "0.3", "0.5"]]}
        told = await ann.post(f"projects/{pid}/predict/m", asked)
        assert told.status == 200, told.body
        models.append(told.values["KSVSMap"]["values"][0])
    assert {k: float(v) for k, v in models[1].items()} == pytest.approx(
        {k: float(v) for k, v in models[0].items()}, rel=1e-9
    )


async def test_it_is_one_project_in_every_list(ann: Customer) -> None:
    assert (await ann.create("listed", "cells=3")).status == 201
    names = (await ann.get("projects/list")).values["stringList"]["values"]
    assert [name for name in names if name == "listed"] == ["listed"]
    infos = (await ann.get("projects/info", "async=false")).values["smlInfoList"]["values"]
    assert [one["params"]["cells"] for one in infos if one["pid"] == "listed"] == ["3"]
    assert len(infos) == len(names)


@pytest.mark.parametrize(
    ("query", "params", "text"),
    [
        ("cells=1", {}, "Invalid parameter [cells]: [1] is not a number from 2 to 64"),
        ("cells=65", {}, "Invalid parameter [cells]: [65] is not a number from 2 to 64"),
        ("cells=many", {}, "Invalid parameter [cells]: [many] is not a number from 2 to 64"),
        ("cells=2&persist=false", {}, "A project with cells cannot have [persist=false]"),
        (
            "cells=2",
            {"sml_project_rolling_window_size": "50"},
            "A project with [sml_project_rolling_window_size] cannot have cells",
        ),
        (
            "cells=2&type=sequence",
            {"sml_project_order": "2"},
            "A project of type [sequence] cannot have cells",
        ),
        (
            "cells=2&type=partition",
            {"partitionSplit": "x"},
            "A project of type [partition] cannot have cells",
        ),
    ],
)
async def test_what_cannot_have_cells_is_refused_before_anything_is_made(
    ann: Customer, query: str, params: dict[str, str], text: str
) -> None:
    told = await ann.post("projects", params, f"pid=none&{query}")
    assert (told.status, told.text) == (400, text)
    assert (await ann.get("projects/none/info")).status == 400


async def test_a_batch_counts_once_and_never_with_another_body(ann: Customer) -> None:
    await ann.create("once", "cells=5")
    body = {"attributeNames": ["x"], "attributeTypes": ["C"], "data": [["1"]]}
    told = await asyncio.gather(*(sent(ann, "once", "learn", body, f"k{n % 8}") for n in range(24)))
    assert {one.status for one in told} == {200}
    assert (await explored(ann, "once", "x"))[0]["count"] == 8
    other = {**body, "data": [["2"]]}
    assert (await sent(ann, "once", "learn", other, "k3")).status == 422
    assert (await sent(ann, "once", "forget", body, "k3")).status == 422
    # Without a key the broker gives each batch an id.
    for _ in range(4):
        assert (await sent(ann, "once", "learn", body)).status == 200
    assert (await explored(ann, "once", "x"))[0]["count"] == 12
    # And as a job.
    ended = await ann.job(await sent(ann, "once", "learn", body, "job", "async=true"))
    assert ended.status == 200
    assert (await explored(ann, "once", "x"))[0]["count"] == 13


async def test_more_than_was_learned_cannot_be_forgotten(ann: Customer) -> None:
    await ann.create("short", "cells=3")
    assert (await ann.learn("short", "x y", "CC", [[1, 2], [3, 4]])).status == 200
    body = {"attributeNames": ["x"], "attributeTypes": ["C"], "data": [["1"]] * 3}
    told = await sent(ann, "short", "forget", body)
    assert told.status == 400
    assert told.text == "Invalid DataFrame: data: 3 rows would be forgotten, but 2 were learned"
    assert (await explored(ann, "short", "x"))[0]["count"] == 2


async def test_hashed_categories_filters_and_other_types_have_cells_too(ann: Customer) -> None:
    made = await ann.create(
        "hashed",
        "cells=3&type=gpu",
        sml_project_hashtrick_binsize="8",
        sml_project_predicate_row_filter="x>0",
    )
    assert made.status == 201, made.body
    for number in range(6):
        rows = [[number, f"v{number}"], [-number, "w"]]
        assert (await ann.learn("hashed", "x color", "CT", rows)).status == 200
    info = (await ann.get("projects/hashed/info")).values["smlInfo"]
    assert info["type"] == "gpu"
    assert all(name == "x" or name.startswith("hash$") for name in info["attributeNames"])
    assert (await explored(ann, "hashed", "x"))[0]["count"] == 5


async def test_rows_come_over_a_websocket_to_the_cells(ann: Customer) -> None:
    await ann.create("socket4", "cells=4")
    rows = msgspec.json.encode(
        {"attributeNames": ["x"], "attributeTypes": ["C"], "data": [["1"], ["1"]]}
    )
    counts = []
    for path, messages in (("learn", 6), ("forget", 2)):
        url = f"{ann.url}/symetry/ws/{path}"
        date = format_date(datetime.now(UTC))
        signed = build_frame(ann.key, ann.cid, url.replace("http", "ws"), ["socket4"], date, rows)
        async with ann.session.ws_connect(url) as socket:
            for message in [signed, *[rows.decode()] * (messages - 1)]:
                await socket.send_str(message)
                assert (await socket.receive_json())["statusCode"] == "OK"
        counts.append((await explored(ann, "socket4", "x"))[0]["count"])
    assert counts == [12, 8]


async def test_a_project_with_cells_is_a_cell_and_is_merged_and_exported(ann: Customer) -> None:
    await ann.create("many", "cells=3")
    for number in range(6):
        assert (await ann.learn("many", "x", "C", [[number]])).status == 200
    told = await ann.get("projects/many/cellStatistics")
    assert told.values["rows"] == 6
    assert len(told.values["provenance"]) == 1
    await ann.create("into")
    assert (await ann.get("projects/into/merge", "otherProjectName=many")).status == 200
    assert (await ann.get("projects/many/merge", "otherProjectName=into")).status == 200
    assert (await explored(ann, "into", "x"))[0]["count"] == 6
    assert (await explored(ann, "many", "x"))[0]["count"] == 12
    export = await ann.get("projects/many/export")
    assert (await ann.post("projects/copy/import", export.body)).status == 200
    assert (await explored(ann, "copy", "x"))[0]["count"] == 12
    assert (await ann.learn("copy", "x", "C", [[1]])).status == 200
    assert (await ann.post("projects/many/import", export.body)).status == 409


async def test_its_name_is_free_once_it_is_deleted(ann: Customer) -> None:
    await ann.create("again", "cells=2")
    assert (await ann.learn("again", "x", "C", [[1]])).status == 200
    assert (await ann.call("DELETE", "projects/again")).status == 200
    assert (await ann.learn("again", "x", "C", [[1]])).status == 400
    assert (await ann.create("again", "cells=4")).status == 201
    assert (await ann.get("projects/again/info")).values["smlInfo"]["attributeNames"] == []
