"""What `tally federation status` tells of each thing that can be wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from model_api.metrics import REGISTRY
from tally.client import AsyncProject, AsyncTally
from tests.integration.federation.peers import (
    cut_off,
    federate,
    invited,
    join,
    learned,
    ordered,
    servers,
    until,
)
from tests.integration.fusion.servers import third
from tests.integration.symetry.customer import Customer

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def owners(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[Customer]]:
    async with servers(tmp_path_factory.mktemp("status"), 2) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clients(owners: list[Customer]) -> AsyncIterator[list[AsyncTally]]:
    async with AsyncExitStack() as opened:
        yield [
            await opened.enter_async_context(AsyncTally(one.cid, one.key, one.url))
            for one in owners
        ]


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def until_told(project: AsyncProject, words: str) -> str:
    """Return what is told of a federation once it says so."""
    told = ""

    async def says() -> bool:
        nonlocal told
        told = str(await project.federation())
        return words in told

    try:
        await until(says)
    except TimeoutError:
        pytest.fail(f"{words!r} is not told:\n{told}")
    return told


async def test_each_step_of_a_peers_life_is_told_in_words(
    owners: list[Customer], clients: list[AsyncTally]
) -> None:
    ann, bob = owners
    ours, theirs = (client.project("life") for client in clients)
    await federate(owners, "life")
    told = await until_told(ours, "was not heard yet")
    assert "not pulsing: it shares nothing" in told
    assert "never" in told
    for owner in owners:
        await ordered(owner, "life", "startPulse")
    await until_told(ours, "has shared nothing yet: too few rows (MIN_ROWS)")
    whole = third(1)
    await learned(bob, "life", {**whole, "data": whole["data"][:20]})
    await until_told(ours, "in step")
    await learned(bob, "life", {**whole, "data": whole["data"][20:25]})
    await until_told(ours, "in step; its newest rows stay there: too few rows changed (MIN_DELTA)")
    assert metric("tally_federation_peers_withholding") >= 1
    assert metric("tally_federation_remote_peers", state="ACTIVE") >= 1
    told = await until_told(theirs, "not shared: MIN_DELTA: 5 rows added since the last snapshot")
    # Said once, however many rounds it holds.
    assert len([entry for entry in await theirs.sync_log() if "MIN_DELTA" in entry]) == 1
    await learned(bob, "life", {**whole, "data": whole["data"][25:50]})

    async def shared() -> bool:
        return "not shared" not in str(await theirs.federation())

    await until(shared)
    await ordered(bob, "life", "stopPulse")
    told = await until_told(ours, "it is away, or does not pulse; what it shared still counts")
    assert "not pulsing: it shares nothing" in str(await theirs.federation())
    await ordered(bob, "life", "startPulse")
    await until_told(ours, "in step")
    await theirs.leave(withdraw=False)
    await until_told(ours, "has left; what it shared still counts")
    assert (await join(bob, "life", await invited(ann, "life"))).status == 201
    await ours.leave()
    told = await until_told(theirs, "it has ended for this site")
    assert "the federation has ended for us" in told


async def test_contracts_and_brokers_that_are_away_are_told(
    owners: list[Customer], clients: list[AsyncTally]
) -> None:
    ann, bob = owners
    ours, theirs = (client.project("wrong") for client in clients)
    await federate(owners, "wrong", fed_psr_contract_snd_fail_action="allow")
    for number, owner in enumerate(owners):
        await learned(owner, "wrong", third(number))
        await ordered(owner, "wrong", "startPulse")
    await until_told(ours, "in step")
    await ours.set_contract(["COUNT(sepal_length) >= 60"])
    await learned(ann, "wrong", third(2))
    told = await until_told(ours, "the contract refuses its newest snapshot; nothing of it counts")
    assert "last error: Contract validation failed: COUNT(sepal_length) < 60\n" in f"{told}\n"
    await learned(bob, "wrong", third(0))
    await until_told(ours, "in step")
    async with cut_off(ann, "wrong"):
        await until_told(ours, "its broker cannot be reached")
        await until_told(theirs, "silent for three periods")
    await until_told(theirs, "in step")
    assert "cannot be reached: nothing" not in str(await ours.federation())
