"""Which transport a peer's terms ask for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tally.clock import Clock
from tally.errors import InvalidInput
from tally.federation.keys import FederationKeys, Identity
from tally.federation.memory import MemoryBroker, MemoryTransport
from tally.federation.terms import Nats
from tally.federation.transport import Transport
from tally.networks import Networks

MEMORY = "memory:"


@dataclass(frozen=True, slots=True)
class Seat:
    """Whose place in a federation is asked for.

    Attributes:
        nats: how the broker is reached.
        keys: of the federation.
        identity: of the peer.
        admin: it made the federation.
    """

    nats: Nats
    keys: FederationKeys
    identity: Identity
    admin: bool


OpenTransport = Callable[[Seat], Transport]
"""Gives a transport that is not connected yet.

Raises:
    InvalidInput: there is none such; names the key.
"""


@dataclass(slots=True)
class InProcess:
    """Brokers in this process's memory, which end with it: for tests, and to look around.

    Attributes:
        brokers: by federation.
    """

    clock: Clock
    brokers: dict[str, MemoryBroker] = field(default_factory=dict)

    def open(self, seat: Seat) -> Transport:
        """Return a peer's way to the others of this process."""
        broker = self.brokers.setdefault(seat.keys.fid, MemoryBroker(self._now_ms))
        return MemoryTransport(broker, seat.identity.uuid)

    def _now_ms(self) -> int:
        return round(self.clock.now().timestamp() * 1000)


def transports(
    in_process: InProcess | None, ca_file: Path | None, networks: Networks
) -> OpenTransport:
    """Return what opens transports.

    Args:
        in_process: where `memory:` leads; None: nowhere.
        ca_file: of the authority behind the brokers' certificates; None: the system's.
        networks: where brokers may be.
    """

    def open_(seat: Seat) -> Transport:
        if seat.nats.hosts.startswith(MEMORY) and in_process is not None:
            return in_process.open(seat)
        try:
            # Here, because it imports a package that no other project needs.
            from tally.federation.nats.access import NatsAccess
            from tally.federation.nats.transport import NatsTransport
        except ModuleNotFoundError as error:
            reason = f"this server has no {error.name!r} for it: pip install 'tally[nats]'"
            raise InvalidInput("nats_hosts", reason) from error
        access = NatsAccess.of(seat.nats, ca_file=ca_file, networks=networks)
        return NatsTransport(access, seat.keys, seat.identity, admin=seat.admin)

    return open_
