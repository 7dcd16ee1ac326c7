from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from tally.federation.envelope import parse
from tally.federation.messages import MessageType
from tally.federation.transport import TransportUnavailable
from tests.contract.federation_transport.conftest import ACK_WAIT_S, Meeting, Peer, new_peer

if TYPE_CHECKING:
    from tally.federation.keys import FederationKeys


def kinds(data: list[bytes]) -> list[MessageType]:
    return [parse(each).header.type for each in data]


async def test_a_control_message_comes_to_every_peer(peers: list[Peer]) -> None:
    message = peers[1].message()
    await peers[1].transport.publish(message)
    for peer in peers:
        (delivery,) = await peer.next()
        assert delivery.data == message.data
        assert await peer.nothing()


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


async def test_what_is_not_acknowledged_comes_again_and_then_no_more(peers: list[Peer]) -> None:
    message = peers[0].message()
    await peers[0].transport.publish(message)
    await peers[1].next(acknowledge=False)
    (again,) = await peers[1].next()
    assert again.data == message.data
    assert await peers[1].nothing(2 * ACK_WAIT_S)


async def test_a_state_that_is_not_acknowledged_comes_again(peers: list[Peer]) -> None:
    message = peers[0].message(MessageType.ROSTER)
    await peers[0].transport.publish_state("roster", message)
    (first,) = await peers[1].next(acknowledge=False)
    await asyncio.sleep(1.1 * ACK_WAIT_S)
    (again,) = await peers[1].next()
    assert first.data == again.data == message.data
    assert await peers[1].nothing(2 * ACK_WAIT_S)


async def test_a_late_joiner_gets_the_last_snapshot_and_state_and_all_control_messages(
    peers: list[Peer], meeting: Meeting, keys: FederationKeys
) -> None:
    admin = peers[0]
    snapshots = [admin.message(MessageType.SYNC) for _ in range(3)]
    rosters = [admin.message(MessageType.ROSTER) for _ in range(3)]
    alive = [admin.message() for _ in range(2)]
    for snapshot, roster in zip(snapshots, rosters, strict=True):
        await admin.transport.publish_snapshot(snapshot)
        await admin.transport.publish_state("roster", roster)
    for message in alive:
        await admin.transport.publish(message)
    late = new_peer(meeting, keys)
    await late.transport.connect()
    came = [delivery.data for delivery in await late.next(4)]
    assert came[0] == rosters[-1].data
    assert set(came) == {snapshots[-1].data, rosters[-1].data, *(each.data for each in alive)}
    assert await late.nothing()
    await late.transport.close()


async def test_states_come_before_what_the_broker_took_after_them(peers: list[Peer]) -> None:
    for _ in range(10):
        await peers[0].transport.publish_state("roster", peers[0].message(MessageType.ROSTER))
        await peers[1].transport.publish(peers[1].message())
        await peers[1].transport.publish_snapshot(peers[1].message(MessageType.SYNC))
        came = kinds([delivery.data for delivery in await peers[2].next(3)])
        assert came[0] is MessageType.ROSTER
        assert len(came) == 3


async def test_the_last_number_is_the_highest_of_all_that_is_kept(peers: list[Peer]) -> None:
    peer = peers[1]
    assert await peer.transport.last_number() == (0, 0)
    await peer.transport.publish_snapshot(peer.message(MessageType.SYNC))
    await peer.transport.publish(peer.message())
    await peers[2].transport.publish(peers[2].message())
    assert await peer.transport.last_number() == (1, 2)
    await peer.transport.publish_snapshot(peer.message(MessageType.SYNC))
    assert await peer.transport.last_number() == (1, 3)


async def test_a_place_survives_the_restart_of_its_peer(peers: list[Peer]) -> None:
    first, second = peers[0].message(), peers[0].message()
    await peers[0].transport.publish(first)
    await peers[1].next()
    await peers[1].transport.close()
    await peers[0].transport.publish(second)
    await peers[1].restart()
    (delivery,) = await peers[1].next()
    assert delivery.data == second.data


async def test_a_closed_transport_refuses_every_call(peers: list[Peer]) -> None:
    transport, message = peers[1].transport, peers[1].message()
    await transport.close()
    for call in (transport.now_ms(), transport.publish(message), transport.poll(1, 1.0)):
        with pytest.raises(TransportUnavailable):
            await call


async def test_an_object_is_there_as_soon_as_the_message_that_refers_to_it(
    peers: list[Peer],
) -> None:
    body = bytes(range(256)) * 3000
    message = peers[0].large(body)
    await peers[0].transport.publish_snapshot(message)
    (delivery,) = await peers[1].next()
    reference = parse(delivery.data).header.ref
    assert reference is not None
    assert await peers[1].transport.fetch(reference, len(body)) == body
    assert await peers[1].transport.fetch(reference, len(body) - 1) is None


async def test_a_newer_snapshot_takes_the_place_of_an_older_object(peers: list[Peer]) -> None:
    older, newer = peers[0].large(b"older"), peers[0].large(b"newer")
    await peers[0].transport.publish_snapshot(older)
    await peers[0].transport.publish_snapshot(newer)
    assert older.reference is not None
    assert newer.reference is not None
    assert await peers[1].transport.fetch(older.reference, 5) is None
    assert await peers[1].transport.fetch(newer.reference, 5) == b"newer"
    await peers[0].transport.publish_snapshot(peers[0].message(MessageType.SYNC))
    assert await peers[1].transport.fetch(newer.reference, 5) is None


async def test_a_question_is_answered_by_the_peer_that_it_is_for(peers: list[Peer]) -> None:
    question = peers[0].message(MessageType.EXPLORE_REQ, to=peers[1].identity.uuid)
    answer = peers[1].message(MessageType.EXPLORE_REP)

    async def serve() -> None:
        while not (asked := await peers[1].transport.asked(10)):
            await peers[1].transport.poll(10, 1.0)
        assert asked[0].data == question.data
        assert abs(asked[0].broker_ms - await peers[1].transport.now_ms()) < 5000
        await peers[1].transport.reply(asked[0].reply_to, answer)

    serving = asyncio.ensure_future(serve())
    to = peers[1].identity.uuid
    assert await peers[0].transport.request(to, question, 10.0) == answer.data
    await serving
    assert not await peers[2].transport.asked(10)


async def test_a_question_to_nobody_fails_at_once_and_one_to_a_silent_peer_in_time(
    peers: list[Peer],
) -> None:
    question = peers[0].message(MessageType.EXPLORE_REQ, to="f" * 32)
    with pytest.raises(TransportUnavailable, match="nobody listens"):
        await peers[0].transport.request("f" * 32, question, 30.0)
    with pytest.raises(TransportUnavailable, match="did not answer"):
        await peers[0].transport.request(peers[1].identity.uuid, question, 0.2)
    # The connection is as good as before.
    await peers[0].transport.publish(peers[0].message())


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


async def test_nobody_connects_to_what_was_dissolved(peers: list[Peer]) -> None:
    await peers[0].transport.dissolve()
    await peers[0].transport.dissolve()
    with pytest.raises(TransportUnavailable):
        await peers[1].lost()
    with pytest.raises(TransportUnavailable):
        await peers[1].transport.connect()
