"""What is shared and what is not, exploring other peers, contracts, and workers that die."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.integration.federation.peers import (
    create,
    federate,
    federation_info,
    invited,
    join,
    learned,
    log,
    ordered,
    restartable,
    servers,
    until,
)
from tests.integration.fusion.servers import NAMES, cell, fuse, info, third
from tests.integration.fusion.servers import asked as sepal_length
from tests.integration.symetry.customer import Customer, Told

pytestmark = pytest.mark.asyncio(loop_scope="module")

SL = NAMES[0]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def owners(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[Customer]]:
    async with servers(tmp_path_factory.mktemp("pulsing"), 2) as running:
        yield running


def rows(first: int, last: int) -> dict[str, Any]:
    """Return some rows of the first third."""
    whole = third(0)
    return {**whole, "data": whole["data"][first:last]}


async def counted(owner: Customer, pid: str, count: float) -> bool:
    told = await sepal_length(owner, pid)
    found = told.values["KSVDMap"]["values"][0]["count"] if told.status == 200 else 0.0
    return bool(found == count)


async def until_counted(owner: Customer, pid: str, count: float) -> None:
    await until(lambda: counted(owner, pid, count))


async def until_logged(owner: Customer, pid: str, which: str, part: str) -> None:
    async def found() -> bool:
        return any(part in entry for entry in await log(owner, pid, which))

    await until(found)


async def test_few_rows_stay_until_there_are_enough_of_them(owners: list[Customer]) -> None:
    ann, bob = owners
    await federate(owners, "few")
    await learned(bob, "few", third(1))
    await learned(ann, "few", rows(0, 8))
    for owner in owners:
        await ordered(owner, "few", "startPulse")
    await until_logged(ann, "few", "getSyncLog", "MIN_ROWS")
    # Nor do they count in her own federated project, where an attribute has too few of them.
    await until_counted(ann, "few", 50.0)
    assert await counted(bob, "few", 50.0)
    await learned(ann, "few", rows(8, 9))
    await until_counted(bob, "few", 59.0)
    await learned(ann, "few", rows(9, 17))
    await until_logged(ann, "few", "getSyncLog", "MIN_DELTA")
    assert await counted(bob, "few", 59.0)
    await learned(ann, "few", rows(17, 18))
    await until_counted(bob, "few", 68.0)
    told = await ann.post("projects/few/forget", rows(0, 3))
    assert told.status == 200, told.body
    await until_counted(ann, "few", 65.0)
    assert await counted(bob, "few", 68.0)
    told = await bob.get("fedml/few/syncStats")
    stats = told.values["fedSyncStats"]
    assert (stats["rcvCount"], stats["rcvError"], stats["errorLog"]) == (2, 0, [])


async def asked(owner: Customer, pid: str, peer: str) -> Told:
    context = {
        "targetAttributeNames": [SL],
        "inputAttributeNames": [SL],
        "extraParameters": {"fed_peer_uuid_for_explore": peer},
    }
    return await owner.post(f"projects/{pid}/explore", {"values": [context]}, "metric=uni")


async def test_a_peer_is_explored_if_it_lets_others(owners: list[Customer]) -> None:
    ann, bob = owners
    await federate(owners, "seen")
    for number, owner in enumerate(owners):
        await learned(owner, "seen", third(number))
        await ordered(owner, "seen", "startPulse")
    await until_counted(ann, "seen", 100.0)
    peer = (await federation_info(bob, "seen"))["local_uuid"]
    told = await asked(ann, "seen", peer)
    assert told.status == 200, told.body
    assert told.values["KSVDMap"]["values"][0]["count"] == 50.0
    told = await asked(ann, "seen", "nobody")
    assert (told.status, told.text) == (400, "Unknown peer [nobody]")
    await ordered(bob, "seen", "setExplorePeers", "allowExplore=false")
    told = await asked(ann, "seen", peer)
    assert (told.status, told.text) == (403, f"Peer [{peer}] does not allow exploration")
    assert (await ann.get("fedml/seen/setExplorePeers", "allowExplore=perhaps")).status == 400


async def test_a_contract_keeps_back_what_does_not_obey_it(owners: list[Customer]) -> None:
    ann, bob = owners
    await federate(owners, "agreed")
    await learned(ann, "agreed", third(0))
    told = await ann.post("fedml/agreed/psrContractValidate", ["COUNT(x) > 1", "NONE(x) > 1"])
    assert told.values == {
        "status": "Line 1: unknown feature [x]\nLine 2: unknown function [NONE]",
        "valid": False,
        "contractWarnings": [],
    }
    told = await ann.post("fedml/agreed/addPsrContract", {"values": ["COUNT(sepal_length >= 5"]})
    assert told.status == 400
    assert "syntax error" in told.text
    rule = "COUNT(sepal_length) >= 500"
    told = await ann.post("fedml/agreed/addContract", {"values": [rule]})
    assert (told.status, told.values["status"]) == (200, "")
    for owner in owners:
        await ordered(owner, "agreed", "startPulse")
    await until_logged(ann, "agreed", "getErrorLog", "COUNT(sepal_length) < 500")
    assert (await info(ann, "agreed"))["params"]["fed_has_error"] == "true"
    assert (await federation_info(bob, "agreed"))["contract"] == rule
    told = await ann.post("fedml/agreed/addPsrContract", {"values": []})
    assert told.status == 200
    await until_counted(bob, "agreed", 50.0)
    assert (await ann.call("DELETE", "fedml/agreed/clearErrorLog")).status == 200
    assert await log(ann, "agreed", "getErrorLog") == ["no error"]


def patients(count: int) -> dict[str, Any]:
    whole = rows(0, 50)
    data = [[f"p{n % count}", *row] for n, row in enumerate(whole["data"])]
    return {
        "attributeNames": ["mrn", *whole["attributeNames"]],
        "attributeTypes": ["P", *whole["attributeTypes"]],
        "data": data,
    }


@pytest.mark.parametrize(("count", "shared"), [(24, False), (25, True)])
async def test_rows_of_too_few_patients_stay(
    owners: list[Customer], count: int, shared: bool
) -> None:
    ann, bob = owners
    pid = f"patients{count}"
    await federate(owners, pid, fed_enforce_hipaa_compliance="true")
    await learned(ann, pid, patients(count))
    for owner in owners:
        await ordered(owner, pid, "startPulse")
    # Values are counted to judge what leaves, and those counts stay.
    assert (await info(ann, pid))["histogramEnabled"]
    if shared:
        await until_counted(bob, pid, 50.0)
        assert not (await info(bob, pid))["histogramEnabled"]
    else:
        await until_logged(ann, pid, "getSyncLog", "PATIENTS")
        assert (await info(bob, pid))["attributeNames"] == []


async def test_a_node_that_reaches_only_the_admins_server_sends_its_request_there(
    owners: list[Customer],
) -> None:
    ann, _ = owners
    assert (await create(ann, "open")).status == 201
    invitation = await invited(ann, "open", fed_rest_host=ann.url)
    path = f"/symetry/rest/{ann.cid}/fedml/open/createPolicies"
    assert invitation["fed_rest_url"] == ann.url + path
    for body in (b"not base64!", base64.b64encode(b"nothing")):
        async with ann.session.post(ann.url + path, data=body) as response:
            assert response.status == 400
    for _ in range(8):
        async with ann.session.post(ann.url + path, data=b"") as response:
            assert response.status == 400
    async with ann.session.post(ann.url + path, data=b"") as response:
        assert response.status == 429


async def test_a_fusion_sees_a_whole_federation_through_one_member(
    owners: list[Customer],
) -> None:
    ann, _ = owners
    await federate(owners, "hybrid")
    for number, owner in enumerate(owners):
        await learned(owner, "hybrid", third(number))
        await ordered(owner, "hybrid", "startPulse")
    await until_counted(ann, "hybrid", 100.0)
    for scope, count in (("local", 50.0), ("federated", 100.0)):
        told = await fuse(ann, f"hybrid_{scope}", {**cell(ann, "hybrid"), "scope": scope})
        assert told.status == 201, told.body
        assert await counted(ann, f"hybrid_{scope}", count)


async def test_a_peer_goes_on_at_another_worker_without_being_asked(
    owners: list[Customer], tmp_path: Path
) -> None:
    ann, _ = owners
    async with restartable(tmp_path / "restarted") as (service, carl):
        assert (await create(ann, "moved")).status == 201
        assert (await join(carl, "moved", await invited(ann, "moved"))).status == 201
        await learned(carl, "moved", third(1))
        for owner in (ann, carl):
            await ordered(owner, "moved", "startPulse")
        await until_counted(ann, "moved", 50.0)

        async def state(wanted: str) -> bool:
            peers = (await federation_info(ann, "moved"))["peersInfo"].values()
            return any(f'"state":"{wanted}"' in peer for peer in peers)

        await service.stop("worker")
        await service.stop("fit")
        peer = next(iter((await federation_info(ann, "moved"))["peersInfo"]))
        held = await asked(ann, "moved", peer)
        assert held.values["fed_explore_stale"] == "true"
        assert held.values["KSVDMap"]["values"][0]["count"] == 50.0
        await until(lambda: state("STALE"))
        await service.workers(options_file=service.folder / "options.properties")
        # Nobody asks this server anything: what the others hear tells that it runs.
        await until(lambda: state("ACTIVE"))
        assert await counted(ann, "moved", 50.0)
        await learned(carl, "moved", third(2))
        await until_counted(ann, "moved", 100.0)
