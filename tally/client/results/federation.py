"""How a federation is, as one of its peers sees it: who is behind, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from tally.client.results.grid import Grid, Shown
from tally.wire.federation import FederationInfo, PeerInfo, SyncStats

_WORDS = {
    "ACTIVE": "in step",
    "STALE": "silent for three periods or more; what it shared still counts",
    "BLOCKED": "the contract refused its newest snapshot; the one before counts",
    "LEFT": "has left, or was put out",
    "DETACHED": "the federation has ended for this peer",
}
_NOT_SHARED = "Snapshot not shared: "


@dataclass(frozen=True, slots=True, order=True)
class PeerStatus:
    """Another peer; they are told in the order of their names.

    Attributes:
        name, uuid: of it.
        state: `ACTIVE`, `STALE`, `BLOCKED`, `LEFT` or `DETACHED`.
        rows: of its snapshot that counts here.
        heard: when anything last came from it; None: nothing has.
        words: the state, for people.
    """

    name: str
    uuid: str
    state: str
    rows: int
    heard: datetime | None
    words: str


@dataclass(frozen=True, slots=True)
class FederationStatus(Shown):
    """A federation as one peer sees it.

    Attributes:
        pid, name: of the project, and of the federation.
        schedule: when peers synchronise.
        pulsing: whether this one takes part.
        peers: the others.
        withheld: why this peer's newest rows were not shared; empty: they were.
        last_sync: last entry of the sync log; empty: there is none.
        errors: how many entries the error log has.
        last_error: the last of them.
    """

    pid: str
    name: str
    schedule: str
    pulsing: bool
    peers: tuple[PeerStatus, ...]
    withheld: str
    last_sync: str
    errors: int
    last_error: str

    @classmethod
    def of(cls, info: FederationInfo, stats: SyncStats) -> FederationStatus:
        """Return it as the server tells it."""
        peers = {
            uuid: msgspec.json.decode(text, type=PeerInfo) for uuid, text in info.peersInfo.items()
        }
        last = stats.sync_log[-1] if stats.sync_log else ""
        return cls(
            info.fed_local_id,
            info.fed_name,
            info.sync_sched,
            info.is_pulsing,
            tuple(sorted(_peer(uuid, peer) for uuid, peer in peers.items())),
            _withheld(stats.sync_log),
            last,
            len(stats.error_log),
            stats.error_log[-1] if stats.error_log else "",
        )

    def _title(self) -> str:
        pulse = "pulsing" if self.pulsing else "not pulsing: it shares nothing"
        lines = [f"{self.pid}: federation {self.name}, every {self.schedule}, {pulse}"]
        if self.withheld:
            lines.append(f"not shared: {self.withheld}")
        if self.errors:
            lines.append(f"{self.errors} errors, the last: {self.last_error}")
        return "\n".join(lines)

    def _grid(self) -> Grid:
        rows = tuple((one.name, one.rows, _moment(one.heard), one.words) for one in self.peers)
        return Grid(("peer", "rows", "heard", "state"), rows)


def _moment(heard: datetime | None) -> str:
    return "never" if heard is None else f"{heard:%Y-%m-%d %H:%M:%S}"


def _peer(uuid: str, told: PeerInfo) -> PeerStatus:
    heard = datetime.fromtimestamp(told.last_sync / 1000, UTC) if told.last_sync else None
    words = _WORDS.get(told.state, told.state)
    if told.state == "ACTIVE" and not told.rows:
        words = "has shared nothing yet"
    return PeerStatus(told.name, uuid, told.state, told.rows, heard, words)


def _withheld(entries: Sequence[str]) -> str:
    """Return why the last round shared nothing; it leaves a reason, and perhaps a rebuild."""
    reasons = [entry for entry in entries[-2:] if entry.startswith(_NOT_SHARED)]
    return reasons[-1].removeprefix(_NOT_SHARED) if reasons else ""
