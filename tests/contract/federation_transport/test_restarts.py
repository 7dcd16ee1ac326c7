from __future__ import annotations

import asyncio

import pytest

from tally.federation.messages import MessageType
from tally.federation.transport import TransportUnavailable
from tests.contract.federation_transport.conftest import Meeting, Peer


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
    came = [delivery.data for delivery in await peer.next(2)]
    assert set(came) == {roster.data, alive.data}
    assert large.reference is not None
    assert await peer.transport.fetch(large.reference, 10) is None
    await admin.transport.publish_snapshot(large)
    (delivery,) = await peer.next()
    assert delivery.data == large.data
    assert await peer.transport.fetch(large.reference, 10) == b"statistics"
