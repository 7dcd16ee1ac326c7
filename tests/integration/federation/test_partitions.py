"""A federation with partitions over REST: discriminants of classes that no site has all rows of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.integration.federation.peers import (
    create,
    federate,
    invited,
    join,
    learned,
    log,
    ordered,
    servers,
    until,
)
from tests.integration.fusion.servers import NAMES, cell, explored, fuse, info
from tests.integration.symetry import iris
from tests.integration.symetry.customer import Customer

pytestmark = pytest.mark.asyncio(loop_scope="module")

SPECIES = ("iris_setosa", "iris_versicolor", "iris_virginica")
BY_SPECIES = {"fed_local_type": "partition", "partitionSplit": "species"}


def rows(number: int, count: int | None = None) -> dict[str, Any]:
    """Return a third of the flowers, or the first of it, with their species."""
    third = iris.frame()["data"][number::3][:count]
    return {
        "attributeNames": [*NAMES, "species"],
        "attributeTypes": ["C"] * 4 + ["S"],
        "data": [[*row[:4], SPECIES[row[12:].index("1")]] for row in third],
    }


async def discriminants(owner: Customer, pid: str) -> list[list[str]]:
    """Return what a quadratic model that was built now says of some flowers."""
    body = {"targetAttributeNames": [], "inputAttributeNames": list(NAMES)}
    started = await owner.post(f"projects/{pid}/build", body, "modelid=q&algo=mqda")
    told = await owner.job(started)
    assert told.status == 200, told.body
    told = await owner.post(f"projects/{pid}/predict/q", iris.frame())
    assert told.status == 200, told.body
    answers = told.values["KSVSMap"]["values"]
    return [[answers[row][label] for label in SPECIES] for row in (0, 75, 149)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def owners(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[Customer]]:
    async with servers(tmp_path_factory.mktemp("partitions"), 3) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def thirds(owners: list[Customer]) -> str:
    await federate(owners, "m1", **BY_SPECIES)
    for number, owner in enumerate(owners):
        await learned(owner, "m1", rows(number))
        await ordered(owner, "m1", "startPulse")

    async def complete() -> bool:
        return [(await explored(owner, "m1"))["count"] for owner in owners] == [150.0] * 3

    await until(complete)
    return "m1"


async def test_every_peer_builds_the_discriminants_of_all_rows(
    owners: list[Customer], thirds: str
) -> None:
    found = [await discriminants(owner, thirds) for owner in owners]
    assert found[0] == found[1] == found[2]
    told = await owners[0].create("pooled", "type=partition", partitionSplit="species")
    assert told.status == 201, told.body
    for number in range(3):
        await learned(owners[0], "pooled", rows(number))
    pooled = await discriminants(owners[0], "pooled")
    for ours, theirs in zip(found[0], pooled, strict=True):
        assert [float(one) for one in ours] == pytest.approx(list(map(float, theirs)), rel=1e-9)
    reference = [-189.687091124, 1.45963198688, -5.34957805478]
    assert [float(one) for one in found[0][1]] == pytest.approx(reference, rel=1e-8)


async def test_it_is_told_as_any_project_with_partitions_and_can_be_a_cell(
    owners: list[Customer], thirds: str
) -> None:
    for owner in owners:
        of = await info(owner, thirds)
        assert (of["type"], of["partitionColumn"]) == ("federated", "species")
    told = await fuse(owners[0], "above", {**cell(owners[0], thirds), "scope": "federated"})
    assert told.status == 201, told.body
    assert await discriminants(owners[0], "above") == await discriminants(owners[0], thirds)


async def test_a_class_that_few_rows_have_keeps_a_peer_silent_and_its_name_at_home(
    owners: list[Customer],
) -> None:
    ann, bob, _ = owners
    await federate([ann, bob], "rare", **BY_SPECIES)
    await learned(ann, "rare", rows(0))
    await learned(bob, "rare", rows(1, count=25))  # 17 and 8, of 4 attributes
    for owner in (ann, bob):
        await ordered(owner, "rare", "startPulse")

    async def blocked() -> bool:
        return any("MIN_ROWS" in entry for entry in await log(bob, "rare", "getSyncLog"))

    await until(blocked)
    entries = await log(bob, "rare", "getSyncLog")
    assert any("partition 'iris_versicolor': 8 rows of 4 attributes" in one for one in entries)
    for which in ("getSyncLog", "getErrorLog"):
        assert "versicolor" not in str(await log(ann, "rare", which))
    assert (await explored(ann, "rare"))["count"] == 50.0


async def test_a_joiner_has_the_partitions_of_the_federation_or_stays_out(
    owners: list[Customer],
) -> None:
    ann, bob, _ = owners
    told = await create(ann, "other", fed_local_type="partition")
    assert (told.status, told.text) == (400, "Missing required key [partitionSplit]")
    told = await create(ann, "other", **BY_SPECIES)
    assert told.status == 201, told.body
    for own in ({"fed_local_type": "cpu"}, {"partitionSplit": "town"}):
        told = await join(bob, "other", await invited(ann, "other"), **own)
        assert told.status == 400, told.body
        assert "all peers of this federation have partitions by [species]" in told.text
    told = await ann.post("projects/other/learn", {**rows(0), "attributeTypes": ["C"] * 4 + ["P"]})
    assert told.status == 400, told.body
    assert "ids of patients cannot be the names of partitions" in told.text
