"""How a federated project is stored: as a snapshot, a row beside it, and bytes that the row names.

The snapshot has what was learned here, and is written again when rows are learned. The row has
what the peer knows, and is written with every step of the protocol. What others have shared, what
we have, and the federated view stand under their digests, each written once.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from model_api.federation import stored_v1
from model_api.federation.state import Cells, Federated
from model_api.federation.unpacking import content, read
from tally.codec.project import decode as decode_project
from tally.codec.project import encode as encode_project
from tally.codec.tensors import pack, unpack, unpack_any
from tally.errors import CorruptState
from tally.federation import persistence
from tally.federation.privacy import record_codec
from tally.federation.state import digest_of
from tally.fusion.sources import Leaf
from tally.master_key import Sealed
from tally.projects.beside import Wanted
from tally.projects.records import INLINE_BYTES
from tally.wire.projects import ProjectUuid

FORMAT_VERSION = 2
_KIND, _ROW_KIND = "federated project", "federated peer"
_LOCAL, _RECORD, _ROW, _PART, _PEER = "local", "record", "row", "part/", "peer"


_Leaves = tuple[tuple[str, str, int], ...]


class _Snapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """What stands in the snapshot besides statistics.

    Attributes:
        secrets: of the peer.
        fusion: that is the local project, and whose rows it counted; None: it is none.
    """

    secrets: Sealed
    fusion: tuple[ProjectUuid, _Leaves] | None = None


class _Row(msgspec.Struct, frozen=True):
    """What stands in the row besides the peer's record.

    Attributes:
        view: digest of the federated view; empty: there is none.
        provenance: of the view.
        peer: digest of the record, compressed; empty: it is in the row itself.
    """

    view: str
    provenance: _Leaves
    peer: str


@dataclass(frozen=True, slots=True)
class Saved:
    """What is written of a state.

    Attributes:
        state: as it is once that was written.
        snapshot: the new one; None: the store has it.
        beside: what is to stand beside the snapshot; None: it does.
    """

    state: Federated
    snapshot: bytes | None = field(repr=False)
    beside: Wanted | None


def saved(state: Federated, before: Federated | None) -> Saved:
    """Return what must be written of a state; something always must.

    Args:
        state: the one to be saved.
        before: the one that is in the store; None: that is not known.
    """
    snapshot = beside = None
    if before is None or before.is_whole or not _same_snapshot(state, before):
        snapshot = _snapshot(state, {})
    if before is None or before.is_whole or snapshot is None or not _same_row(state, before):
        beside, kept_view = _beside(state)
        state = replace(state, kept_view=kept_view)
    return Saved(replace(state, is_whole=False), snapshot, beside)


def whole(state: Federated) -> bytes:
    """Return a state in one piece, as a project is made from it; equal ones give equal bytes."""
    beside, _ = _beside(replace(state, kept_view=""))
    return _snapshot(state, {_ROW: beside.row, **_named(beside.data)})


class Opening:
    """A state whose record of patients cannot be read without the key that is sealed in it.

    Args:
        data: the snapshot, or the state in one piece.
        row: what stands beside it, if anything does.
        parts: the bytes that the row names, by their digests.

    Raises:
        CorruptState: they are cut, changed, of another format or of a newer version of ours.
    """

    def __init__(
        self, data: bytes, row: bytes | None = None, parts: Mapping[str, bytes] | None = None
    ) -> None:
        self._first = None
        known = (stored_v1.FORMAT_VERSION, FORMAT_VERSION)
        version, self._arrays, meta = unpack_any(_KIND, known, data)
        if version == stored_v1.FORMAT_VERSION:
            self._first = stored_v1.OpeningV1(self._arrays, meta, row)
            return
        self._meta = read(meta, _Snapshot)
        self._row = self._bytes(_ROW) if row is None else row
        self._parts = parts or {}

    @property
    def secrets(self) -> Sealed:
        """Keys and credentials, sealed."""
        return self._meta.secrets if self._first is None else self._first.secrets

    def done(self, hipaa_key: bytes | None) -> Federated:
        """Return the state.

        Args:
            hipaa_key: of its patients; None if it has none.

        Raises:
            CorruptState: something is missing.
        """
        if self._first is not None:
            return self._first.done(hipaa_key)
        peer, row = self._peer()
        fusion = self._meta.fusion
        is_whole = _ROW in self._arrays
        return Federated(
            secrets=self.secrets,
            local=decode_project(self._bytes(_LOCAL)),
            record=record_codec.decode(self._bytes(_RECORD), hipaa_key=hipaa_key),
            view=decode_project(self._part(row.view)) if row.view else None,
            provenance=_leaves(row.provenance),
            peer=peer,
            blobs={digest: self._part(digest) for digest in persistence.names(peer)},
            cells=None if fusion is None else Cells(fusion[0], _leaves(fusion[1])),
            kept_view="" if is_whole else row.view,
            is_whole=is_whole,
        )

    def _peer(self) -> tuple[bytes, _Row]:
        """Return the peer's record, and what else stands in the row."""
        arrays, meta = unpack(_ROW_KIND, FORMAT_VERSION, self._row)
        row = read(meta, _Row)
        data = self._part(row.peer) if row.peer else content(arrays, _PEER)
        try:
            return zlib.decompress(data), row
        except zlib.error as error:
            raise CorruptState(f"the stored peer cannot be read: {error}") from error

    def _part(self, digest: str) -> bytes:
        found = self._parts.get(digest)
        return self._bytes(_PART + digest) if found is None else found

    def _bytes(self, name: str) -> bytes:
        return content(self._arrays, name)


