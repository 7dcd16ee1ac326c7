"""How sealed messages get from peer to peer: the port, and what may be relied on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from tally.errors import TallyError, Unavailable
from tally.federation.envelope import Reference, Sealed

StateSubject = Literal["roster", "contract", "schedule"]

INLINE_BYTES = 256 * 1024
"""A snapshot as large as this goes into a message, where the broker takes such messages."""


class TransportUnavailable(Unavailable):
    """The broker could not be reached: what was sent may or may not have arrived."""

    code = "queue_unavailable"


class FederationGone(TransportUnavailable):
    """The broker is there and has nothing of the federation: it was dissolved."""


class TransportRefused(TransportUnavailable):
    """The broker is there and refuses: credentials, rights, memory, or a name that is taken.

    Somebody has to change something; nothing was sent.
    """

    code = "invalid_input"


class TransportFull(TallyError):
    """The broker has no room for what was to be published; what was there before, stays."""

    code = "too_large"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that came.

    Attributes:
        data: the envelope, without the object that it may refer to.
        broker_ms: when the broker took it, by the broker's clock.
        token: by which it is acknowledged.
    """

    data: bytes
    broker_ms: int
    token: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that waits for an answer under `reply_to`."""

    data: bytes
    broker_ms: int
    reply_to: str


class Transport(Protocol):
    """One peer's way to the others.

    *At least once.* What `publish`, `publish_state` and `publish_snapshot` returned for is
    delivered to every peer that is connected or will be, again and again until acknowledged, five
    times at most. So a message may come twice, late, and after one that was sent later; and it
    may not come at all if its receiver fails five times.

    *Last of each.* Of snapshots and of the admin's states only the last per sender and subject is
    kept. A peer that connects gets that one, however old; one that was replaced before it was
    delivered is never delivered.

    *States first.* What one `poll` returns begins with the admin's states, and they include all
    that the broker took before the other messages. So a peer knows a newcomer by the roster before
    it reads the newcomer's first message. (A transport that asks for each in turn asks for states
    last, and returns them first.)

    *Time.* Every delivery bears the moment at which the broker took the message.

    *Restarts.* A peer's place in the streams survives its own restart. A restart of the broker
    loses snapshots and objects, and keeps control messages (for seven days) and states. Calls
    then raise `TransportUnavailable` until `connect` has succeeded again.

    *Requests* are not kept: they reach a peer that listens, or raise.
    """

    @property
    def inline_bytes(self) -> int:
        """The largest snapshot that goes into a message; known once it was created or connected."""
        ...

    async def create(self) -> None:
        """Make what the federation needs, or what of it is missing; the admin does.

        Raises:
            Conflict: something else has its name.
            TransportUnavailable: the broker cannot be reached.
        """
        ...

    async def connect(self) -> None:
        """Connect, or connect again, and take up this peer's place in the streams.

        Raises:
            FederationGone: it was dissolved.
            TransportUnavailable: the broker cannot be reached.
        """
        ...

    async def close(self) -> None:
        """Disconnect; the place is kept."""
        ...

    async def now_ms(self) -> int:
        """Return the broker's clock, in milliseconds since 1970."""
        ...

    async def last_number(self) -> tuple[int, int]:
        """Return the highest (epoch, seq) of this peer's own messages; (0, 0): none is kept."""
        ...

    async def publish(self, message: Sealed) -> None:
        """Publish a control message."""
        ...

    async def publish_state(self, subject: StateSubject, message: Sealed) -> None:
        """Publish the admin's last word, in place of the one before."""
        ...

    async def publish_snapshot(self, message: Sealed) -> None:
        """Publish a snapshot in place of the one before; first its object, if it refers to one."""
        ...

    async def fetch(self, reference: Reference, size_bytes: int) -> bytes | None:
        """Return an object; None: it is gone, or has another size."""
        ...

    async def poll(self, limit: int, timeout_s: float) -> Sequence[Delivery]:
        """Return what has come, waiting for the first of it.

        Nothing comes once the time is over, or a request waits in `asked`.
        """
        ...

    async def acknowledge(self, token: str) -> None:
        """Have a message not delivered again; of no effect if it is too late for that."""
        ...

    async def request(self, to: str, message: Sealed, timeout_s: float) -> bytes:
        """Return the answer of one peer.

        Raises:
            TransportUnavailable: nobody listens there, or nobody answered in time.
        """
        ...

    async def asked(self, limit: int) -> Sequence[Asked]:
        """Return the requests that have come, without waiting."""
        ...

    async def reply(self, reply_to: str, message: Sealed) -> None:
        """Answer a request; of no effect if nobody waits any more."""
        ...

    async def cleanup_node(self, *, withdraw: bool) -> None:
        """Remove this peer's place and objects and, if it withdraws, its last snapshot."""
        ...

    async def dissolve(self) -> None:
        """Remove everything of the federation; also where little of it is left."""
        ...
