"""Control messages and the admin's states: who gets them, how often, and in which order."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from tally.federation.envelope import parse
from tally.federation.messages import MessageType
from tally.federation.transport import Delivery
from tests.contract.federation.conftest import (
    ACK_WAIT_S,
    SHORT_ACK_WAIT_S,
    Peer,
)

DELIVERIES = 5


def kinds(deliveries: list[Delivery]) -> list[MessageType]:
    return [parse(delivery.data).header.type for delivery in deliveries]


async def test_control_messages_come_to_every_peer_in_their_order(peers: list[Peer]) -> None:
    messages = [peers[1].message() for _ in range(3)]
    for message in messages:
        await peers[1].transport.publish(message)
    for peer in peers:
        came = await peer.next(3)
        assert [delivery.data for delivery in came] == [message.data for message in messages]
        assert await peer.nothing()


async def test_what_was_acknowledged_never_comes_again(peers: list[Peer]) -> None:
    await peers[0].transport.publish_state("roster", peers[0].message(MessageType.ROSTER))
    await peers[0].transport.publish(peers[0].message())
    await peers[0].transport.publish_snapshot(peers[0].message(MessageType.SYNC))
    await peers[1].next(3)
    await asyncio.sleep(1.1 * ACK_WAIT_S)
    assert await peers[1].nothing()


async def test_what_is_not_acknowledged_in_time_comes_again_until_it_is(peers: list[Peer]) -> None:
    await peers[0].transport.publish_state("roster", peers[0].message(MessageType.ROSTER))
    await peers[0].transport.publish(peers[0].message())
    first = await peers[1].next(2, acknowledge=False)
    assert await peers[1].nothing()
    again = await peers[1].next(2)
    assert {each.data for each in again} == {each.data for each in first}
    assert await peers[1].nothing(1.5 * ACK_WAIT_S)


async def test_what_is_never_acknowledged_comes_five_times(impatient_peers: list[Peer]) -> None:
    admin, peer, _ = impatient_peers
    await admin.transport.publish_state("roster", admin.message(MessageType.ROSTER))
    await admin.transport.publish(admin.message())
    await admin.transport.publish_snapshot(admin.message(MessageType.SYNC))
    came = await peer.next(3 * DELIVERIES, acknowledge=False)
    assert set(Counter(delivery.data for delivery in came).values()) == {DELIVERIES}
    assert await peer.nothing(4 * SHORT_ACK_WAIT_S)


async def test_only_the_last_of_each_state_comes_in_the_order_in_which_they_were_taken(
    peers: list[Peer],
) -> None:
    admin = peers[0]
    control, contract = admin.message(), admin.message(MessageType.CONTRACT)
    older, newer = admin.message(MessageType.ROSTER), admin.message(MessageType.ROSTER)
    await admin.transport.publish(control)
    await admin.transport.publish_state("contract", contract)
    await admin.transport.publish_state("roster", older)
    await admin.transport.publish_state("roster", newer)
    came = [delivery.data for delivery in await peers[1].next(3)]
    assert came == [contract.data, newer.data, control.data]
    assert await peers[1].nothing()


async def test_a_delivery_bears_the_moment_at_which_the_broker_took_it(peers: list[Peer]) -> None:
    before_ms = await peers[0].transport.now_ms()
    await peers[0].transport.publish(peers[0].message())
    await peers[0].transport.publish_state("roster", peers[0].message(MessageType.ROSTER))
    after_ms = await peers[0].transport.now_ms()
    for delivery in await peers[1].next(2):
        assert before_ms <= delivery.broker_ms <= after_ms


async def test_the_broker_tells_its_clock(peers: list[Peer]) -> None:
    before_ms = time.time() * 1000
    now_ms = await peers[0].transport.now_ms()
    assert before_ms - 1 <= now_ms <= time.time() * 1000 + 1


async def test_states_come_before_what_the_broker_took_after_them(peers: list[Peer]) -> None:
    for _ in range(10):
        await peers[0].transport.publish_state("roster", peers[0].message(MessageType.ROSTER))
        await peers[1].transport.publish(peers[1].message())
        await peers[1].transport.publish_snapshot(peers[1].message(MessageType.SYNC))
        came = kinds(await peers[2].next(3))
        assert came[0] is MessageType.ROSTER
        assert len(came) == 3
