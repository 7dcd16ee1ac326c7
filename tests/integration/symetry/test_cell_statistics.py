from __future__ import annotations

import pytest

from tally.codec.contribution import decode
from tally.errors import InvalidInput
from tally.fusion.sources import Contribution
from tally.wire.cell_blob import open_sealed
from tests.integration.symetry.customer import Customer, Told

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROWS = [["1.5", "0"], ["2.5", "1"], ["4", "0"]]


async def started(customer: Customer, pid: str, query: str = "", **params: str) -> None:
    assert (await customer.create(pid, query, **params)).status == 201
    await learned(customer, pid)


async def learned(customer: Customer, pid: str) -> None:
    assert (await customer.learn(pid, "x y", "CB", ROWS)).status == 200


async def asked(customer: Customer, pid: str, query: str = "") -> Told:
    told = await customer.get(f"projects/{pid}/cellStatistics", query)
    assert told.status == 200, told.body
    return told


def opened(customer: Customer, told: Told) -> Contribution:
    return decode(open_sealed(customer.key, told.values["blob"]))


async def test_the_owner_of_the_key_reads_the_statistics(ann: Customer) -> None:
    await started(ann, "cell")
    told = await asked(ann, "cell")
    given = opened(ann, told)
    assert given.project.summary.schema.names == ("x", "y")
    assert given.project.summary.counts().tolist() == [3, 3]
    (leaf,) = given.provenance
    assert leaf.source == given.source
    assert told.values["version"] == given.version == leaf.version
    assert told.values["rows"] == 3
    assert told.values["notModified"] == "false"
    assert told.values["provenance"] == [
        {"source_uuid": given.source, "version": given.version, "rows": 3}
    ]


async def test_another_customer_neither_asks_nor_opens(ann: Customer, bob: Customer) -> None:
    await started(ann, "mine")
    told = await bob.get("projects/mine/cellStatistics")
    assert told.status == 400
    assert told.text == "Cannot Find SYMETRYML id[mine] for Customer id [bob]"
    with pytest.raises(InvalidInput, match="not sealed with this customer's key"):
        opened(bob, await asked(ann, "mine"))


async def test_statistics_that_the_asker_has_are_not_sent_again(ann: Customer) -> None:
    await started(ann, "again")
    version = (await asked(ann, "again")).values["version"]
    told = await asked(ann, "again", f"since={version}")
    assert told.values["notModified"] == "true"
    assert told.values["version"] == version
    assert "blob" not in told.values
    await learned(ann, "again")
    told = await asked(ann, "again", f"since={version}")
    assert told.values["notModified"] == "false"
    assert opened(ann, told).rows == 6


@pytest.mark.parametrize("query", ["", "persist=false"])
async def test_a_change_that_is_not_saved_has_a_version_too(ann: Customer, query: str) -> None:
    pid = f"unsaved{len(query)}"
    await started(ann, pid, query, sml_project_autosave="false")
    versions = [(await asked(ann, pid)).values["version"]]
    for change in ("learn", "forget"):
        body = {"attributeNames": ["x"], "attributeTypes": ["C"], "data": [["1.5"]]}
        assert (await ann.post(f"projects/{pid}/{change}", body)).status == 200
        versions.append((await asked(ann, pid)).values["version"])
    assert len(set(versions)) == 3


async def test_what_changes_no_statistics_changes_no_version(ann: Customer) -> None:
    await started(ann, "steady")
    version = (await asked(ann, "steady")).values["version"]
    for path in ("save", "freeze", "unfreeze", "info"):
        assert (await ann.get(f"projects/steady/{path}")).status == 200
    assert (await asked(ann, "steady")).values["version"] == version


async def test_a_project_loaded_again_has_another_version_of_the_same_rows(ann: Customer) -> None:
    await started(ann, "reloaded")
    before = await asked(ann, "reloaded")
    assert (await ann.get("projects/reloaded/unload")).status == 200
    after = await asked(ann, "reloaded", f"since={before.values['version']}")
    assert after.values["notModified"] == "false"
    assert opened(ann, after).source == opened(ann, before).source
    assert opened(ann, after).rows == 3


async def test_a_careful_project_shares_nothing_of_few_rows(ann: Customer) -> None:
    await started(ann, "careful", sml_min_rows_to_share="true")
    await learned(ann, "careful")
    told = await ann.get("projects/careful/cellStatistics")
    assert told.status == 409
    text = "TOO_FEW_ROWS: project [careful] has 6 rows and shares its statistics from 7 on"
    assert told.text == text
    await learned(ann, "careful")
    assert (await asked(ann, "careful")).values["rows"] == 9


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("scope=federated", "Project [scoped] is not a federated project"),
        ("scope=all", "Invalid parameter [scope]: [all]"),
    ],
)
async def test_a_scope_that_there_is_not_is_refused(ann: Customer, query: str, text: str) -> None:
    await ann.create("scoped")
    told = await ann.get("projects/scoped/cellStatistics", query)
    assert (told.status, told.text) == (400, text)


async def test_the_rows_of_a_window_stay_behind(ann: Customer) -> None:
    await started(
        ann,
        "windowed",
        sml_project_rolling_window_size="2",
        sml_project_rolling_window_use_embedded="true",
    )
    given = opened(ann, await asked(ann, "windowed"))
    assert given.project.window is None
    assert given.rows == 3
