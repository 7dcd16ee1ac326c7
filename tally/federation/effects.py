"""What a peer wants done, in this order; the next event comes after all of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from tally.federation.envelope import Sealed
from tally.federation.messages import Leaf
from tally.federation.state import Snapshot


@dataclass(frozen=True, slots=True)
class Persist:
    """Save the new state, durably, before anything that follows."""


@dataclass(frozen=True, slots=True)
class PublishSnapshot:
    """Publish on the peer's snapshot subject, which keeps the last message only."""

    message: Sealed


@dataclass(frozen=True, slots=True)
class PublishControl:
    """Publish on the peer's control subject, which keeps all for days."""

    message: Sealed


@dataclass(frozen=True, slots=True)
class PublishState:
    """Publish the admin's last word on something, which is kept for ever."""

    subject: Literal["roster", "contract", "schedule"]
    message: Sealed


@dataclass(frozen=True, slots=True)
class Request:
    """Send to one peer and hand its answer back as `events.Received`."""

    to: str
    message: Sealed
    req_id: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer a request; with no `reply_to`, to the caller of `Driver.tell`."""

    reply_to: str
    message: Sealed


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one peer adds to the federated project.

    Attributes:
        peer: its uuid, in whose order contributions are summed.
        version, rows, provenance: of the statistics.
        payload: statistics in wire form.
    """

    peer: str
    version: str
    rows: int
    provenance: tuple[Leaf, ...]
    payload: bytes


@dataclass(frozen=True, slots=True)
class Rebuild:
    """Merge these from scratch, in this order, and swap the result in; then tell `Rebuilt`.

    Or `NotRebuilt`, if that fails.
    """

    contributions: tuple[Contribution, ...]
    own: str

    @property
    def remote_peers(self) -> int:
        """How many of them are others'."""
        return sum(part.peer != self.own for part in self.contributions)


@dataclass(frozen=True, slots=True)
class Explore:
    """Answer a peer's question from our last approved snapshot; then tell `Explored`."""

    peer: str
    req_id: str
    metric: str
    context: Mapping[str, Any]
    snapshot: Snapshot
    reply_to: str


@dataclass(frozen=True, slots=True)
class Answered:
    """A peer has answered what our user asked."""

    peer: str
    req_id: str
    ok: bool
    error: str
    result: Any


@dataclass(frozen=True, slots=True)
class Invited:
    """A token was issued; it is not kept anywhere else."""

    token: str

    def __repr__(self) -> str:
        return "Invited(hidden)"


@dataclass(frozen=True, slots=True)
class Joined:
    """The admin let this node in, or did not: then `code` and `error` say why."""

    ok: bool
    code: str
    error: str


@dataclass(frozen=True, slots=True)
class CleanUp:
    """Remove what is this peer's from the transport, then tell `CleanedUp`.

    Attributes:
        withdraw: its snapshot as well.
        dissolve: and all that is the federation's, once `after_ms` have passed.
    """

    withdraw: bool
    dissolve: bool = False
    after_ms: int = 0


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """The message needs not be delivered again."""

    delivery: str


@dataclass(frozen=True, slots=True)
class Wake:
    """Tell `Tick` if a round begins then, else `Timer`; replaces the last; None: do not."""

    at_ms: int | None


Effect: TypeAlias = (
    Persist
    | PublishSnapshot
    | PublishControl
    | PublishState
    | Request
    | Reply
    | Rebuild
    | Explore
    | Answered
    | Invited
    | Joined
    | CleanUp
    | Acknowledge
    | Wake
)
