"""A peer's state as one record and the snapshots beside it, versioned.

Statistics are large and change seldom, the rest is small and changes with every message: so a
snapshot is stored once, under its digest, which is computed once, too. Neither holds a private
key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from tally.errors import CorruptState
from tally.federation.state import PeerState, Snapshot, digest_of

FORMAT_VERSION = 1


class _Record(msgspec.Struct, frozen=True):
    format: int
    digests: dict[str, str]
    state: PeerState


class _Version(msgspec.Struct, frozen=True):
    format: int


class _Names(msgspec.Struct, frozen=True):
    digests: dict[str, str] = {}


class Dumper:
    """Dumps states that follow one another, and hashes only what is new in each."""

    def __init__(self) -> None:
        # By identity: two states share the bytes that did not change. The bytes are kept as long
        # as their entry, or another object could get their identity.
        self._known: dict[int, tuple[bytes, str]] = {}

    def dump(self, state: PeerState) -> tuple[bytes, Mapping[str, bytes]]:
        """Return the record of a state, and the bytes that it names by their digests."""
        before, self._known = self._known, {}
        blobs: dict[str, bytes] = {}
        digests: dict[str, str] = {}

        def take(place: str, content: bytes) -> bytes:
            known = before.get(id(content)) or (content, digest_of(content))
            self._known[id(content)] = known
            digests[place] = known[1]
            blobs[known[1]] = content
            return b""

        bare = _with_bytes(state, take)
        record = _Record(FORMAT_VERSION, digests, bare)
        return msgspec.json.encode(record, order="deterministic"), blobs


def dump(state: PeerState) -> tuple[bytes, Mapping[str, bytes]]:
    """Return the record of one state, as a `Dumper` does."""
    return Dumper().dump(state)


def load(record: bytes, blobs: Mapping[str, bytes]) -> PeerState:
    """Return the state that was dumped.

    Raises:
        CorruptState: the record or a snapshot is missing, changed, or of a newer version.
    """
    try:
        version = msgspec.json.decode(record, type=_Version).format
        if version != FORMAT_VERSION:
            raise CorruptState(f"the peer's record has version {version}, not {FORMAT_VERSION}")
        found = msgspec.json.decode(record, type=_Record)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorruptState(f"the peer's record cannot be read: {error}") from error

    def give(place: str, _: bytes) -> bytes:
        digest = found.digests.get(place, "")
        content = blobs.get(digest)
        if content is None or digest_of(content) != digest:
            raise CorruptState(f"the bytes of {place!r} of the peer are missing or changed")
        return content

    return _with_bytes(found.state, give)


def names(record: bytes) -> frozenset[str]:
    """Return the digests of all bytes that a record names.

    Raises:
        CorruptState: it cannot be read.
    """
    try:
        return frozenset(msgspec.json.decode(record, type=_Names).digests.values())
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorruptState(f"the peer's record cannot be read: {error}") from error


def _with_bytes(state: PeerState, bytes_for: Callable[[str, bytes], bytes]) -> PeerState:
    """Return the state with all that is large replaced by what is returned for its place."""

    def of(place: str, snapshot: Snapshot | None) -> Snapshot | None:
        if snapshot is None:
            return None
        payload = bytes_for(place, snapshot.payload)
        return msgspec.structs.replace(snapshot, payload=payload)

    local, approved = state.local, state.approved
    if local is not None:
        local = msgspec.structs.replace(
            local,
            payload=bytes_for("local", local.payload),
            record=bytes_for("local/record", local.record),
        )
    if approved is not None:
        approved = msgspec.structs.replace(
            approved,
            snapshot=of("approved", approved.snapshot),
            record=bytes_for("approved/record", approved.record),
        )
    rows = {
        uuid: msgspec.structs.replace(
            row,
            accepted=of(f"accepted/{uuid}", row.accepted),
            refused=of(f"refused/{uuid}", row.refused),
        )
        for uuid, row in state.rows.items()
    }
    return msgspec.structs.replace(state, local=local, approved=approved, rows=rows)
