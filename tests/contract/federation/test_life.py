"""How a federation begins and ends in its transport, and how peers come, go and come back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tally.federation.messages import MessageType
from tally.federation.transport import TransportUnavailable
from tests.contract.federation.conftest import Meeting, Peer, new_peer

if TYPE_CHECKING:
    from tally.federation.keys import FederationKeys


async def test_what_is_created_twice_is_there_once_with_all_that_is_in_it(
    peers: list[Peer],
) -> None:
    message = peers[0].message()
    await peers[0].transport.publish(message)
    await peers[0].transport.create()
    (delivery,) = await peers[1].next()
    assert delivery.data == message.data
    assert await peers[1].nothing()


async def test_a_place_survives_the_restart_of_its_peer(peers: list[Peer]) -> None:
    first, second = peers[0].message(), peers[0].message()
    await peers[0].transport.publish(first)
    await peers[1].next()
    await peers[1].transport.close()
    await peers[0].transport.publish(second)
    await peers[1].restart()
    (delivery,) = await peers[1].next()
    assert delivery.data == second.data
    assert await peers[1].nothing()


async def test_a_closed_transport_refuses_every_call(peers: list[Peer]) -> None:
    transport, message = peers[1].transport, peers[1].message()
    await transport.close()
    for call in (transport.now_ms(), transport.publish(message), transport.poll(1, 1.0)):
        with pytest.raises(TransportUnavailable):
            await call


async def test_a_leaver_takes_its_place_and_its_last_snapshot_along(
    peers: list[Peer], meeting: Meeting, keys: FederationKeys
) -> None:
    leaver = peers[1]
    message = leaver.large(b"statistics")
    await leaver.transport.publish_snapshot(message)
    await leaver.transport.cleanup_node(withdraw=True)
    assert message.reference is not None
    assert await peers[0].transport.fetch(message.reference, 10) is None
    late = new_peer(meeting, keys)
    await late.transport.connect()
    assert await late.nothing()
    await late.transport.close()


async def test_a_leaver_may_leave_its_last_snapshot_behind(
    peers: list[Peer], meeting: Meeting, keys: FederationKeys
) -> None:
    message = peers[1].large(b"statistics")
    await peers[1].transport.publish_snapshot(message)
    await peers[1].transport.cleanup_node(withdraw=False)
    late = new_peer(meeting, keys)
    await late.transport.connect()
    (delivery,) = await late.next()
    assert delivery.data == message.data
    assert message.reference is not None
    assert await late.transport.fetch(message.reference, 10) == b"statistics"
    await late.transport.close()


async def test_who_has_left_begins_anew_if_it_comes_back(peers: list[Peer]) -> None:
    message = peers[0].message()
    await peers[0].transport.publish(message)
    await peers[1].next()
    await peers[1].transport.cleanup_node(withdraw=True)
    await peers[1].restart()
    (delivery,) = await peers[1].next()
    assert delivery.data == message.data


async def test_nobody_connects_to_what_was_dissolved_until_it_is_made_again(
    peers: list[Peer],
) -> None:
    admin, peer, _ = peers
    await admin.transport.publish(admin.message())
    await admin.transport.dissolve()
    await admin.transport.dissolve()
    with pytest.raises(TransportUnavailable):
        await peer.lost()
    for each in (admin, peer):
        with pytest.raises(TransportUnavailable):
            await each.transport.connect()
    admin.transport = admin.again()
    await admin.transport.create()
    await peer.restart()
    assert await peer.nothing()


async def test_a_restart_of_the_broker_loses_snapshots_and_keeps_the_rest(
    lossy_peers: list[Peer], lossy_meeting: Meeting
) -> None:
    admin, peer, _ = lossy_peers
    roster, alive = admin.message(MessageType.ROSTER), admin.message()
    large = admin.large(b"statistics")
    await admin.transport.publish_state("roster", roster)
    await admin.transport.publish(alive)
    await admin.transport.publish_snapshot(large)
    await asyncio.to_thread(lossy_meeting.restart)
    with pytest.raises(TransportUnavailable):
        await peer.lost()
    with pytest.raises(TransportUnavailable):
        await admin.transport.publish(admin.message())
    await admin.transport.connect()
    await peer.transport.connect()
    assert [delivery.data for delivery in await peer.next(2)] == [roster.data, alive.data]
    assert await peer.nothing()
    assert large.reference is not None
    assert await peer.transport.fetch(large.reference, 10) is None
    await admin.transport.publish_snapshot(large)
    (delivery,) = await peer.next()
    assert delivery.data == large.data
    assert await peer.transport.fetch(large.reference, 10) == b"statistics"
