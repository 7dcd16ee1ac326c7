"""Snapshots, of which the last of each peer is kept, and the objects that they may refer to."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from tally.federation import peer as machines
from tally.federation.effects import PublishSnapshot
from tally.federation.envelope import Reference, Sealed, parse
from tally.federation.events import Received
from tally.federation.keys import FederationKeys
from tally.federation.messages import MessageType, SyncInfo
from tally.federation.simulation.ledger import LedgerRules, write
from tally.federation.state import Approved, Settings, Snapshot, created, digest_of
from tally.federation.transition import Transition
from tests.contract.federation.conftest import Meeting, Peer, new_peer

if TYPE_CHECKING:
    from tally.federation.transport import Delivery


def reference_of(message: Sealed) -> Reference:
    assert message.reference is not None
    return message.reference


async def test_a_late_joiner_gets_the_last_snapshot_and_state_and_all_control_messages(
    peers: list[Peer], meeting: Meeting, keys: FederationKeys
) -> None:
    admin, other, _ = peers
    snapshots = [admin.message(MessageType.SYNC) for _ in range(3)]
    rosters = [admin.message(MessageType.ROSTER) for _ in range(3)]
    alive = [admin.message() for _ in range(2)]
    for snapshot, roster in zip(snapshots, rosters, strict=True):
        await admin.transport.publish_snapshot(snapshot)
        await admin.transport.publish_state("roster", roster)
    for message in alive:
        await admin.transport.publish(message)
    others = other.message(MessageType.SYNC)
    await other.transport.publish_snapshot(others)
    late = new_peer(meeting, keys)
    await late.transport.connect()
    came = [delivery.data for delivery in await late.next(5)]
    assert came[0] == rosters[-1].data
    assert [data for data in came if data in {each.data for each in alive}] == [
        each.data for each in alive
    ]
    assert set(came[1:]) == {snapshots[-1].data, others.data, *(each.data for each in alive)}
    assert await late.nothing()
    await late.transport.close()


async def test_the_last_number_is_the_highest_of_all_that_is_kept_of_us(peers: list[Peer]) -> None:
    peer = peers[1]
    assert await peer.transport.last_number() == (0, 0)
    await peer.transport.publish_snapshot(peer.message(MessageType.SYNC))
    await peer.transport.publish(peer.message())
    assert await peer.transport.last_number() == (1, 2)
    assert await peers[2].transport.last_number() == (0, 0)
    await peers[2].transport.publish(peers[2].message())
    assert await peer.transport.last_number() == (1, 2)
    await peer.transport.publish_snapshot(peer.message(MessageType.SYNC))
    assert await peer.transport.last_number() == (1, 3)


async def test_an_object_is_there_as_soon_as_the_message_that_refers_to_it(
    peers: list[Peer],
) -> None:
    body = bytes(range(256)) * 3000
    await peers[0].transport.publish_snapshot(peers[0].large(body))
    (delivery,) = await peers[1].next()
    reference = parse(delivery.data).header.ref
    assert reference is not None
    assert await peers[1].transport.fetch(reference, len(body)) == body
    assert await peers[1].transport.fetch(reference, len(body) - 1) is None
    assert await peers[1].transport.fetch(reference, len(body) + 1) is None


async def test_a_newer_snapshot_takes_the_place_of_an_older_object(peers: list[Peer]) -> None:
    older, newer, of_another = peers[0].large(b"older"), peers[0].large(b"newer"), b"others"
    others = peers[2].large(of_another)
    await peers[2].transport.publish_snapshot(others)
    await peers[0].transport.publish_snapshot(older)
    await peers[0].transport.publish_snapshot(newer)
    fetch = peers[1].transport.fetch
    assert await fetch(reference_of(older), 5) is None
    assert await fetch(reference_of(newer), 5) == b"newer"
    await peers[0].transport.publish_snapshot(peers[0].message(MessageType.SYNC))
    assert await fetch(reference_of(newer), 5) is None
    assert await fetch(reference_of(others), len(of_another)) == of_another


class Machine:
    """A peer's machine: it publishes a snapshot as often as it is told, and takes others'."""

    def __init__(self, peer: Peer, admin: Peer) -> None:
        self._peer = peer
        self._settings = Settings(
            uuid=peer.identity.uuid, name="", federation="contract", admin=admin.identity.uuid,
            admin_public=admin.identity.public, encrypt=True, inline_bytes=0,
        )  # fmt: skip
        self.state = created(self._settings, sync_sched="m1", now_ms=1)

    async def publish(self, approved: Approved) -> None:
        transport, keys, identity = self._peer.transport, self._peer.keys, self._peer.identity
        work = Transition(self.state, keys, identity, LedgerRules(), secrets.token_bytes)
        work.publish_snapshot(approved, await transport.now_ms())
        (effect,) = work.effects
        assert isinstance(effect, PublishSnapshot)
        await transport.publish_snapshot(effect.message)

    async def take(self, delivery: Delivery) -> None:
        header = parse(delivery.data).header
        assert header.ref is not None
        body = await self._peer.transport.fetch(header.ref, header.size)
        came = Received(0, delivery.data, delivery.broker_ms, body)
        machine = machines.Peer(self._peer.keys, self._peer.identity, LedgerRules())
        self.state = machine.step(self.state, came).state


async def test_what_an_older_pointer_names_is_never_the_bytes_of_a_newer_one(
    peers: list[Peer],
) -> None:
    sender, reader = Machine(peers[0], peers[0]), Machine(peers[1], peers[0])
    info = SyncInfo(
        round=1, rows=1, attrs=1, schema_hash="", version="1-1", allow_explore=True,
        contract_hash="", provenance=(),
    )  # fmt: skip
    payload = write(["a row"])
    snapshot = Snapshot(epoch=1, seq=1, digest=digest_of(payload), info=info, payload=payload)
    approved = Approved(snapshot, 1, 0, b"")
    # Each is encrypted anew: the same statistics under the same number, in other bytes.
    await sender.publish(approved)
    (older,) = await peers[1].next()
    await sender.publish(approved)
    (newer,) = await peers[1].next()
    await reader.take(older)
    (entry,) = reader.state.errors.entries
    assert "the object that the message refers to is not there" in entry
    await reader.take(newer)
    held = reader.state.rows[peers[0].identity.uuid].accepted
    assert held is not None
    assert held.payload == payload
    assert reader.state.errors.entries == (entry,)
