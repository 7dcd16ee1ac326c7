"""A peer's state as one record and the snapshots beside it, versioned.

Statistics are large and change seldom, the rest is small and changes with every message: so a
snapshot is stored once, under its digest. Neither holds a private key.
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


def dump(state: PeerState) -> tuple[bytes, Mapping[str, bytes]]:
    """Return the record of a state, and the bytes that it names by their digests."""
    blobs: dict[str, bytes] = {}
    digests: dict[str, str] = {}

    def take(place: str, content: bytes, digest: str) -> bytes:
        # Most are known: to hash every peer's statistics at every step would take long.
        digests[place] = digest or digest_of(content)
        blobs[digests[place]] = content
        return b""

    bare = _with_bytes(state, take)
    record = _Record(FORMAT_VERSION, digests, bare)
    return msgspec.json.encode(record, order="deterministic"), blobs


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

    def give(place: str, _content: bytes, _digest: str) -> bytes:
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


def _with_bytes(state: PeerState, bytes_for: Callable[[str, bytes, str], bytes]) -> PeerState:
    """Return the state with all that is large replaced.

    Args:
        state: of a peer.
        bytes_for: returns what stands in a place, given that, what stands there now, and the
            digest of the latter; empty: it is not known.
    """

    def of(place: str, snapshot: Snapshot | None) -> Snapshot | None:
        if snapshot is None:
            return None
        payload = bytes_for(place, snapshot.payload, snapshot.digest)
        return msgspec.structs.replace(snapshot, payload=payload)

    local, approved = state.local, state.approved
    if local is not None:
        shared = approved is not None and local.payload is approved.snapshot.payload
        local = msgspec.structs.replace(
            local,
            payload=bytes_for(
                "local", local.payload, approved.snapshot.digest if approved and shared else ""
            ),
            record=bytes_for("local/record", local.record, ""),
        )
    if approved is not None:
        approved = msgspec.structs.replace(
            approved,
            snapshot=of("approved", approved.snapshot),
            record=bytes_for("approved/record", approved.record, ""),
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