def _same_snapshot(state: Federated, before: Federated) -> bool:
    return state.local is before.local and state.record is before.record


def _same_row(state: Federated, before: Federated) -> bool:
    return state.peer is before.peer and state.view is before.view


def _snapshot(state: Federated, more: Mapping[str, bytes]) -> bytes:
    parts = {
        _LOCAL: encode_project(state.local),
        _RECORD: record_codec.encode(state.record),
        **more,
    }
    arrays = {name: _array(data) for name, data in parts.items()}
    cells = state.cells
    fusion = None if cells is None else (cells.fusion, _told(cells.leaves))
    meta = msgspec.to_builtins(_Snapshot(state.secrets, fusion))
    return pack(_KIND, FORMAT_VERSION, arrays, meta)


def _beside(state: Federated) -> tuple[Wanted, str]:
    """Return what is to stand beside the snapshot, and the digest of the view."""
    data, view = dict(state.blobs), state.kept_view
    if state.view is not None and not view:
        encoded = encode_project(state.view)
        view = digest_of(encoded)
        data[view] = encoded
    provenance = _told(state.provenance)
    peer, large = zlib.compress(state.peer), ""
    row = _packed({_PEER: _array(peer)}, _Row(view, provenance, large))
    if len(row) > INLINE_BYTES:
        large = digest_of(peer)
        data[large] = peer
        row = _packed({}, _Row(view, provenance, large))
    names = frozenset(digest for digest in (*data, view) if digest)
    return Wanted(row, names, data), view


def _told(leaves: Sequence[Leaf]) -> _Leaves:
    return tuple((leaf.source, leaf.version, leaf.rows) for leaf in leaves)


def _leaves(told: _Leaves) -> tuple[Leaf, ...]:
    return tuple(Leaf(*leaf) for leaf in told)


def _packed(arrays: Mapping[str, NDArray[np.uint8]], row: _Row) -> bytes:
    return pack(_ROW_KIND, FORMAT_VERSION, arrays, msgspec.to_builtins(row))


def _named(parts: Mapping[str, bytes]) -> dict[str, bytes]:
    return {_PART + digest: data for digest, data in parts.items()}


def _array(data: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8)
