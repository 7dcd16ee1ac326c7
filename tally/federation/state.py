"""Everything that a peer knows, as immutable values; its keys are not among them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from enum import StrEnum

import msgspec

from tally.federation.logs import NOT_SHARED, Counters, Log
from tally.federation.messages import (
    ContractPayload,
    Leaf,
    Member,
    RosterPayload,
    SchedulePayload,
    Standing,
    SyncInfo,
)
from tally.federation.schedule import Schedule
from tally.federation.tokens import Tokens

STALE_PERIODS = 3


class NodeState(StrEnum):
    """What a peer is doing; nothing comes after GONE."""

    JOINING = "JOINING"
    IDLE = "IDLE"
    PULSING = "PULSING"
    LEAVING = "LEAVING"
    DETACHED = "DETACHED"
    GONE = "GONE"


class PeerStatus(StrEnum):
    """What a peer knows of another; DETACHED: the federation ended, or put us out."""

    ACTIVE = "ACTIVE"
    STALE = "STALE"
    BLOCKED = "BLOCKED"
    LEFT = "LEFT"
    DETACHED = "DETACHED"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What is fixed when a peer is made.

    Attributes:
        uuid, name: of this peer.
        federation: its name, as users know it.
        admin, admin_public: uuid and public key of the peer that created the federation.
        encrypt: every payload is encrypted, and none that is not is taken.
        hipaa: the rules for health records hold here; an admin's hold for all who join.
        block_send, block_receive: a snapshot that fails the contract is not sent, not merged.
        allow_seconds: schedules of seconds are taken.
        grace_ms: how long a rebuild waits for peers at most; a quarter of a period if that is less.
        expire_periods: silent for so many, a peer's contribution is dropped; 0: never.
        inline_bytes: a larger snapshot goes into an object, to which its message refers.
        reference_kind: of that object.
    """

    uuid: str
    name: str
    federation: str
    admin: str
    admin_public: str
    encrypt: bool = False
    hipaa: bool = False
    block_send: bool = True
    block_receive: bool = True
    allow_seconds: bool = False
    grace_ms: int = 10_000
    expire_periods: int = 0
    inline_bytes: int = 256 * 1024
    reference_kind: str = "nats"

    @property
    def is_admin(self) -> bool:
        """Tell whether this peer created the federation."""
        return self.uuid == self.admin


class Local(msgspec.Struct, frozen=True, kw_only=True):
    """The local project at one moment, in the form in which statistics leave a peer.

    Attributes:
        version: `epoch-counter` of the project.
        rows, attrs: how many; categories count one each.
        schema_hash: equal for equal names and types.
        learned, forgotten: rows over the project's whole life; neither ever decreases.
        provenance: the sources that it stands on.
        payload: the statistics as bytes.
        record: what the privacy rules need beside them; it never leaves.
        withheld: attributes that are not in them, since too few rows have them.
        of_cells: the local project is a fusion, and `provenance` has its cells.
        trouble: what could not be asked for it just now; empty: nothing.
    """

    version: str
    rows: int
    attrs: int
    schema_hash: str
    learned: int
    forgotten: int
    provenance: tuple[Leaf, ...]
    payload: bytes
    record: bytes = b""
    withheld: tuple[str, ...] = ()
    of_cells: bool = False
    trouble: str = ""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Statistics that a peer has published.

    Attributes:
        epoch, seq: under which they were published first.
        digest: SHA-256 of the payload.
        info: what their header tells of them.
    """

    epoch: int
    seq: int
    digest: str
    info: SyncInfo
    payload: bytes


class Approved(msgspec.Struct, frozen=True):
    """The last snapshot that our own rules let out, and what `Local` told of it besides.

    Attributes:
        gone: sources that earlier snapshots stood on and this one does not, as they left last.
    """

    snapshot: Snapshot
    learned: int
    forgotten: int
    record: bytes = b""
    withheld: tuple[str, ...] = ()
    gone: tuple[Leaf, ...] = ()


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What is held of one other peer: replaced, never added to.

    Attributes:
        accepted: the snapshot that is merged.
        refused: a newer one that failed the contract.
        heard_ms: when anything came from it, by our clock.
        round: the newest that it spoke of.
        allow_explore: whether it lets others explore it.
        withheld: why its newest rows were not shared, as it told; empty: they were.
        stale: it has been silent for long; what it sent still counts.
    """

    accepted: Snapshot | None = None
    refused: Snapshot | None = None
    heard_ms: int = 0
    round: int = -1
    allow_explore: bool = True
    withheld: str = ""
    stale: bool = False

    @property
    def newest(self) -> Snapshot | None:
        """The last snapshot that came, accepted or not."""
        return self.refused or self.accepted


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """The last message of one type that was taken from one sender."""

    epoch: int
    seq: int
    digest: str


class Rate(msgspec.Struct, frozen=True, array_like=True):
    """How often something has happened since a moment, for as long as that matters."""

    since_ms: int
    count: int


class Collecting(msgspec.Struct, frozen=True):
    """A tick that waits for the others, until `deadline_ms`."""

    round: int
    deadline_ms: int


