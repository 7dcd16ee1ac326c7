"""Which transport a peer's terms ask for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tally.clock import Clock
from tally.engine.prescribed import Prescribed
from tally.federation.keys import FederationKeys
from tally.federation.memory import MemoryBroker, MemoryTransport
from tally.federation.terms import Nats
from tally.federation.transport import Transport

MEMORY = "memory:"


@dataclass(frozen=True, slots=True)
class Seat:
    """Whose place in a federation is asked for.

    Attributes:
        nats: how the broker is reached.
        keys: of the federation.
        uuid: of the peer.
    """

    nats: Nats
    keys: FederationKeys
    uuid: str


OpenTransport = Callable[[Seat], Transport]
"""Gives a transport that is not connected yet.

Raises:
    InvalidInput: there is none such.
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
        return MemoryTransport(broker, seat.uuid)

    def _now_ms(self) -> int:
        return round(self.clock.now().timestamp() * 1000)


def transports(in_process: InProcess | None) -> OpenTransport:
    """Return what opens transports.

    Args:
        in_process: where `memory:` leads; None: nowhere.
    """

    def open_(seat: Seat) -> Transport:
        if seat.nats.hosts.startswith(MEMORY) and in_process is not None:
            return in_process.open(seat)
        raise Prescribed("nats_hosts", "Invalid value of [nats_hosts]: no broker is known there")

    return open_
