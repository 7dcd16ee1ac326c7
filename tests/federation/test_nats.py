"""What NATS has of its own: credentials, streams, memory, and peers that run over it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import nats
import nkeys  # type: ignore[import-untyped]
import pytest
from nats.js import JetStreamContext, api

from tally.clock import SystemClock
from tally.codec import project as codec
from tally.errors import Conflict, InvalidInput
from tally.federation.driver import Driver
from tally.federation.effects import Invited, Rebuild
from tally.federation.envelope import Draft, Reference, Sealed, seal
from tally.federation.events import Invite, Leave
from tally.federation.keys import FederationKeys, Identity
from tally.federation.messages import MessageType, SyncInfo
from tally.federation.nats.access import NatsAccess
from tally.federation.nats.transport import NatsTransport
from tally.federation.peer import Peer
from tally.federation.simulation.statistics_site import StatisticsSite
from tally.federation.simulation.tables import share_of
from tally.federation.simulation.world import MemoryJournal
from tally.federation.state import NodeState, Settings, created, joining
from tally.federation.statistics import StatisticsRules
from tally.federation.transport import TransportFull, TransportRefused, TransportUnavailable
from tests.federation.iris import base_columns

if TYPE_CHECKING:
    from tests.conftest import Server, StartServer

MEBIBYTE = 1024 * 1024


def new_keys() -> FederationKeys:
    return FederationKeys("over nats", secrets.token_bytes(16))


def new_identity() -> Identity:
    return Identity(secrets.token_hex(16), secrets.token_bytes(32))


def access_to(server: Server, **more: str) -> NatsAccess:
    return NatsAccess.parse({"nats_hosts": ",".join(server.hosts), **more})


def snapshot(keys: FederationKeys, identity: Identity, body: bytes, seq: int = 1) -> Sealed:
    info = SyncInfo(
        round=1, rows=1, attrs=1, schema_hash="", version="1-1", allow_explore=True,
        contract_hash="", provenance=(),
    )  # fmt: skip
    draft = Draft(MessageType.SYNC, "*", 1, seq, 0, body, info)
    reference = Reference("nats", f"{identity.uuid}/1-{seq}")
    return seal(draft, keys, identity, secrets.token_bytes, encrypt=True, reference=reference)


@asynccontextmanager
async def jetstream(server: Server) -> AsyncIterator[JetStreamContext]:
    client = await nats.connect(f"nats://{server.hosts[0]}")
    try:
        yield client.jetstream()
    finally:
        await client.close()


async def streams(server: Server, keys: FederationKeys) -> list[str]:
    async with jetstream(server) as js:
        names = [str(info.config.name) for info in await js.streams_info()]
    return [name for name in names if keys.fid in name]


def small(start_server: StartServer, max_mem: str) -> Server:
    account = f"jetstream: {{ max_mem: {max_mem}, max_file: 1GB }}"
    users = 'users: [{ user: "a", password: "b" }]'
    extra = (f"accounts {{ fed {{ {users}, {account} }} }}", 'no_auth_user: "a"')
    return start_server("nats", extra=extra)


async def test_a_server_of_little_memory_gets_a_smaller_store_that_takes_three_megabytes(
    start_server: StartServer,
) -> None:
    server, keys, identity = small(start_server, "200MB"), new_keys(), new_identity()
    transport = NatsTransport(access_to(server), keys, identity, admin=True)
    await transport.create()
    await transport.connect()
    async with jetstream(server) as js:
        config = (await js.stream_info(f"OBJ_SMLFED_{keys.fid}")).config
    assert config.max_bytes == 128 * MEBIBYTE
    message = snapshot(keys, identity, secrets.token_bytes(3 * MEBIBYTE))
    await transport.publish_snapshot(message)
    assert message.reference is not None
    assert await transport.fetch(message.reference, len(message.body)) == message.body
    await transport.dissolve()
    assert await streams(server, keys) == []
    asked = access_to(server, nats_stream_max_memory=str(1024 * MEBIBYTE))
    refused = NatsTransport(asked, keys, identity, admin=True)
    with pytest.raises(TransportRefused):
        await refused.create()
    await refused.dissolve()


async def test_a_full_store_gives_up_our_own_objects_and_then_says_that_it_is_full(
    nats_server: Server,
) -> None:
    keys, identity = new_keys(), new_identity()
    access = access_to(nats_server, nats_stream_max_memory=str(2 * MEBIBYTE))
    transport = NatsTransport(access, keys, identity, admin=True)
    await transport.create()
    await transport.connect()
    for seq in (1, 2):
        message = snapshot(keys, identity, secrets.token_bytes(3 * MEBIBYTE // 2), seq)
        await transport.publish_snapshot(message)
        assert message.reference is not None
        assert await transport.fetch(message.reference, len(message.body)) == message.body
    with pytest.raises(TransportFull):
        await transport.publish_snapshot(snapshot(keys, identity, bytes(3 * MEBIBYTE), 3))
    assert await transport.now_ms() > 0  # and the connection is as good as before
    await transport.dissolve()


async def test_a_stream_of_another_use_is_neither_taken_nor_removed(nats_server: Server) -> None:
    keys = new_keys()
    name = f"SMLFED_{keys.fid}_CTL"
    async with jetstream(nats_server) as js:
        await js.add_stream(api.StreamConfig(name=name, subjects=[f"else.{keys.fid}"]))
        transport = NatsTransport(access_to(nats_server), keys, new_identity(), admin=True)
        with pytest.raises(Conflict, match=name):
            await transport.create()
        with pytest.raises(TransportRefused, match=name):
            await transport.connect()
        await transport.dissolve()
        assert await streams(nats_server, keys) == [name]
        await js.delete_stream(name)


async def test_what_a_restart_lost_is_made_by_another_peer_once_the_admin_had_its_time(
    private_nats: Server,
) -> None:
    keys, access = new_keys(), access_to(private_nats)
    admin = NatsTransport(access, keys, new_identity(), admin=True)
    peer = NatsTransport(access, keys, new_identity(), admin=False, recreate_after_s=0.3)
    await admin.create()
    await peer.connect()
    await asyncio.to_thread(private_nats.restart)
    with pytest.raises(TransportUnavailable, match="the admin is waited for"):
        await peer.connect()
    await asyncio.sleep(0.4)
    await peer.connect()
    assert len(await streams(private_nats, keys)) == 4
    # What was dissolved, nobody but the admin makes again.
    await admin.dissolve()
    for _ in range(2):
        with pytest.raises(TransportUnavailable, match="do not exist"):
            await peer.connect()
        await asyncio.sleep(0.4)
    assert await streams(private_nats, keys) == []
    await peer.close()


@pytest.mark.parametrize(
    "wrong", [{"nats_sec_user": "test", "nats_sec_passwd": "hush-hush"}, {"nats_sec_token": "hush"}]
)
async def test_wrong_credentials_are_refused_and_not_shown(
    start_server: StartServer, wrong: dict[str, str]
) -> None:
    server = start_server("nats", auth=True)
    transport = NatsTransport(access_to(server, **wrong), new_keys(), new_identity(), admin=True)
    with pytest.raises(TransportRefused) as caught:
        await transport.create()
    assert "hush" not in f"{caught.value}{transport!r}{access_to(server, **wrong)!r}"
    right = access_to(server, nats_sec_user="test", nats_sec_passwd="test")
    let_in = NatsTransport(right, new_keys(), new_identity(), admin=True)
    await let_in.create()
    await let_in.dissolve()


async def test_the_seed_of_an_nkey_and_a_token_let_a_peer_in(start_server: StartServer) -> None:
    seed = nkeys.encode_seed(secrets.token_bytes(32), nkeys.PREFIX_BYTE_USER)
    public = nkeys.from_seed(bytearray(seed)).public_key.decode()
    by_key = start_server("nats", extra=[f"authorization {{ users: [{{ nkey: {public} }}] }}"])
    by_token = start_server("nats", extra=['authorization { token: "abc" }'])
    for access in (
        access_to(by_key, nats_sec_nkey_seed=seed.decode()),
        access_to(by_token, nats_sec_token="abc"),
    ):
        transport = NatsTransport(access, new_keys(), new_identity(), admin=True)
        await transport.create()
        await transport.dissolve()


@pytest.mark.parametrize(
    ("keys", "field"),
    [
        ({"nats_hosts": " , "}, "nats_hosts"),
        ({"nats_hosts": "nats://me:hush@host"}, "nats_hosts"),
        ({"nats_hosts": "http://host"}, "nats_hosts"),
        ({"nats_hosts": "tls://a,nats://b"}, "nats_hosts"),
        ({"nats_hosts": "a", "nats_sec_user": "u"}, "nats_sec_user"),
        ({"nats_hosts": "a", "nats_sec_token": "hush", "nats_sec_nkey_seed": "S"}, "nats_sec_user"),
        ({"nats_hosts": "a", "nats_sec_nkey_seed": "SUhush"}, "nats_sec_nkey_seed"),
        ({"nats_hosts": "a", "nats_req_timeout": "-1"}, "nats_req_timeout"),
        ({"nats_hosts": "a", "nats_stream_max_memory": "1e9"}, "nats_stream_max_memory"),
    ],
)
def test_keys_that_cannot_be_used_are_refused_by_name(keys: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidInput, match=field) as caught:
        NatsAccess.parse(keys)
    assert "hush" not in str(caught.value)


async def test_a_call_that_is_cancelled_as_its_answer_comes_is_cancelled(
    nats_server: Server,
) -> None:
    transport = NatsTransport(access_to(nats_server), new_keys(), new_identity(), admin=True)
    await transport.create()
    await transport.connect()
    for delay_s in (i / 10_000 for i in range(40)):
        call = asyncio.ensure_future(transport.now_ms())
        await asyncio.sleep(delay_s)
        if not call.done():
            call.cancel()
            await asyncio.wait([call])
            assert call.cancelled()
    await transport.dissolve()


class Site(StatisticsSite):
    """A site that tells when its federated project has a number of rows."""

    def __init__(self, uuid: str, number: int) -> None:
        super().__init__(uuid, share_of(base_columns(), number, 3), 9)
        self.rebuilt = asyncio.Event()

    async def rebuild(self, parts: Rebuild) -> str:
        entry = await super().rebuild(parts)
        self.rebuilt.set()
        return entry

    async def has(self, rows: int) -> None:
        while self.federated is None or self.federated.row_count != rows:
            self.rebuilt.clear()
            await self.rebuilt.wait()

    @property
    def bits(self) -> bytes:
        assert self.federated is not None
        return codec.encode(self.federated)


class Node:
    """One peer's machine: its disk and its projects outlive the process."""

    def __init__(self, number: int, access: NatsAccess, keys: FederationKeys, admin: Identity):
        self.identity = admin if number == 0 else new_identity()
        self.site = Site(self.identity.uuid, number)
        self.journal = MemoryJournal()
        self._access, self._keys, self._admin = access, keys, admin
        settings = Settings(
            uuid=self.identity.uuid, name=f"peer {number}", federation="over nats",
            admin=admin.uuid, admin_public=admin.public, encrypt=True, allow_seconds=True,
            inline_bytes=1000,  # all statistics go through the object store
        )  # fmt: skip
        begin = created if number == 0 else joining
        clock = SystemClock()
        now_ms = round(clock.now().timestamp() * 1000)
        self.clock = clock
        self._state = begin(settings, sync_sched="s1", now_ms=now_ms)
        self.start()

    def start(self) -> None:
        """Begin a process; nothing but its disk is known to it."""
        is_admin = self.identity is self._admin
        self.transport = NatsTransport(self._access, self._keys, self.identity, admin=is_admin)
        peer = Peer(self._keys, self.identity, StatisticsRules())
        self.driver = Driver(
            peer, self._keys, self._state, self.transport, self.site, self.journal, self.clock
        )

    async def kill(self, running: asyncio.Task[None]) -> None:
        """End it as kill -9 does to what others see: it says no goodbye and cleans nothing up."""
        running.cancel()
        await asyncio.wait([running])
        self._state = self.driver.state
        await self.transport.close()


