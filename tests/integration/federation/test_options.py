"""Options of federated projects, set to something else than they are by default."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.integration.federation.peers import (
    federate,
    federation_info,
    learned,
    log,
    ordered,
    servers,
    until,
)
from tests.integration.fusion.servers import NAMES, explored, info, third
from tests.integration.symetry.customer import Customer

pytestmark = pytest.mark.asyncio(loop_scope="module")

SL = NAMES[0]
OPTIONS = {
    "sml.fed.contract.pct.scale": "1",
    "sml.fed.hist.min.cell": "20",
    "sml.fed.min.rows.strict": "1",
    "sml.fed.peer.expire.periods": "4",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def owners(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[Customer]]:
    async with servers(tmp_path_factory.mktemp("options"), 2, OPTIONS) as running:
        yield running


async def test_percentages_of_contracts_are_shares_with_a_scale_of_1(
    owners: list[Customer],
) -> None:
    ann, bob = owners
    await federate(owners, "shares")
    rows = {
        "attributeNames": ["tall", "female"],
        "attributeTypes": ["B", "B"],
        "data": [[str(n % 2), str(n % 4 // 2)] for n in range(40)],
    }
    await learned(ann, "shares", rows)
    told = await ann.post("fedml/shares/psrContractValidate", ["PCT_OF_TRUE(tall,female) >= 0.4"])
    assert told.values["contractWarnings"] == []
    for rule in ("PCT_OF_TRUE(tall,female) >= 0.4", "PCT_OF_TRUE(tall,female) <= 0.6"):
        told = await ann.post("fedml/shares/addPsrContract", [rule])
        assert told.status == 200, told.body
    for owner in owners:
        await ordered(owner, "shares", "startPulse")

    async def shared() -> bool:
        return (await explored_or_nothing(bob, "shares", "tall")) == 40.0

    # At a scale of 100 the share would be 50, and the contract broken on both sides.
    await until(shared)
    assert await log(ann, "shares", "getErrorLog") == ["no error"]


async def explored_or_nothing(owner: Customer, pid: str, name: str = SL) -> float:
    """Return how many rows a federated project counts."""
    body = {"values": [{"targetAttributeNames": [name], "inputAttributeNames": [name]}]}
    told = await owner.post(f"projects/{pid}/explore", body, "metric=uni")
    return float(told.values["KSVDMap"]["values"][0]["count"]) if told.status == 200 else 0.0


async def test_strict_peers_share_no_fewer_than_twice_as_many_rows_as_attributes(
    owners: list[Customer],
) -> None:
    ann, bob = owners
    await federate(owners, "strictly")
    whole = third(0)
    await learned(ann, "strictly", {**whole, "data": whole["data"][:10]})
    for owner in owners:
        await ordered(owner, "strictly", "startPulse")

    async def kept_back() -> bool:
        entries = await log(ann, "strictly", "getSyncLog")
        return any("MIN_ROWS: 10 rows of 4 attributes; 11 rows" in entry for entry in entries)

    await until(kept_back)
    without = [[*row[:3], ""] for row in whole["data"][10:30]]
    await learned(ann, "strictly", {**whole, "data": without})

    async def shared() -> bool:
        return await explored_or_nothing(bob, "strictly") == 30.0

    await until(shared)
    # Nor does an attribute leave that only ten rows have.
    assert (await info(bob, "strictly"))["attributeNames"] == list(NAMES[:3])


async def test_histograms_leave_in_cells_of_so_many_rows_and_the_silent_expire(
    owners: list[Customer],
) -> None:
    ann, bob = owners
    await federate(owners, "cells")
    for owner in owners:
        told = await owner.post("projects/cells/histogramEnable", query="enable=true")
        assert told.status == 200, told.body
    await learned(ann, "cells", third(0))
    for owner in owners:
        await ordered(owner, "cells", "startPulse")

    async def shared() -> bool:
        return await explored_or_nothing(bob, "cells") == 50.0

    await until(shared)
    # Of 50 rows in cells of 20, two means are left.
    values = sorted(float(row[0]) for row in third(0)["data"])
    found = await explored(bob, "cells")
    assert found["min"] == pytest.approx(sum(values[:20]) / 20, abs=0.1)
    await ordered(ann, "cells", "stopPulse")

    async def expired() -> bool:
        peers = (await federation_info(bob, "cells"))["peersInfo"].values()
        return all('"rows":0' in peer for peer in peers)

    await until(expired)
