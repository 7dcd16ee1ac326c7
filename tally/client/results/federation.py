"""How a federation is, as one of its peers sees it: who is behind, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from tally.client.results.grid import Grid, Shown
from tally.wire.federation import FederationInfo, PeerInfo, SyncStats

_COUNTS, _NOTHING_COUNTS = "what it shared still counts", "nothing of it counts"
_SILENT = "silent for three periods or more: it is away, or does not pulse; {}"
_CUT_OFF = "not heard while the broker is away; {}"
_REFUSED = "the contract refuses its newest snapshot; {}"
_WORDS = {
    "STALE": (_SILENT.format(_COUNTS), _SILENT.format(_NOTHING_COUNTS)),
    "BLOCKED": (_REFUSED.format("the one before counts"), _REFUSED.format(_NOTHING_COUNTS)),
    "LEFT": (f"has left; {_COUNTS}", "has left, or was put out"),
    "DETACHED": ("the federation has ended for us; what it shared last stays in our sums",) * 2,
}
"""Of each state but `ACTIVE`: where rows of the peer count, and where none do."""

_REASONS = {
    "MIN_ROWS": "too few rows",
    "MIN_DELTA": "too few rows changed",
    "PATIENTS": "too few patients",
    "T_TEST": "what changed is unlike the rows before",
    "KS_TEST": "what changed is unlike the rows before",
    "INTEGRAL_TEST": "what changed is unlike the rows before",
    "CONTRACT": "they break the contract",
}
_DETACHED = "it has ended for this site, which keeps the last federated project"


@dataclass(frozen=True, slots=True, order=True)
class PeerStatus:
    """Another peer; they are told in the order of their names.

    Attributes:
        name, uuid: of it.
        state: `ACTIVE`, `STALE`, `BLOCKED`, `LEFT` or `DETACHED`.
        rows: of its snapshot that counts here.
        heard: when anything last came from it; None: nothing has.
        withheld: why it did not share its newest rows, as `MIN_ROWS`; empty: it did.
        words: how it is, and why, for people.
    """

    name: str
    uuid: str
    state: str
    rows: int
    heard: datetime | None
    withheld: str
    words: str


@dataclass(frozen=True, slots=True)
class FederationStatus(Shown):
    """A federation as one peer sees it.

    Attributes:
        pid, name: of the project, and of the federation.
        schedule: when peers synchronise.
        state: of this peer: `IDLE`, `PULSING`, `LEAVING` or `DETACHED`.
        connected: whether the federation's broker can be reached.
        peers: the others.
        withheld: why this peer's newest rows were not shared; empty: they were.
        last_sync: last entry of the sync log; empty: there is none.
        errors: how many entries the error log has.
        last_error: the last of them.
    """

    pid: str
    name: str
    schedule: str
    state: str
    connected: bool
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
            info.node_state,
            info.is_connected,
            tuple(sorted(_peer(info, stats, uuid, peer) for uuid, peer in peers.items())),
            info.not_shared,
            last,
            len(stats.error_log),
            stats.error_log[-1] if stats.error_log else "",
        )

    @property
    def pulsing(self) -> bool:
        """Whether this peer takes part in the rounds."""
        return self.state == "PULSING"

    def _title(self) -> str:
        pulse = "pulsing" if self.pulsing else "not pulsing: it shares nothing"
        if self.state == "DETACHED":
            pulse = _DETACHED
        lines = [f"{self.pid}: federation {self.name}, every {self.schedule}, {pulse}"]
        if not self.connected:
            lines.append("its broker cannot be reached: nothing comes, and nothing is shared")
        if self.withheld:
            lines.append(f"not shared: {self.withheld}")
        if self.errors:
            count = "1 error" if self.errors == 1 else f"{self.errors} errors, the last"
            lines.append(f"{count}: {self.last_error}")
        if not self.peers:
            lines.append("no other peer has joined yet")
        return "\n".join(lines)

    def _grid(self) -> Grid:
        rows = tuple((one.name, one.rows, _moment(one.heard), one.words) for one in self.peers)
        return Grid(("peer", "rows", "heard", "state"), rows)


def _moment(heard: datetime | None) -> str:
    return "never" if heard is None else f"{heard:%Y-%m-%d %H:%M:%S}"


def _peer(info: FederationInfo, stats: SyncStats, uuid: str, told: PeerInfo) -> PeerStatus:
    heard = datetime.fromtimestamp(told.last_sync / 1000, UTC) if told.last_sync else None
    if told.state == "STALE" and not info.is_connected:
        words = _CUT_OFF.format(_COUNTS if told.rows else _NOTHING_COUNTS)
    elif told.state == "ACTIVE":
        words = _active(told)
    else:
        words = _other(uuid, told, stats.error_log)
    return PeerStatus(told.name, uuid, told.state, told.rows, heard, told.withheld, words)


def _active(told: PeerInfo) -> str:
    kept = _REASONS.get(told.withheld, told.withheld)
    because = f": {kept} ({told.withheld})" if kept else ""
    if told.rows:
        return f"in step; its newest rows stay there{because}" if because else "in step"
    return f"has shared nothing yet{because}" if told.last_sync else "was not heard yet"


def _other(uuid: str, told: PeerInfo, errors: Sequence[str]) -> str:
    counts, nothing = _WORDS.get(told.state, (told.state, told.state))
    words = counts if told.rows else nothing
    about = next((entry for entry in reversed(errors) if f"[{uuid}]" in entry), "")
    if not about or told.state in ("LEFT", "DETACHED"):
        return words
    about = about.replace(f" from peer [{uuid}]", "").replace(f" peer:[{uuid}]", "")
    return f"{words}; last error: {about}"
