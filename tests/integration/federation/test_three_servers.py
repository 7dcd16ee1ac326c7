"""Three hospitals model together over REST, and no row leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tally.client import AsyncTally
from tests.integration.federation.peers import (
    federate,
    federation_info,
    learned,
    ordered,
    servers,
    until,
)
from tests.integration.fusion.servers import (
    NAMES,
    built,
    coefficients,
    explored,
    learn,
    third,
)
from tests.integration.symetry.customer import Customer

pytestmark = pytest.mark.asyncio(loop_scope="module")

SL, *OTHERS = NAMES


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def owners(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[Customer]]:
    async with servers(tmp_path_factory.mktemp("federation"), 3) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def thirds(owners: list[Customer]) -> str:
    await federate(owners, "m1")
    for number, owner in enumerate(owners):
        await learned(owner, "m1", third(number))
    for owner in owners:
        await ordered(owner, "m1", "startPulse")

    async def complete() -> bool:
        counts = [(await explored(owner, "m1"))["count"] for owner in owners]
        return counts == [150.0] * 3

    await until(complete)
    return "m1"


async def test_every_peer_builds_the_same_model_as_from_all_rows(
    owners: list[Customer], thirds: str
) -> None:
    models = [await built(owner, thirds, "m", "mlr", SL, *OTHERS) for owner in owners]
    found = [coefficients(model) for model in models]
    assert found[0] == found[1] == found[2]
    peers = {(await federation_info(owner, thirds))["local_uuid"] for owner in owners}
    for model in models:
        assert {uuid for uuid in peers if uuid in str(model)} == peers
    for part in range(3):
        rows = {**third(part), "data": third(part)["data"]}
        if part == 0:
            await learn(owners[0], "pooled", rows)
        else:
            await learned(owners[0], "pooled", rows)
    pooled = coefficients(await built(owners[0], "pooled", "m", "mlr", SL, *OTHERS))
    assert found[0] == pytest.approx(pooled, rel=1e-9)


async def test_each_site_reads_in_words_how_the_others_are(
    owners: list[Customer], thirds: str
) -> None:
    one = owners[0]
    async with AsyncTally(one.cid, one.key, one.url) as tally:
        told = await tally.project(thirds).federation()
    assert [(peer.rows, peer.words) for peer in told.peers] == [(50, "in step")] * 2
    assert told.pulsing
    assert "#peers:2" in told.last_sync