async def test_three_peers_agree_and_outlive_a_restart_of_nats_and_the_death_of_a_peer(
    private_nats: Server,
) -> None:
    keys, admin = new_keys(), new_identity()
    access = access_to(private_nats, nats_stream_max_memory=str(32 * MEBIBYTE))
    nodes = [Node(i, access, keys, admin) for i in range(3)]
    first = nodes[0]
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        await first.transport.create()
        for node in nodes:
            await node.driver.begin()
            await node.driver.connect()
        running = [group.create_task(first.driver.run())]
        for node in nodes[1:]:
            effects = await first.driver.tell(Invite(first.driver.now_ms(), 60_000))
            token = next(effect.token for effect in effects if isinstance(effect, Invited))
            await node.driver.join(token)
            running.append(group.create_task(node.driver.run()))
        for node in nodes:
            node.site.learn(50 if node is not nodes[2] else 30)
            await node.driver.start_pulse()
        await asyncio.gather(*(node.site.has(130) for node in nodes))
        assert len({node.site.bits for node in nodes}) == 1
        assert [node.driver.state.errors.entries for node in nodes] == [(), (), ()]

        await asyncio.to_thread(private_nats.restart)
        nodes[2].site.learn(10)
        await asyncio.gather(*(node.site.has(140) for node in nodes))

        await nodes[1].kill(running[1])
        nodes[2].site.learn(10)
        await asyncio.gather(*(nodes[i].site.has(150) for i in (0, 2)))
        nodes[1].start()
        await nodes[1].driver.resume(takeover=True)
        running[1] = group.create_task(nodes[1].driver.run())
        await nodes[1].site.has(150)
        assert len({node.site.bits for node in nodes}) == 1

        await nodes[2].driver.tell(Leave(nodes[2].driver.now_ms()))
        await asyncio.gather(*(nodes[i].site.has(100) for i in (0, 1)))
        async with jetstream(private_nats) as js:
            left = await js.consumers_info(f"SMLFED_{keys.fid}_CTL")
        assert f"node_{nodes[2].identity.uuid}" not in {each.name for each in left}
        await first.driver.tell(Leave(first.driver.now_ms()))
        await running[0]
        assert first.driver.state.node is NodeState.GONE
        for task in running:
            task.cancel()
    for node in nodes:
        await node.transport.close()
    assert await streams(private_nats, keys) == []