class PeerState(msgspec.Struct, frozen=True, kw_only=True):
    """A peer between two events.

    Attributes:
        settings: fixed.
        node: what it is doing.
        epoch, seq: of the last message that it made; saved before that is published.
        sync_sched, roster, contract: the admin's last word; `schedule_seq` and those within the
            others tell which is newer. `admin_seq` is the last that this peer gave out as admin.
        pending: a schedule that is not in force yet.
        local: the local project at the last tick, or when the user last asked for a sync.
        approved: what all others may have of it.
        rows: by uuid, what is held of others.
        marks: by uuid and type, against repetition.
        listen_ms: until then a peer that does not pulse merges what comes.
        collecting, rebuild_ms: when to rebuild; None: not now.
        rebuilt: names what the last rebuild was made of.
        last_round: of the last tick.
        withdraw: whether the contribution goes with the peer; means something while LEAVING.
        answered_ms: when a SYNC_REQ was last answered.
        again_ms: when what we said last is said again, for those that came since; None: not.
        unheard: our clock was wrong when we last read what we sent.
        asked: by uuid, when a SYNC_REQ was last sent to it.
        rates: by uuid, how often a peer has asked something lately; by `JOIN`, how often nodes
            that were not let in have.
        allow_explore: whether others may explore this peer.
    """

    settings: Settings
    node: NodeState
    epoch: int
    seq: int = 0
    sync_sched: str
    schedule_seq: int = 0
    pending: SchedulePayload | None = None
    roster: RosterPayload = RosterPayload(0, ())
    contract: ContractPayload = ContractPayload(0, (), "")
    admin_seq: int = 0
    local: Local | None = None
    approved: Approved | None = None
    rows: dict[str, Row] = {}
    marks: dict[str, dict[str, Mark]] = {}
    listen_ms: int = 0
    collecting: Collecting | None = None
    rebuild_ms: int | None = None
    rebuilt: str = ""
    last_round: int = -1
    withdraw: bool = True
    answered_ms: int = 0
    again_ms: int | None = None
    unheard: bool = False
    asked: dict[str, int] = {}
    rates: dict[str, Rate] = {}
    tokens: Tokens = Tokens()
    counters: Counters = Counters()
    errors: Log = Log()
    syncs: Log = Log()
    allow_explore: bool = True

    @property
    def schedule(self) -> Schedule:
        """When ticks are."""
        return Schedule.parse(self.sync_sched, allow_seconds=self.settings.allow_seconds)

    def member(self, uuid: str) -> Member | None:
        """Return what the roster says of a peer."""
        return next((member for member in self.roster.peers if member.uuid == uuid), None)

    def others(self) -> Iterator[Member]:
        """Yield the other peers whose contributions count."""
        for member in self.roster.peers:
            if member.uuid != self.settings.uuid and member.state is not Standing.LEFT:
                yield member

    @property
    def not_shared(self) -> str:
        """Why this peer's newest rows were not shared; empty: they were, or there are none."""
        if self.local is None or self.node is not NodeState.PULSING:
            return ""
        last = self.approved
        shared = (0, 0) if last is None else (last.learned, last.forgotten)
        if (self.local.learned, self.local.forgotten) == shared:
            return ""
        reasons = (one for one in reversed(self.syncs.entries) if one.startswith(NOT_SHARED))
        return next(reasons, "").removeprefix(NOT_SHARED)

    def status_of(self, uuid: str) -> PeerStatus:
        """Tell how it stands with another peer."""
        member, row = self.member(uuid), self.rows.get(uuid, Row())
        if self.node is NodeState.DETACHED:
            return PeerStatus.DETACHED
        if member is None or member.state is not Standing.ACTIVE:
            return PeerStatus.LEFT
        if row.stale:
            return PeerStatus.STALE
        return PeerStatus.BLOCKED if row.refused is not None else PeerStatus.ACTIVE


def digest_of(payload: bytes) -> str:
    """Return what tells one payload from another."""
    return hashlib.sha256(payload).hexdigest()


def created(settings: Settings, *, sync_sched: str, now_ms: int) -> PeerState:
    """Return the state of a federation's first peer, its admin.

    Raises:
        InvalidInput: the schedule is none.
    """
    Schedule.parse(sync_sched, allow_seconds=settings.allow_seconds)
    admin = Member(settings.uuid, settings.name, settings.admin_public)
    return PeerState(
        settings=settings,
        node=NodeState.IDLE,
        epoch=now_ms,
        sync_sched=sync_sched,
        roster=RosterPayload(1, (admin,)),
        admin_seq=1,
    )


def joining(settings: Settings, *, sync_sched: str, now_ms: int) -> PeerState:
    """Return the state of a node that is about to ask the admin.

    Raises:
        InvalidInput: the schedule is none.
    """
    Schedule.parse(sync_sched, allow_seconds=settings.allow_seconds)
    return PeerState(settings=settings, node=NodeState.JOINING, epoch=now_ms, sync_sched=sync_sched)
