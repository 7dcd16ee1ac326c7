"""Members and strangers at a real broker: what they forge there, and what failed joins leave."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import nats
import pytest
import pytest_asyncio
from nats.js.errors import NotFoundError

from tally.federation.envelope import Sealed
from tally.federation.keys import FederationKeys, Identity
from tally.federation.messages import (
    AlivePayload,
    AnyPayload,
    ContractPayload,
    DissolvePayload,
    Member,
    MessageType,
    RosterPayload,
    SchedulePayload,
)
from tally.federation.nats.access import NatsAccess
from tally.federation.nats.transport import NatsTransport
from tally.federation.terms import Nats
from tests.integration.federation.nodes import Node, asked
from tests.integration.federation.peers import (
    create,
    federation_info,
    invited,
    join,
    learned,
    log,
    ordered,
    servers,
    until,
)
from tests.integration.fusion.servers import explored, third
from tests.integration.symetry.customer import Customer

if TYPE_CHECKING:
    from tests.conftest import Server, StartServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

DECISIONS: dict[MessageType, Callable[[Node], AnyPayload]] = {
    MessageType.SCHED: lambda node: SchedulePayload(99, "s9", 0),
    MessageType.CONTRACT: lambda node: ContractPayload(99, ("rows < 0",), "0" * 64),
    MessageType.ROSTER: lambda node: RosterPayload(
        99, (Member(node.identity.uuid, "alone", node.identity.public),)
    ),
    MessageType.DISSOLVE: lambda node: DissolvePayload(),
}
"""What only the admin may say."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def owners(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[Customer]]:
    async with servers(tmp_path_factory.mktemp("over-nats"), 2) as running:
        yield running


async def kept(server: Server, fid: str) -> dict[str, Any]:
    """Return what a broker keeps of a federation: messages by stream, and who reads them."""
    client = await nats.connect(f"nats://{server.hosts[0]}")
    try:
        js = client.jetstream()
        found: dict[str, Any] = {}
        for info in await js.streams_info():
            name = str(info.config.name)
            if fid in name:
                with suppress(NotFoundError):  # it went just now
                    consumers = await js.consumers_info(name)
                    found[name] = (info.state.messages, {each.name for each in consumers})
        return found
    finally:
        await client.close()


def fid_of(invitation: dict[str, str]) -> str:
    secret = base64.b64decode(invitation["fed_secret_key"])
    return FederationKeys(invitation["fed_name"], secret).fid


async def refusals(owner: Customer, pid: str) -> int:
    told = await owner.get(f"fedml/{pid}/syncStats")
    return int(told.values["fedSyncStats"]["rcvError"])


