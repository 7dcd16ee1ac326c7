"""Federations through the client: two sites on two servers make one, and model over both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from tally.client import AsyncTally, InvitationRefused, NameTaken, NotAdmin, NotFederated, Tally
from tally.errors import InvalidInput
from tests.integration.federation.peers import servers, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

MEMORY = "memory:"
NORTH = {"age": [20 + 3 * n for n in range(20)], "pressure": [90 + n**2 % 17 for n in range(20)]}
SOUTH = {"age": [31 + 2 * n for n in range(15)], "pressure": [95 + n**2 % 13 for n in range(15)]}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sites(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[AsyncTally]]:
    async with servers(tmp_path_factory.mktemp("sites"), 2) as owners, AsyncExitStack() as opened:
        yield [
            await opened.enter_async_context(AsyncTally(one.cid, one.key, one.url))
            for one in owners
        ]


async def test_two_sites_model_together(sites: list[AsyncTally]) -> None:
    north, south = sites
    ours = await north.create_federation("patients", "blood", MEMORY, "s1", hipaa=False)
    invitation = await ours.invite("passwd")
    with pytest.raises(InvalidInput, match="not encrypted with this password"):
        await south.join_federation("patients", invitation, "password")
    theirs = await south.join_federation("patients", invitation, "passwd")
    with pytest.raises(InvitationRefused, match="already used"):
        await south.join_federation("again", invitation, "passwd")
    for project, rows in ((ours, NORTH), (theirs, SOUTH)):
        await project.learn(rows)
        await project.start_pulse()

    async def counted(count: int) -> bool:
        told = [(await project.describe("age"))["age"].count for project in (ours, theirs)]
        return told == [count, count]

    await until(lambda: counted(35))
    for project, count in ((ours, 15), (theirs, 20)):
        told = await project.federation()
        assert (told.name, told.pulsing, told.schedule) == ("blood", True, "s1")
        assert [(peer.rows, peer.words) for peer in told.peers] == [(count, "in step")]
        assert "#peers:1" in (await project.sync_log())[-1]
        assert await project.error_log() == ()
    first, second = [
        await project.build("m", "mlr", targets="pressure", inputs=["age"])
        for project in (ours, theirs)
    ]
    assert first.coefficients == second.coefficients
    sources = sorted(first.sources, key=lambda one: one.rows)
    assert [(one.name, one.rows) for one in sources] == [
        ("customer1/patients", 15),
        ("customer0/patients", 20),
    ]
    assert "customer1/patients 15 rows" in str(first)
    kept = await ours.model("m").export()
    await theirs.learn(SOUTH)
    await until(lambda: counted(50))
    # The model still says what it was built from, and takes that along.
    assert (await ours.model("m").info()).sources == first.sources
    again = await north.create("elsewhere")
    await again.import_model("m", kept)
    assert (await again.model("m").info()).sources == first.sources
    await theirs.stop_pulse()
    assert not (await theirs.federation()).pulsing
    await theirs.leave()
    assert "patients" not in await south.projects()

    async def alone() -> bool:
        return (await ours.describe("age"))["age"].count == 20

    await until(alone)


async def test_the_admin_sets_contract_and_schedule_and_nobody_else(
    sites: list[AsyncTally],
) -> None:
    north, south = sites
    ours = await north.create_federation("ruled", "rules", MEMORY, "s1", hipaa=False)
    theirs = await south.join_federation("ruled", await ours.invite("secret"), "secret")
    await ours.learn(NORTH)
    found = await ours.check_contract(["COUNT(size) > 1", "COUNT(age) > 1"])
    assert (found.valid, found.errors) == (False, ("Line 1: unknown feature [size]",))
    assert (await ours.set_contract(["COUNT(age) > 10"])).valid
    await ours.set_schedule("s2")
    await ours.allow_exploration(False)
    await ours.request_sync()
    await ours.clear_error_log()
    for refused in (theirs.set_schedule("m1"), theirs.set_contract([]), theirs.invite("x")):
        with pytest.raises(NotAdmin):
            await refused


async def test_refusals_are_told_apart(sites: list[AsyncTally]) -> None:
    north, _ = sites
    plain = await north.create("plain")
    for refused in (plain.federation(), plain.start_pulse(), plain.sync_log()):
        with pytest.raises(NotFederated):
            await refused
    with pytest.raises(NameTaken):
        await north.create_federation("plain", "other", MEMORY, "s1")
    with pytest.raises(InvalidInput, match="password"):
        await north.join_federation("wrong", "abcd", "a password that is too long")
    with pytest.raises(InvalidInput, match="invitation"):
        await north.join_federation("wrong", "not base64", "passwd")


async def test_scripts_without_a_loop_do_the_same(sites: list[AsyncTally]) -> None:
    def script() -> None:
        ours, theirs = (site.account for site in sites)
        with (
            Tally(ours.cid, ours.key, ours.url) as tally,
            Tally(theirs.cid, theirs.key, theirs.url) as other,
        ):
            made = tally.create_federation(
                "script", "scripted", [MEMORY], "s1", hipaa=False, params={"fed_local_type": "gpu"}
            )
            text = made.invite("passwd", hours=1)
            joined = other.join_federation("script", text, "passwd", hipaa=True)
            assert made.info().type == joined.info().type == "federated"
            assert joined.federation().name == "scripted"

    await asyncio.to_thread(script)
