"""The streams of a federation: how large, whose, and what is left of them."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

import pytest
import structlog.testing
from nats.js import api

from tally.errors import Conflict
from tally.federation.envelope import Reference
from tally.federation.nats.layout import SYNC_BYTES
from tally.federation.nats.names import Names
from tally.federation.nats.transport import NatsTransport
from tally.federation.transport import TransportFull, TransportRefused, TransportUnavailable
from tests.federation.over_nats import (
    MEBIBYTE,
    access_to,
    admin_at,
    jetstream,
    message,
    new_identity,
    new_keys,
    snapshot,
    streams,
)

if TYPE_CHECKING:
    from tests.conftest import Server, StartServer


def of_memory(start_server: StartServer, most: str) -> Server:
    account = f"jetstream: {{ max_mem: {most}, max_file: 1GB }}"
    users = 'users: [{ user: "a", password: "b" }]'
    extra = (f"accounts {{ fed {{ {users}, {account} }} }}", 'no_auth_user: "a"')
    return start_server("nats", extra=extra)


@pytest.mark.parametrize(("most", "left"), [("200MB", 128), ("84MB", 16)])
async def test_a_server_of_little_memory_gets_a_smaller_store_that_takes_three_megabytes(
    most: str, left: int, start_server: StartServer
) -> None:
    server, keys, identity = of_memory(start_server, most), new_keys(), new_identity()
    transport = NatsTransport(access_to(server), keys, identity, admin=True)
    with structlog.testing.capture_logs() as lines:
        await transport.create()
    halvings = [line["asked_bytes"] for line in lines if line["log_level"] == "warning"]
    assert halvings == [2**i * MEBIBYTE for i in range(10, left.bit_length() - 1, -1)]
    await transport.connect()
    async with jetstream(server) as js:
        config = (await js.stream_info(Names(keys.fid).object_stream)).config
    assert config.max_bytes == left * MEBIBYTE
    sent = snapshot(keys, identity, secrets.token_bytes(3 * MEBIBYTE))
    await transport.publish_snapshot(sent)
    assert sent.reference is not None
    assert await transport.fetch(sent.reference, len(sent.body)) == sent.body
    await transport.dissolve()
    assert await streams(server, keys) == []


@pytest.mark.parametrize(("most", "asked"), [("200MB", 1024 * MEBIBYTE), ("70MB", None)])
async def test_a_server_without_the_memory_is_refused(
    most: str, asked: int | None, start_server: StartServer
) -> None:
    server, keys = of_memory(start_server, most), new_keys()
    refused = admin_at(server, keys, memory_bytes=asked)
    with pytest.raises(TransportRefused, match=r"insufficient memory|resource limits"):
        await refused.create()
    await refused.dissolve()
    assert await streams(server, keys) == []


async def test_a_full_store_gives_up_our_own_objects_and_then_says_that_it_is_full(
    nats_server: Server,
) -> None:
    keys, identity = new_keys(), new_identity()
    access = access_to(nats_server, memory_bytes=2 * MEBIBYTE)
    transport = NatsTransport(access, keys, identity, admin=True)
    await transport.create()
    await transport.connect()
    for seq in (1, 2):
        sent = snapshot(keys, identity, secrets.token_bytes(3 * MEBIBYTE // 2), seq)
        await transport.publish_snapshot(sent)
        assert sent.reference is not None
        assert await transport.fetch(sent.reference, len(sent.body)) == sent.body
    with pytest.raises(TransportFull):
        await transport.publish_snapshot(snapshot(keys, identity, bytes(3 * MEBIBYTE), 3))
    async with jetstream(nats_server) as js:
        assert (await js.stream_info(Names(keys.fid).object_stream)).state.bytes == 0
    assert await transport.now_ms() > 0  # and the connection is as good as before
    await transport.dissolve()


async def test_snapshots_of_others_are_not_forgotten_for_a_newcomers(nats_server: Server) -> None:
    keys, identity, access = new_keys(), new_identity(), access_to(nats_server)
    transport = NatsTransport(access, keys, identity, admin=True)
    newcomer = NatsTransport(access, keys, new_identity(), admin=False)
    await transport.create()
    for each in (transport, newcomer):
        await each.connect()
    await transport.publish_snapshot(snapshot(keys, identity, b"ours"))
    async with jetstream(nats_server) as js:
        for number in range(SYNC_BYTES // 1_000_000):
            await js.publish(Names(keys.fid).sync_of(f"other{number}"), bytes(1_000_000))
        large = snapshot(keys, identity, bytes(250_000), inline=True)
        with pytest.raises(TransportFull, match="maximum bytes exceeded"):
            await newcomer.publish_snapshot(large)
    # Who has a place keeps it.
    await transport.publish_snapshot(snapshot(keys, identity, b"anew", 2))
    await transport.dissolve()
    await newcomer.close()


async def test_pieces_of_an_object_that_was_never_finished_are_removed(
    nats_server: Server,
) -> None:
    keys, identity, other = new_keys(), new_identity(), new_identity()
    names = Names(keys.fid)
    transport = NatsTransport(access_to(nats_server), keys, identity, admin=True)
    await transport.create()
    await transport.connect()
    sent = snapshot(keys, identity, b"statistics", 2)
    theirs = names.pieces_of(f"{other.uuid}/1-1-00")
    async with jetstream(nats_server) as js:
        # As a peer leaves them that dies while it stores them.
        for pieces in (names.pieces_of(f"{identity.uuid}/1-1-00"), theirs):
            await js.publish(pieces, bytes(1000))
        await transport.publish_snapshot(sent)
        left = (await js.stream_info(names.object_stream, ">")).state.subjects
    assert sent.reference is not None
    key = sent.reference.key
    assert set(left or ()) == {names.pieces_of(key), names.description_of(key), theirs}
    await transport.dissolve()


async def test_an_object_is_one_that_other_clients_of_nats_can_read(nats_server: Server) -> None:
    keys, identity = new_keys(), new_identity()
    transport = NatsTransport(access_to(nats_server), keys, identity, admin=True)
    await transport.create()
    await transport.connect()
    sent = snapshot(keys, identity, secrets.token_bytes(MEBIBYTE))
    await transport.publish_snapshot(sent)
    assert sent.reference is not None
    async with jetstream(nats_server) as js:
        store = await js.object_store(Names(keys.fid).bucket)
        assert (await store.get(sent.reference.key)).data == sent.body
    for key in ("no-such/1-1-00", f"{identity.uuid}/../x", "*/1-1", ""):
        assert await transport.fetch(Reference("nats", key), len(sent.body)) is None
    await transport.dissolve()


async def test_a_server_of_small_messages_gets_small_ones(start_server: StartServer) -> None:
    server, keys, identity = (
        start_server("nats", extra=["max_payload: 65536"]),
        new_keys(),
        new_identity(),
    )
    transport = NatsTransport(access_to(server), keys, identity, admin=True)
    await transport.create()
    await transport.connect()
    assert transport.inline_bytes == 32768
    sent = snapshot(keys, identity, secrets.token_bytes(MEBIBYTE))
    await transport.publish_snapshot(sent)
    assert sent.reference is not None
    assert await transport.fetch(sent.reference, len(sent.body)) == sent.body
    too_large = message(keys, identity, payload=bytes(65536))
    with pytest.raises(TransportFull, match="max_payload"):
        await transport.publish(too_large)
    await transport.publish(message(keys, identity, payload=bytes(transport.inline_bytes)))
    await transport.dissolve()


@pytest.mark.parametrize("which", ["sync", "control", "state", "object_stream"])
async def test_a_stream_of_another_use_is_neither_taken_nor_removed(
    which: str, nats_server: Server
) -> None:
    keys = new_keys()
    name = getattr(Names(keys.fid), which)
    async with jetstream(nats_server) as js:
        await js.add_stream(api.StreamConfig(name=name, subjects=[f"else.{keys.fid}"]))
        transport = admin_at(nats_server, keys)
        with pytest.raises(Conflict, match=name):
            await transport.create()
        with pytest.raises(TransportRefused, match=name):
            await transport.connect()
        await transport.dissolve()
        assert await streams(nats_server, keys) == [name]
        await js.delete_stream(name)


async def test_a_stream_of_another_name_that_takes_our_messages_is_a_conflict(
    nats_server: Server,
) -> None:
    keys = new_keys()
    name, subject = f"else-{keys.fid}", Names(keys.fid).control_of("*")
    async with jetstream(nats_server) as js:
        await js.add_stream(api.StreamConfig(name=name, subjects=[subject]))
        transport = admin_at(nats_server, keys)
        with pytest.raises(Conflict, match="overlap"):
            await transport.create()
        with pytest.raises(TransportRefused, match="overlap"):
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


async def test_the_admin_makes_what_is_missing_and_leaves_what_another_has_made(
    nats_server: Server,
) -> None:
    keys = new_keys()
    names, first = Names(keys.fid), admin_at(nats_server, keys, memory_bytes=2 * MEBIBYTE)
    await first.create()
    async with jetstream(nats_server) as js:
        await js.delete_stream(names.sync)
        again = admin_at(nats_server, keys, memory_bytes=4 * MEBIBYTE)
        await again.connect()
        assert (await js.stream_info(names.object_stream)).config.max_bytes == 2 * MEBIBYTE
        assert (await js.stream_info(names.sync)).config.max_msgs_per_subject == 1
    await again.dissolve()


async def test_what_came_of_an_earlier_stream_acknowledges_nothing_in_one_of_the_same_name(
    nats_server: Server,
) -> None:
    keys, identity, access = new_keys(), new_identity(), access_to(nats_server)
    transport = NatsTransport(access, keys, identity, admin=True, ack_wait_s=0.5)
    await transport.create()
    await transport.connect()
    await transport.publish(message(keys, identity))
    (older,) = await transport.poll(10, 5.0)
    await NatsTransport(access, keys, identity, admin=True).dissolve()
    await transport.connect()
    newer = message(keys, identity)
    await transport.publish(newer)
    assert [each.data for each in await transport.poll(10, 5.0)] == [newer.data]
    await transport.acknowledge(older.token)
    (again,) = await transport.poll(10, 5.0)
    assert again.data == newer.data
    await transport.acknowledge(again.token)
    assert await transport.poll(10, 1.0) == []
    await transport.dissolve()


async def test_a_call_that_is_cancelled_as_its_answer_comes_is_cancelled(
    nats_server: Server,
) -> None:
    transport = admin_at(nats_server)
    await transport.create()
    await transport.connect()
    for delay_s in (i / 10_000 for i in range(40)):
        for call in (transport.now_ms(), transport.poll(10, 60.0)):
            calling: asyncio.Future[object] = asyncio.ensure_future(call)
            await asyncio.sleep(delay_s)
            if not calling.done():
                calling.cancel()
                _, late = await asyncio.wait([calling], timeout=5.0)
                assert not late
                assert calling.cancelled()
    await transport.dissolve()