async def test_what_a_member_forges_is_refused_and_counted_at_a_running_peer(
    owners: list[Customer], nats_server: Server
) -> None:
    ann, bob = owners
    terms = {"nats_hosts": nats_server.url, "fed_encrypt": "true"}
    assert (await create(ann, "forged", **terms)).status == 201
    assert (await join(bob, "forged", await invited(ann, "forged"))).status == 201
    mallory = await Node.invited_to(ann, "forged")
    assert mallory.answer(await asked(ann, "forged", mallory.request())).ok
    for number, owner in enumerate(owners):
        await learned(owner, "forged", third(number))
        await ordered(owner, "forged", "startPulse")

    async def count(owner: Customer, rows: float) -> bool:
        return (await explored(owner, "forged"))["count"] == rows

    await until(lambda: count(bob, 100.0))
    access = NatsAccess.of(Nats(hosts=nats_server.url))
    wire = NatsTransport(access, mallory.keys, mallory.identity, admin=False)
    await wire.connect()

    async def refused_once(message: Sealed, words: str) -> None:
        before = await refusals(bob, "forged")
        await wire.publish(message)

        async def more() -> bool:
            return await refusals(bob, "forged") == before + 1

        await until(more)
        assert words in (await log(bob, "forged", "getErrorLog"))[-1]

    as_admin = mallory.posing_as(mallory.admin)
    for kind, payload in DECISIONS.items():
        await refused_once(mallory.says(kind, payload(mallory)), "not the admin")
        await refused_once(mallory.says(kind, payload(mallory), signer=as_admin), "signature")
    alive = AlivePayload(1, "1-1", allow_explore=True)
    sealed = mallory.says(MessageType.ALIVE, alive)
    flipped = Sealed(sealed.data[:-1] + bytes([sealed.data[-1] ^ 1]), sealed.body, None)
    await refused_once(flipped, "checksum")
    foreign = FederationKeys("hospitals", bytes(16))
    foreign.fid = mallory.keys.fid
    await refused_once(mallory.says(MessageType.ALIVE, alive, keys=foreign), "mac")
    stranger = Identity("f" * 32, bytes(32))
    await refused_once(mallory.says(MessageType.ALIVE, alive, signer=stranger), "roster")

    told = await federation_info(bob, "forged")
    assert (told["sync_sched"], told["contract"], told["is_pulsing"]) == ("s1", "", True)
    assert set(told["peersInfo"]) == {mallory.admin, mallory.identity.uuid}
    await learned(ann, "forged", third(2))
    await until(lambda: count(bob, 150.0))
    await wire.close()
    for owner in (bob, ann):
        assert (await owner.call("DELETE", "projects/forged")).status == 200

    async def gone() -> bool:
        return await kept(nats_server, mallory.keys.fid) == {}

    await until(gone)


async def test_joins_that_fail_leave_nothing_at_the_broker(
    owners: list[Customer], nats_server: Server
) -> None:
    ann, bob = owners
    assert (await create(ann, "once", nats_hosts=nats_server.url)).status == 201
    invitation = await invited(ann, "once")
    told = await asyncio.gather(*(join(bob, f"once{n}", invitation) for n in range(10)))
    assert sorted(one.status for one in told) == [201] + [409] * 9
    before = await kept(nats_server, fid_of(invitation))
    invalid = invitation | {"fed_req_token": "FEDTOKEN" + "0" * 16}
    strict = await invited(ann, "once") | {"fed_encrypt": "true"}
    other = await invited(ann, "once") | {"fed_admin_pubkey": base64.b64encode(bytes(32)).decode()}
    for given, status, text in (
        (invitation, 409, "Federation token already used"),
        (invalid, 401, "Invalid federation token"),
        (
            strict,
            400,
            "Cannot join federation: the admin and this node do not agree on [fed_encrypt]",
        ),
        (other, 400, "Cannot join federation: the signature of the header is wrong"),
    ):
        again = await join(bob, "again", given)
        assert (again.status, again.text) == (status, text)
    assert await kept(nats_server, fid_of(invitation)) == before
    pids = (await bob.get("projects/list")).values["stringList"]["values"]
    assert len([pid for pid in pids if pid.startswith(("once", "again"))]) == 1
    assert sum(len(readers) for _, readers in before.values()) == 4  # ann's and bob's
    assert (await ann.call("DELETE", "projects/once")).status == 200


async def test_credentials_that_are_refused_are_not_told_and_leave_nothing(
    owners: list[Customer], start_server: StartServer
) -> None:
    ann, bob = owners
    server = start_server("nats", auth=True)
    wrong = {"nats_hosts": server.url, "nats_sec_user": "test", "nats_sec_passwd": "hush-hush"}
    told = await create(ann, "locked", **wrong)
    assert told.status == 400
    assert told.text.startswith("Cannot create federation: NATS: ")
    assert told.text.endswith("it refuses our credentials")
    right = wrong | {"nats_sec_passwd": "test"}
    assert (await create(ann, "locked", **right)).status == 201
    invitation = await invited(ann, "locked")
    refused = await join(bob, "locked", invitation, nats_sec_passwd="hush-hush")
    assert (refused.status, "hush" in refused.text + told.text) == (400, False)
    assert (await join(bob, "locked", invitation)).status == 201, "the token was not used up"
