"""The contract of `tally.federation.transport`, over every transport."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import pytest

from tally.clock import SystemClock
from tally.federation.envelope import Draft, Reference, Sealed, seal
from tally.federation.faults import Faults
from tally.federation.keys import FederationKeys, Identity
from tally.federation.memory import MemoryBroker, MemoryTransport
from tally.federation.messages import MessageType, SyncInfo
from tally.federation.nats.access import NatsAccess
from tally.federation.nats.transport import NatsTransport
from tally.federation.terms import Nats
from tally.federation.transport import Delivery, Transport

if TYPE_CHECKING:
    from tests.conftest import Server

ACK_WAIT_S = 1.2
SHORT_ACK_WAIT_S = 0.15
POLL_S = 0.2
PATIENCE_S = 20.0


class Meeting(Protocol):
    """What peers meet at: a broker of one federation."""

    def transport(self, identity: Identity, *, admin: bool) -> Transport: ...

    def restart(self) -> None:
        """Kill the broker and start it again."""
        ...


class MemoryMeeting:
    def __init__(self, ack_wait_s: float = ACK_WAIT_S) -> None:
        clock = SystemClock()
        faults = Faults(ack_wait_ms=int(1000 * ack_wait_s))
        self._broker = MemoryBroker(lambda: int(clock.now().timestamp() * 1000), faults)

    def transport(self, identity: Identity, *, admin: bool) -> Transport:
        return MemoryTransport(self._broker, identity.uuid)

    def restart(self) -> None:
        self._broker.restart()


class NatsMeeting:
    def __init__(
        self, server: Server, keys: FederationKeys, ack_wait_s: float = ACK_WAIT_S
    ) -> None:
        self._server = server
        self._ack_wait_s = ack_wait_s
        self._access = NatsAccess.of(Nats(hosts=",".join(server.hosts)))
        self._keys = keys

    def transport(self, identity: Identity, *, admin: bool) -> Transport:
        return NatsTransport(
            self._access, self._keys, identity, admin=admin, ack_wait_s=self._ack_wait_s
        )

    def restart(self) -> None:
        self._server.restart()


@dataclass
class Peer:
    """One peer and its transport; `again` stands for the process that it is restarted in."""

    transport: Transport
    identity: Identity
    keys: FederationKeys
    again: Callable[[], Transport]
    _seq: int = 0

    def message(
        self,
        kind: MessageType = MessageType.ALIVE,
        payload: bytes = b"{}",
        *,
        to: str = "*",
        reference: Reference | None = None,
    ) -> Sealed:
        self._seq += 1
        info = SyncInfo(
            round=1,
            rows=1,
            attrs=1,
            schema_hash="",
            version="1-1",
            allow_explore=True,
            contract_hash="",
            provenance=(),
        )
        draft = Draft(kind, to, 1, self._seq, 0, payload)
        if kind is MessageType.SYNC:
            draft = replace(draft, sync=info)
        return seal(
            draft,
            self.keys,
            self.identity,
            secrets.token_bytes,
            encrypt=False,
            reference=reference,
        )

    def large(self, payload: bytes) -> Sealed:
        """Return a snapshot that goes into an object."""
        key = f"{self.identity.uuid}/1-{self._seq + 1}-{secrets.token_hex(4)}"
        reference = Reference("nats", key)
        return self.message(MessageType.SYNC, payload, reference=reference)

    async def next(self, count: int = 1, *, acknowledge: bool = True) -> list[Delivery]:
        """Return the next deliveries, of which there must be so many."""
        found: list[Delivery] = []
        async with asyncio.timeout(PATIENCE_S):
            while len(found) < count:
                came = await self.transport.poll(100, POLL_S)
                found += came
                for delivery in came if acknowledge else ():
                    await self.transport.acknowledge(delivery.token)
        return found

    async def nothing(self, wait_s: float = 0.2) -> bool:
        """Tell whether nothing comes for so long."""
        return not await self.transport.poll(100, wait_s)

    async def lost(self) -> None:
        """Poll until the connection fails; a poll that was under way may still end well."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                await self.transport.poll(100, POLL_S)

    async def restart(self) -> None:
        """End without a goodbye to anyone, and begin again."""
        await self.transport.close()
        self.transport = self.again()
        await self.transport.connect()


AddPeer = Callable[[], Peer]


@pytest.fixture
def keys() -> FederationKeys:
    return FederationKeys("contract", secrets.token_bytes(16))


@pytest.fixture(params=["memory", "nats"])
def meeting(request: pytest.FixtureRequest, keys: FederationKeys) -> Meeting:
    if request.param == "memory":
        return MemoryMeeting()
    return NatsMeeting(request.getfixturevalue("nats_server"), keys)


@pytest.fixture(params=["memory", "nats"])
def impatient_meeting(request: pytest.FixtureRequest, keys: FederationKeys) -> Meeting:
    """A broker that does not wait long for acknowledgements."""
    if request.param == "memory":
        return MemoryMeeting(SHORT_ACK_WAIT_S)
    return NatsMeeting(request.getfixturevalue("nats_server"), keys, SHORT_ACK_WAIT_S)


@pytest.fixture(params=["memory", "nats"])
def lossy_meeting(request: pytest.FixtureRequest, keys: FederationKeys) -> Meeting:
    """A broker of this test's own, that it may restart."""
    if request.param == "memory":
        return MemoryMeeting()
    return NatsMeeting(request.getfixturevalue("private_nats"), keys)


@pytest.fixture
async def peers(meeting: Meeting, keys: FederationKeys) -> AsyncIterator[list[Peer]]:
    """Give three peers, connected to a new federation; the first is the admin."""
    async for three in _three(meeting, keys):
        yield three


@pytest.fixture
async def impatient_peers(
    impatient_meeting: Meeting, keys: FederationKeys
) -> AsyncIterator[list[Peer]]:
    """Give three peers to whom is soon delivered again what they do not acknowledge."""
    async for three in _three(impatient_meeting, keys):
        yield three


@pytest.fixture
async def lossy_peers(lossy_meeting: Meeting, keys: FederationKeys) -> AsyncIterator[list[Peer]]:
    """Give three peers at a broker that may be restarted."""
    async for three in _three(lossy_meeting, keys):
        yield three


async def _three(meeting: Meeting, keys: FederationKeys) -> AsyncIterator[list[Peer]]:
    made = [new_peer(meeting, keys, admin=i == 0) for i in range(3)]
    await made[0].transport.create()
    for peer in made:
        await peer.transport.connect()
    yield made
    for peer in made:
        await peer.transport.close()
    last = made[0].again()
    await last.dissolve()
    await last.close()


def new_peer(meeting: Meeting, keys: FederationKeys, *, admin: bool = False) -> Peer:
    identity = Identity(secrets.token_hex(16), secrets.token_bytes(32))

    def again() -> Transport:
        return meeting.transport(identity, admin=admin)

    return Peer(again(), identity, keys, again)
