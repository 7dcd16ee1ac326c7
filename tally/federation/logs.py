"""What users read of a peer: two logs and its counters."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

MAX_ENTRIES = 1000
MAX_ENTRY_LENGTH = 2000
NO_ERROR = "no error"
NOT_SHARED = "Snapshot not shared: "
"""How the sync log begins to say why."""


class Log(msgspec.Struct, frozen=True):
    """The last entries, oldest first."""

    entries: tuple[str, ...] = ()

    def add(self, entry: str) -> Log:
        r"""Return the log with one entry more, and without what is too old.

        Others' words may be in it: an entry is one line, and nothing that a terminal obeys.

        Example:
            >>> Log().add("a").add("b\nc").entries
            ('a', 'b c')
        """
        line = "".join(char if char.isprintable() else " " for char in entry[:MAX_ENTRY_LENGTH])
        return Log((*self.entries, line)[-MAX_ENTRIES:])


class Counters(msgspec.Struct, frozen=True, rename="camel"):
    """What a peer counts, for as long as it lives.

    Attributes:
        snd_count: attempts to share; `snd_contract_error` of them failed our own contract.
        rcv_count: snapshots that came; `rcv_error` messages were refused.
        rcv_contract_error: by peer, its snapshots that failed the contract, there or here.
    """

    snd_count: int = 0
    snd_contract_error: int = 0
    rcv_count: int = 0
    rcv_error: int = 0
    rcv_contract_error: dict[str, int] = {}

    def contract_error_of(self, peer: str) -> Counters:
        """Return the counters after a snapshot of `peer` has failed."""
        counts = {**self.rcv_contract_error, peer: self.rcv_contract_error.get(peer, 0) + 1}
        return msgspec.structs.replace(self, rcv_contract_error=counts)


def rebuilt_entry(pid: str, number: str, kind: str, peers: int, took_ms: int, now_ms: int) -> str:
    """Return what the sync log says of a rebuild.

    Args:
        pid, number, kind: of the federated project.
        peers: remote ones that were merged.
        took_ms: how long.
        now_ms: when it was done.

    Example:
        >>> rebuilt_entry("m1", "7", "cpu", 2, 12, 0)
        'fedProj rebuilt done name:[m1] id:[7] type:[cpu] #peers:2 ms:12 time:1970-01-01T00.00'
    """
    time = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y-%m-%dT%H.%M")
    return (
        f"fedProj rebuilt done name:[{pid}] id:[{number}] type:[{kind}] "
        f"#peers:{peers} ms:{took_ms} time:{time}"
    )
