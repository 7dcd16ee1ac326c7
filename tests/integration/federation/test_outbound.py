"""Where a customer's maps may have a worker connect to."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from aiohttp import web

from model_api.federation.joining import AdminByHttp
from model_api.fusion.limits import FusionLimits
from model_api.fusion.remote import remote_session
from tally.federation.errors import CannotJoin
from tally.networks import Networks
from tests.integration.federation.peers import OPTIONS, create, invited, join, servers
from tests.integration.fusion.servers import customer, server
from tests.integration.symetry.customer import Customer

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = "/symetry/rest/ann/fedml/p/createPolicies"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def owners(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[Customer]]:
    """Give a customer of a server that connects anywhere, and one of a server that does not."""
    folder = tmp_path_factory.mktemp("outbound")
    async with (
        servers(folder, 1) as (ann,),
        server(folder / "careful", OPTIONS, outbound_networks="") as careful,
    ):
        yield [ann, await customer(careful, "bob")]


async def test_a_broker_on_the_workers_own_machine_is_not_connected_to(
    owners: list[Customer],
) -> None:
    asked = asyncio.Event()

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        writer.close()

    _, bob = owners
    async with await asyncio.start_server(met, "127.0.0.1", 0) as inner:
        url = f"nats://localhost:{inner.sockets[0].getsockname()[1]}"
        told = await create(bob, "inwards", nats_hosts=url)
    reason = f"NATS: {url}: its address is not among the allowed networks"
    assert (told.status, told.text) == (400, f"Cannot create federation: {reason}")
    assert not asked.is_set()


async def test_nor_is_an_admin_there_though_he_would_answer(owners: list[Customer]) -> None:
    ann, bob = owners
    assert (await create(ann, "byhttp")).status == 201
    invitation = await invited(ann, "byhttp", fed_rest_host=ann.url)
    # All servers of this process have one broker, where that of another name is not.
    elsewhere = invitation | {"fed_admin_uuid": "a" * 32}
    told = await join(bob, "byhttp", elsewhere)
    assert told.status == 400
    assert told.text == "Cannot join federation: the admin's server does not answer at fed_rest_url"


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:1/", f"ftp://127.0.0.1{PATH}", "http://127.0.0.1:1/admin?" + PATH, PATH],
)
async def test_nothing_but_create_policies_is_asked_for(url: str) -> None:
    async with remote_session(FusionLimits(networks=Networks.parse("127.0.0.1"))) as session:
        with pytest.raises(CannotJoin, match="fed_rest_url is not https://"):
            await AdminByHttp(session, trust_all=False).ask(url, b"request")


async def test_an_answer_is_read_whole_and_no_further_than_its_bound() -> None:
    ack = base64.b64encode(bytes(2**20)).decode()
    async with admin_says(_acknowledged(ack), b" " * (5 * 2**20)) as (admin, url):
        assert await admin.ask(url, b"request") == bytes(2**20)
        with pytest.raises(CannotJoin, match="does not answer"):
            await admin.ask(url, b"request")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"values":{}}', b"\xff", b'{"values":{"joinAck":1}}']
)
async def test_an_answer_that_is_none_lets_nobody_in(body: bytes) -> None:
    async with admin_says(body, _acknowledged("x"), _acknowledged("\u00e9")) as (admin, url):
        for _ in range(3):
            with pytest.raises(CannotJoin, match="did not let this node in"):
                await admin.ask(url, b"request")


def _acknowledged(ack: str) -> bytes:
    return json.dumps({"values": {"joinAck": ack}}, ensure_ascii=False).encode()


@asynccontextmanager
async def admin_says(*bodies: bytes) -> AsyncIterator[tuple[AdminByHttp, str]]:
    """Give who asks admins, and the URL of one that says this, one body after the other."""
    answers = list(bodies)

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        body = answers.pop(0)
        for at in range(0, len(body), 2**16):
            await response.write(body[at : at + 2**16])
        return response

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}"
        async with remote_session(FusionLimits(networks=Networks.parse("127.0.0.1"))) as session:
            yield AdminByHttp(session, trust_all=False), url
    finally:
        await runner.cleanup()
