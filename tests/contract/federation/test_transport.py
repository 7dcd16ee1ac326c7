"""What every transport of a federation promises; a backend is one more factory in `WAYS`."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

import pytest

from tally.errors import Conflict
from tally.federation.envelope import Draft, Reference, Sealed, parse, seal
from tally.federation.keys import FederationKeys, Identity
from tally.federation.memory import MemoryBroker, MemoryTransport
from tally.federation.messages import MessageType, SyncInfo
from tally.federation.transport import Delivery, Transport, TransportUnavailable

KEYS = FederationKeys("contract", bytes(16))
ALICE, BOB = "a" * 32, "b" * 32


@dataclass
class Way:
    """A broker, and how to reach it as somebody.

    Attributes:
        restart: ends the broker and begins it again, without what it holds in memory.
        pass_s: lets so many seconds pass for the broker.
    """

    to: Callable[[str], Transport]
    restart: Callable[[], None]
    pass_s: Callable[[float], None]


def memory() -> Way:
    time_ms = [1_700_000_000_000]

    def pass_s(seconds: float) -> None:
        time_ms[0] += round(seconds * 1000)

    broker = MemoryBroker(lambda: time_ms[0])
    return Way(lambda uuid: MemoryTransport(broker, uuid), broker.restart, pass_s)


WAYS = {"memory": memory}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    return WAYS[request.param]()


@pytest.fixture
async def alice(way: Way) -> AsyncIterator[Transport]:
    transport = way.to(ALICE)
    await transport.create()
    await transport.connect()
    yield transport
    await transport.close()


@pytest.fixture
async def bob(way: Way, alice: Transport) -> AsyncIterator[Transport]:
    transport = way.to(BOB)
    await transport.connect()
    yield transport
    await transport.close()


def message(seq: int, *, by: str = ALICE, kind: MessageType = MessageType.ALIVE) -> Sealed:
    """Return a message, of which these tests tell others by its number."""
    info = SyncInfo(0, 0, 0, "", "", True, "", ())
    is_sync = kind is MessageType.SYNC
    reference = Reference("nats", f"{by}/1-{seq}") if is_sync else None
    draft = (
        Draft(kind, "*", 1, seq, 0, b"statistics", info)
        if is_sync
        else Draft(kind, "*", 1, seq, 0, b"{}")
    )
    identity = Identity(by, bytes(32))
    return seal(draft, KEYS, identity, secrets.token_bytes, encrypt=False, reference=reference)


def numbers(deliveries: Sequence[Delivery]) -> list[int]:
    return [parse(delivery.data).header.seq for delivery in deliveries]


async def take(transport: Transport) -> list[Delivery]:
    """Return all that has come, acknowledged."""
    found: list[Delivery] = []
    while more := await transport.poll(10, 0.05):
        for delivery in more:
            await transport.acknowledge(delivery.token)
        found += more
    return found


async def test_a_message_reaches_everyone_once_acknowledged(
    way: Way, alice: Transport, bob: Transport
) -> None:
    await alice.publish(message(1))
    await alice.publish(message(2))
    for transport in (alice, bob):
        assert numbers(await take(transport)) == [1, 2]
        way.pass_s(61)
        assert await take(transport) == []


async def test_it_comes_again_until_it_is_acknowledged_but_not_for_ever(
    way: Way, alice: Transport, bob: Transport
) -> None:
    await alice.publish(message(1))
    times = 0
    for _ in range(8):
        times += len(await bob.poll(10, 0.01))
        way.pass_s(61)
    assert times == 5


async def test_a_place_survives_the_peers_restart(
    way: Way, alice: Transport, bob: Transport
) -> None:
    await alice.publish(message(1))
    await take(bob)
    await bob.close()
    await alice.publish(message(2))
    again = way.to(BOB)
    await again.connect()
    assert numbers(await take(again)) == [2]


async def test_of_snapshots_the_last_of_each_peer_is_kept(
    way: Way, alice: Transport, bob: Transport
) -> None:
    for seq in (1, 2, 3):
        await alice.publish_snapshot(message(seq, kind=MessageType.SYNC))
    await bob.publish_snapshot(message(7, by=BOB, kind=MessageType.SYNC))
    late = way.to("c" * 32)
    await late.connect()
    assert sorted(numbers(await take(late))) == [3, 7]
    assert await late.fetch(Reference("nats", f"{ALICE}/1-3"), 10) == b"statistics"
    assert await late.fetch(Reference("nats", f"{ALICE}/1-3"), 11) is None
    assert await late.fetch(Reference("nats", f"{ALICE}/1-2"), 10) is None


async def test_a_poll_begins_with_the_admins_states(alice: Transport, bob: Transport) -> None:
    await alice.publish(message(1))
    await alice.publish_state("contract", message(2))
    await alice.publish_state("roster", message(3))
    await alice.publish_state("roster", message(4))
    assert numbers(await take(bob)) == [2, 4, 1]


async def test_a_delivery_tells_when_the_broker_took_it(
    way: Way, alice: Transport, bob: Transport
) -> None:
    before = await alice.now_ms()
    await alice.publish(message(1))
    way.pass_s(30)
    (delivery,) = await take(bob)
    assert before <= delivery.broker_ms < await bob.now_ms()


async def test_a_peer_can_ask_what_it_sent_last(alice: Transport, bob: Transport) -> None:
    assert await alice.last_number() == (0, 0)
    await alice.publish(message(4))
    await alice.publish_snapshot(message(3, kind=MessageType.SYNC))
    assert await alice.last_number() == (1, 4)
    assert await bob.last_number() == (0, 0)


async def test_a_request_without_a_listener_or_an_answer_is_unavailable(
    alice: Transport, bob: Transport
) -> None:
    with pytest.raises(TransportUnavailable):
        await alice.request("c" * 32, message(1), 0.05)
    with pytest.raises(TransportUnavailable):
        await alice.request(BOB, message(1), 0.05)


async def test_a_broker_that_restarts_keeps_control_messages_and_loses_snapshots(
    way: Way, alice: Transport, bob: Transport
) -> None:
    await alice.publish(message(1))
    await alice.publish_state("roster", message(2))
    await alice.publish_snapshot(message(3, kind=MessageType.SYNC))
    way.restart()
    with pytest.raises(TransportUnavailable):
        await bob.poll(10, 0.01)
    await bob.connect()
    assert numbers(await take(bob)) == [2, 1]


async def test_who_withdraws_leaves_nothing(way: Way, alice: Transport, bob: Transport) -> None:
    await bob.publish_snapshot(message(7, by=BOB, kind=MessageType.SYNC))
    await bob.cleanup_node(withdraw=True)
    assert await take(alice) == []
    assert await alice.fetch(Reference("nats", f"{BOB}/1-7"), 10) is None


async def test_a_federation_is_made_once_and_dissolved_for_all(way: Way, alice: Transport) -> None:
    with pytest.raises(Conflict):
        await way.to(BOB).create()
    await alice.dissolve()
    with pytest.raises(TransportUnavailable):
        await way.to(BOB).connect()
    await alice.create()
