"""Inviting, joining, leaving: what is refused, and what is left of what failed."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from model_api.federation.wiring import IN_PROCESS
from tally.federation.keys import federation_id
from tally.wire.federation import seal_map
from tests.integration.federation.peers import (
    PASSWORD,
    TERMS,
    create,
    federate,
    federation_info,
    invited,
    join,
    learned,
    log,
    ordered,
    servers,
    until,
)
from tests.integration.fusion.servers import explored, info, third
from tests.integration.symetry.customer import Customer

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def owners(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[Customer]]:
    async with servers(tmp_path_factory.mktemp("members"), 2) as running:
        yield running


async def projects(owner: Customer) -> list[str]:
    return list((await owner.get("projects/list")).values["stringList"]["values"])


async def test_of_ten_nodes_with_one_invitation_one_joins_and_nothing_is_left_of_the_others(
    owners: list[Customer],
) -> None:
    ann, bob = owners
    assert (await create(ann, "once")).status == 201
    invitation = await invited(ann, "once")
    told = await asyncio.gather(*(join(bob, f"once{n}", invitation) for n in range(10)))
    assert sorted(one.status for one in told) == [201] + [409] * 9
    refused = {one.text for one in told if one.status == 409}
    assert refused == {"Federation token already used"}
    assert len([pid for pid in await projects(bob) if pid.startswith("once")]) == 1
    peers = (await federation_info(ann, "once"))["peersInfo"]
    assert len(peers) == 1


async def test_a_token_that_nobody_issued_lets_nobody_in(owners: list[Customer]) -> None:
    ann, bob = owners
    assert (await create(ann, "forged")).status == 201
    invitation = await invited(ann, "forged") | {"fed_req_token": "FEDTOKEN" + "0" * 16}
    told = await join(bob, "forged", invitation)
    assert (told.status, told.text) == (401, "Invalid federation token")
    assert "forged" not in await projects(bob)


async def test_a_map_of_the_old_client_joins(owners: list[Customer]) -> None:
    ann, bob = owners
    assert (await create(ann, "old")).status == 201
    invitation = await invited(ann, "old", fed_rest_host="elsewhere")
    for name in ("name", "secret_key", "rest_url"):
        invitation[f"group_{name}"] = invitation.pop(f"fed_{name}")
    told = await join(bob, "", invitation)
    assert (told.status, told.text) == (201, "Fed Project created with join")
    assert any(pid.startswith("hospitals_") for pid in await projects(bob))


async def test_a_broker_that_is_not_there_leaves_no_project(owners: list[Customer]) -> None:
    ann, bob = owners
    told = await create(ann, "away", nats_hosts="nats://127.0.0.1:1")
    assert told.status == 400
    assert told.text.startswith("Cannot create federation: ")
    assert (await create(ann, "here")).status == 201
    invitation = await invited(ann, "here") | {"nats_hosts": "nats://127.0.0.1:1"}
    told = await join(bob, "away", invitation)
    assert told.status == 400
    assert told.text.startswith("Cannot join federation: ")
    assert "away" not in await projects(ann) + await projects(bob)


async def test_what_aws_would_need_is_refused_by_name(owners: list[Customer]) -> None:
    ann, _ = owners
    body = seal_map(ann.key, {"aws_access_key": "AKIA", "aws_secret_key": "s"}).encode()
    told = await ann.post("fedml/awsinfo", body)
    assert told.status == 400
    assert "[aws_access_key]" in told.text


async def test_a_name_that_is_taken_is_refused(owners: list[Customer]) -> None:
    ann, bob = owners
    assert (await create(ann, "taken")).status == 201
    told = await create(ann, "taken")
    assert (told.status, told.text) == (
        409,
        f"Customer [{ann.cid}] already have SYMETRYML with id[taken], ",
    )
    assert (await bob.create("mine")).status == 201
    assert (await join(bob, "mine", await invited(ann, "taken"))).status == 409
    assert (await federation_info(ann, "taken"))["peersInfo"] == {}


async def test_a_body_that_is_not_encrypted_is_refused(owners: list[Customer]) -> None:
    told = await owners[0].post("fedml/create", b'{"fed_name":"x"}', "pid=plain")
    assert (told.status, told.text) == (400, "Cannot decrypt request body")


async def test_a_project_of_another_kind_has_no_peer(owners: list[Customer]) -> None:
    ann, _ = owners
    assert (await ann.create("plain")).status == 201
    told = await ann.get("fedml/plain/startPulse")
    assert (told.status, told.text) == (400, "Project [plain] is not a federated project")
    told = await ann.get("fedml/nothing/info")
    assert told.text == f"Cannot Find SYMETRYML id[nothing] for Customer id [{ann.cid}]"


async def test_what_would_leave_rows_unjudged_is_refused(owners: list[Customer]) -> None:
    ann, _ = owners
    assert (await create(ann, "strict")).status == 201
    told = await ann.get("projects/strict/export")
    assert told.text == "Operation [export] is not available on a Federated project"
    told = await ann.post("projects/strict/import", b"x")
    assert told.text == "Operation [import] is not available on a Federated project"
    assert (await ann.create("other")).status == 201
    told = await ann.get("projects/strict/merge", "otherProjectName=other")
    assert told.text == "Operation [merge] is not available on a Federated project"


async def test_only_the_admin_invites_and_sets_schedule_and_contract(
    owners: list[Customer],
) -> None:
    ann, bob = owners
    await federate(owners, "ruled")
    refused = (403, "Only the federation admin can perform this operation")
    told = await bob.get("fedml/ruled/newSchedule", "newSchedule=m5")
    assert (told.status, told.text) == refused
    told = await bob.post("fedml/ruled/addPsrContract", {"values": []})
    assert (told.status, told.text) == refused
    body = seal_map(bob.key, {"passwd": PASSWORD}).encode()
    told = await bob.post("fedml/ruled/getInvitation", body)
    assert (told.status, told.text) == refused
    for schedule in ("M5", "m0", "x3", "h"):
        told = await ann.get("fedml/ruled/newSchedule", f"newSchedule={schedule}")
        assert (told.status, told.text) == (400, f"Invalid sync schedule [{schedule}]")
    await ordered(ann, "ruled", "newSchedule", "newSchedule=s2")

    async def switched() -> bool:
        return all([(await federation_info(o, "ruled"))["sync_sched"] == "s2" for o in owners])

    await until(switched)


async def test_hipaa_rules_are_only_tightened_and_need_patients(owners: list[Customer]) -> None:
    ann, bob = owners
    assert (await create(ann, "health", fed_enforce_hipaa_compliance="")).status == 201
    invitation = await invited(ann, "health")
    told = await join(bob, "health", invitation, fed_enforce_hipaa_compliance="false")
    assert told.status == 400
    assert "may only tighten" in told.text
    told = await ann.post("projects/health/learn", third(0))
    assert told.status == 400
    assert "at least one attribute of type P" in told.text


async def test_who_leaves_takes_its_rows_along_and_the_admin_ends_the_federation(
    owners: list[Customer],
) -> None:
    ann, bob = owners
    await federate(owners, "leaving")
    for number, owner in enumerate(owners):
        await learned(owner, "leaving", third(number))
        await ordered(owner, "leaving", "startPulse")

    async def counts(count: float) -> bool:
        return (await explored(ann, "leaving"))["count"] == count

    await until(lambda: counts(100.0))
    told = await bob.call("DELETE", "projects/leaving")
    assert (told.status, told.text) == (
        200,
        f"deleted Project with id[leaving] from Customer[{bob.cid}] store",
    )
    assert "leaving" not in await projects(bob)
    await until(lambda: counts(50.0))
    told = await join(bob, "leaving", await invited(ann, "leaving"))
    assert told.status == 201
    assert (await ann.call("DELETE", "projects/leaving")).status == 200
    assert "leaving" not in await projects(ann)

    async def detached() -> bool:
        told = await bob.get("fedml/leaving/startPulse")
        return told.status == 409 and "DETACHED" in told.text

    await until(detached)
    assert (await bob.call("DELETE", "projects/leaving")).status == 200
    assert "leaving" not in await projects(bob)


async def test_projects_tell_that_they_are_federated(owners: list[Customer]) -> None:
    ann, _ = owners
    assert (await create(ann, "told")).status == 201
    found = await info(ann, "told")
    assert found["type"] == "federated"
    told = {key: found["params"][key] for key in ("fed_pulsing", "fed_has_error", "fed_is_admin")}
    assert told == {"fed_pulsing": "false", "fed_has_error": "false", "fed_is_admin": "true"}
    await ordered(ann, "told", "startPulse")
    assert (await info(ann, "told"))["params"]["fed_pulsing"] == "true"
    assert await log(ann, "told", "getErrorLog") == ["no error"]
    assert (await federation_info(ann, "told"))["fed_name"] == TERMS["fed_name"]
    await ordered(ann, "told", "stopPulse")
    assert (await info(ann, "told"))["params"]["fed_pulsing"] == "false"


async def test_a_node_joins_by_the_admins_server_while_the_admin_is_not_at_the_broker(
    owners: list[Customer],
) -> None:
    ann, bob = owners
    assert (await create(ann, "byhttp")).status == 201
    told = await federation_info(ann, "byhttp")
    fid = federation_id(told["fed_name"], base64.b64decode(told["fed_secret_key"]))
    faults = IN_PROCESS.brokers[fid].faults
    faults.cut_off = {told["local_uuid"]}
    try:
        without = await join(bob, "byhttp", await invited(ann, "byhttp"))
        assert without.status == 400
        assert without.text.startswith("Cannot join federation: nobody listens")
        invitation = await invited(ann, "byhttp", fed_rest_host=ann.url)
        forged = invitation | {"fed_req_token": "FEDTOKEN" + "1" * 16}
        assert (await join(bob, "byhttp", forged)).status == 401
        assert (await join(bob, "byhttp", invitation)).status == 201
        again = await join(bob, "byhttp2", invitation)
        assert (again.status, again.text) == (409, "Federation token already used")
    finally:
        faults.cut_off = set()
    assert len((await federation_info(ann, "byhttp"))["peersInfo"]) == 1


async def test_a_peer_that_is_not_saved_lives_in_memory(owners: list[Customer]) -> None:
    ann, bob = owners
    assert (await create(ann, "fleeting", "&persist=false")).status == 201
    assert (await join(bob, "fleeting", await invited(ann, "fleeting"))).status == 201
    for number, owner in enumerate(owners):
        await learned(owner, "fleeting", third(number))
        await ordered(owner, "fleeting", "startPulse")

    async def complete() -> bool:
        return (await explored(bob, "fleeting"))["count"] == 100.0

    await until(complete)
    assert (await info(ann, "fleeting"))["persisted"] is False


async def test_a_peer_that_was_unloaded_is_back_at_once(owners: list[Customer]) -> None:
    ann, _ = owners
    assert (await create(ann, "unloaded")).status == 201
    await learned(ann, "unloaded", third(0))
    assert (await ann.get("projects/unloaded/unload")).status == 200
    await ordered(ann, "unloaded", "startPulse")
    assert (await explored(ann, "unloaded"))["count"] == 50.0
