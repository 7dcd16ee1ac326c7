"""What may happen to a peer. Every moment is in milliseconds since 1970."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tally.federation.state import Local


@dataclass(frozen=True, slots=True)
class Tick:
    """A round began, and this is the local project, frozen."""

    now_ms: int
    local: Local


@dataclass(frozen=True, slots=True)
class Timer:
    """The moment of the last `Wake` has come."""

    now_ms: int


@dataclass(frozen=True, slots=True)
class Received:
    """A message came.

    Attributes:
        data: the envelope.
        broker_ms: when the broker took it; for what came without one, our own time.
        body: the object that it refers to; None: to none, or it is not there.
        delivery: by which it is acknowledged.
        reply_to: where an answer goes; empty: nowhere.
    """

    now_ms: int
    data: bytes
    broker_ms: int
    body: bytes | None = None
    delivery: str = ""
    reply_to: str = ""


@dataclass(frozen=True, slots=True)
class StartPulse:
    """The user wants this peer to synchronise.

    Attributes:
        broker_ms: the broker's clock now.
        local: the local project, to be merged with what comes before the first tick.
    """

    now_ms: int
    broker_ms: int
    local: Local


@dataclass(frozen=True, slots=True)
class StopPulse:
    """The user wants it to stop; nothing is forgotten."""


@dataclass(frozen=True, slots=True)
class NewSchedule:
    """The admin's user changes the schedule."""

    now_ms: int
    sync_sched: str


@dataclass(frozen=True, slots=True)
class NewContract:
    """The admin's user replaces the contract; no rules: there is none any more."""

    now_ms: int
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AllowExplore:
    """The user decides whether other peers may explore this one."""

    allow: bool


@dataclass(frozen=True, slots=True)
class ClearErrors:
    """The user has read the error log, and empties it."""


@dataclass(frozen=True, slots=True)
class RequestSync:
    """The user wants everything that the others have; `local` as in `StartPulse`."""

    now_ms: int
    local: Local


@dataclass(frozen=True, slots=True)
class Invite:
    """The admin's user wants a token for one joiner."""

    now_ms: int
    lifetime_ms: int


@dataclass(frozen=True, slots=True)
class Join:
    """The user wants this node in, by the token of its invitation; may be repeated."""

    now_ms: int
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Leave:
    """The user deletes the peer; the admin's departure dissolves the federation."""

    now_ms: int
    withdraw: bool = True


@dataclass(frozen=True, slots=True)
class CleanedUp:
    """Nothing of this peer is left in the transport."""


@dataclass(frozen=True, slots=True)
class ExplorePeer:
    """The user asks another peer about its statistics."""

    now_ms: int
    peer: str
    metric: str
    context: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Explored:
    """The home has computed what `effects.Explore` asked for."""

    now_ms: int
    peer: str
    req_id: str
    reply_to: str
    ok: bool
    error: str
    result: Any


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The home has swapped in what `effects.Rebuild` asked for; `entry` goes to the sync log."""

    entry: str


@dataclass(frozen=True, slots=True)
class NotRebuilt:
    """The home could not do what `effects.Rebuild` asked for; the next round asks again.

    Attributes:
        entry: goes to the error log.
    """

    entry: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Something around the peer failed; `entry` goes to the error log."""

    entry: str


@dataclass(frozen=True, slots=True)
class Restarted:
    """The peer was loaded from its record.

    Attributes:
        takeover: another worker may have run it, and may not know that it no longer does.
        seen: highest epoch and seq of its own messages that the transport has, as far as known.
    """

    now_ms: int
    takeover: bool = False
    seen: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Reconnected:
    """The transport is back, perhaps without what it held in memory; `seen` as in `Restarted`."""

    now_ms: int
    seen: tuple[int, int] = (0, 0)


Event: TypeAlias = (
    Tick
    | Timer
    | Received
    | StartPulse
    | StopPulse
    | NewSchedule
    | NewContract
    | AllowExplore
    | ClearErrors
    | RequestSync
    | Invite
    | Join
    | Leave
    | CleanedUp
    | ExplorePeer
    | Explored
    | Rebuilt
    | NotRebuilt
    | Failed
    | Restarted
    | Reconnected
)
