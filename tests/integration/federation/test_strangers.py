"""`createPolicies`, which anybody may call: what strangers, and members, get there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tally.federation.keys import FederationKeys, Identity
from tally.federation.messages import MessageType
from tests.integration.federation.nodes import Node, asked
from tests.integration.federation.peers import create, federation_info, ordered, servers
from tests.integration.symetry.customer import Customer

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOTHING = (400, "Cannot join federation: the request is not of this federation")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ann(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Customer]:
    async with servers(tmp_path_factory.mktemp("strangers"), 1) as (ann,):
        assert (await create(ann, "open")).status == 201
        assert (await create(ann, "other", fed_name="another")).status == 201
        assert (await ann.create("plain")).status == 201
        yield ann


@pytest.mark.parametrize("pid", ["open", "other", "plain", "nothing", "x" * 200])
async def test_a_stranger_is_told_the_same_of_every_project(ann: Customer, pid: str) -> None:
    alien = Node(
        FederationKeys("hospitals", bytes(16)),
        "a" * 32,
        "FEDTOKEN" + "0" * 16,
        Identity("b" * 32, bytes(32)),
        bytes(32),
    )
    bodies = (b"", b"garbage", b"AAAA", b"\xff" * 100, b"{}", alien.request(), b"A" * 65_536)
    told = await asyncio.gather(*(asked(ann, pid, body) for body in bodies))
    assert {(one.status, one.text) for one in told} == {NOTHING}


async def test_a_stranger_changes_nothing_where_it_asks(ann: Customer) -> None:
    before = (await ann.get("fedml/open/syncStats")).values
    alien = await Node.invited_to(ann, "other")
    for body in (b"garbage", alien.request(to=(await federation_info(ann, "open"))["local_uuid"])):
        told = await asked(ann, "open", body)
        assert (told.status, told.text) == NOTHING
    assert (await ann.get("fedml/open/syncStats")).values == before


async def test_a_request_to_another_peer_is_of_no_use_here(ann: Customer) -> None:
    node = await Node.invited_to(ann, "open")
    told = await asked(ann, "other", node.request())
    assert (told.status, told.text) == NOTHING
    told = await asked(ann, "open", node.request(to="c" * 32))
    assert (told.status, told.text) == NOTHING
    assert node.answer(await asked(ann, "open", node.request())).ok


@pytest.mark.parametrize("kind", sorted(set(MessageType) - {MessageType.JOIN, MessageType.SYNC}))
async def test_nothing_but_a_join_is_taken_there(ann: Customer, kind: MessageType) -> None:
    before = (await ann.get("fedml/open/syncStats")).values
    node = await Node.invited_to(ann, "open")
    for signer in (node.identity, node.posing_as(node.admin)):
        told = await asked(ann, "open", node.request(kind=kind, signer=signer))
        assert (told.status, told.text) == NOTHING
    assert (await ann.get("fedml/open/syncStats")).values == before


async def test_a_join_that_another_has_signed_or_that_is_old_lets_nobody_in(
    ann: Customer,
) -> None:
    node = await Node.invited_to(ann, "open")
    peers = (await federation_info(ann, "open"))["peersInfo"]
    forger = Identity(node.identity.uuid, bytes(32))
    for body in (node.request(signer=forger), node.request(aged_s=301)):
        told = await asked(ann, "open", body)
        assert (told.status, told.text) == NOTHING
    assert (await federation_info(ann, "open"))["peersInfo"] == peers


async def test_tokens_are_refused_in_the_documented_words(ann: Customer) -> None:
    first, second = [await Node.invited_to(ann, "open") for _ in range(2)]
    told = await asked(ann, "open", first.request(token="FEDTOKEN" + "0" * 16))
    assert (told.status, told.text) == (401, "Invalid federation token")
    assert first.answer(await asked(ann, "open", first.request())).ok
    told = await asked(ann, "open", second.request(token=first.token))
    assert (told.status, told.text) == (409, "Federation token already used")


async def test_the_same_node_gets_the_same_answer_whether_the_admin_pulses_or_not(
    ann: Customer,
) -> None:
    node = await Node.invited_to(ann, "open")
    first = node.answer(await asked(ann, "open", node.request()))
    assert first.ok
    await ordered(ann, "open", "startPulse")
    try:
        assert node.answer(await asked(ann, "open", node.request())) == first
    finally:
        await ordered(ann, "open", "stopPulse")
    assert node.answer(await asked(ann, "open", node.request())) == first


async def test_who_calls_more_than_ten_times_a_minute_waits(ann: Customer) -> None:
    calls = (asked(ann, "nothing", b"", f"2001:db8::{number}") for number in range(10))
    assert {told.status for told in await asyncio.gather(*calls)} == {400}
    node = await Node.invited_to(ann, "open")
    told = await asked(ann, "open", node.request(), "2001:db8::a")
    assert (told.status, told.text) == (429, "At most 10 such calls a minute are answered")
    assert node.answer(await asked(ann, "open", node.request(), "2001:db8:1::2")).ok


async def test_more_than_64_kib_are_not_read(ann: Customer) -> None:
    told = await asked(ann, "open", b"A" * 65_537)
    assert (told.status, told.text) == (413, "The body has more than 65536 bytes")


async def test_a_signature_is_not_asked_for_and_every_other_call_wants_one(ann: Customer) -> None:
    async with ann.session.get(f"{ann.url}/symetry/rest/{ann.cid}/fedml/open/info") as response:
        assert response.status in (400, 401)
        assert json.loads(await response.read())["values"] == {}
