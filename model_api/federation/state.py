"""The state of a federated project: its local project, the federated view, and the peer."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import msgspec
import numpy as np

from tally.codec.project import decode as decode_project
from tally.codec.project import encode as encode_project
from tally.codec.tensors import pack, unpack
from tally.engine.project import Project
from tally.errors import CorruptState
from tally.federation.logs import Log
from tally.federation.privacy import record_codec
from tally.federation.privacy.record import LocalRecord
from tally.federation.state import NodeState
from tally.fusion.merging import Merged
from tally.fusion.sources import Leaf
from tally.master_key import Sealed
from tally.projects.records import INLINE_BYTES
from tally.wire.projects import ProjectUuid

FORMAT_VERSION = 1
_KIND, _ROW_KIND = "federated project", "federated peer"
_LOCAL, _VIEW, _RECORD, _PEER, _BLOB = "local", "view", "record", "peer", "peer/"


class _Settings(msgspec.Struct, frozen=True):
    uuid: str
    admin: str


class _Member(msgspec.Struct, frozen=True):
    uuid: str
    name: str


class _Roster(msgspec.Struct, frozen=True):
    peers: tuple[_Member, ...] = ()


class _State(msgspec.Struct, frozen=True):
    settings: _Settings
    node: NodeState
    errors: Log
    roster: _Roster = _Roster()


class _Peer(msgspec.Struct, frozen=True):
    state: _State


_Leaves = tuple[tuple[str, str, int], ...]


class _Record(msgspec.Struct, frozen=True, omit_defaults=True):
    secrets: Sealed
    provenance: _Leaves
    blobs: tuple[str, ...]
    steps: int
    fusion: tuple[ProjectUuid, _Leaves] | None = None


class _Row(msgspec.Struct, frozen=True):
    steps: int
    blobs: tuple[str, ...]


class Stored:
    """A project and its bytes, which are made once, when they are first needed.

    Args:
        project: itself.
        data: the same as bytes, if they are known.
    """

    def __init__(self, project: Project, data: bytes | None = None) -> None:
        self.project = project
        self._data = data

    @cached_property
    def data(self) -> bytes:
        """The project as bytes."""
        return encode_project(self.project) if self._data is None else self._data


@dataclass(frozen=True, slots=True)
class Cells:
    """What a local project stands on that is a fusion, and learns nothing itself.

    Attributes:
        fusion: that project.
        leaves: whose rows it counted when it was asked last.
    """

    fusion: ProjectUuid
    leaves: tuple[Leaf, ...] = ()


@dataclass(frozen=True, slots=True)
class Federated:
    """A federated project between two changes; immutable.

    Attributes:
        secrets: keys and credentials of the peer, sealed.
        local: what was learned here.
        record: what the privacy rules need beside it; it never leaves.
        view: the sum over the federation, as of the last rebuild; None before the first.
        provenance: whose rows `view` counts.
        peer, blobs: the state of the protocol as `tally.federation.persistence` gave it.
        steps: of the protocol so far.
        stored: those of `blobs`, and older ones, that the last snapshot in the store has.
        cells: of a local project that is a fusion; None: it learns its rows itself.
    """

    secrets: Sealed = field(repr=False)
    local: Stored
    record: LocalRecord
    view: Stored | None = None
    provenance: tuple[Leaf, ...] = ()
    peer: bytes = field(default=b"", repr=False)
    blobs: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    steps: int = 0
    stored: frozenset[str] = frozenset()
    cells: Cells | None = None

    @property
    def project(self) -> Project:
        """What is explored, and what models are built from."""
        return self.local.project if self.view is None else self.view.project

    @property
    def size_bytes(self) -> int:
        """Of what is in memory besides `project`."""
        own = 0 if self.view is None else self.local.project.size_bytes
        return own + len(self.peer) + sum(map(len, self.blobs.values()))

    @property
    def told(self) -> Mapping[str, str]:
        """What the project's `params` tell of the peer."""
        state = msgspec.json.decode(self.peer, type=_Peer).state
        return {
            "fed_pulsing": _text(state.node is NodeState.PULSING),
            "fed_has_error": _text(bool(state.errors.entries)),
            "fed_is_admin": _text(state.settings.uuid == state.settings.admin),
        }

    @property
    def peers(self) -> Mapping[str, str]:
        """The names of all peers of the federation by uuid, this one among them."""
        state = msgspec.json.decode(self.peer, type=_Peer).state
        return {member.uuid: member.name for member in state.roster.peers}

    def with_local(self, project: Project) -> Federated:
        """Return the state after something was learned here."""
        return replace(self, local=Stored(project))

    def with_view(self, merged: Merged) -> Federated:
        """Return the state after a rebuild; values are counted only if they are here."""
        project = merged.project
        if self.local.project.histograms is None:
            project = replace(project, histograms=None)
        return replace(self, view=Stored(project), provenance=merged.provenance)

    def with_peer(self, peer: bytes, blobs: Mapping[str, bytes]) -> Federated:
        """Return the state after a step of the protocol."""
        return replace(self, peer=peer, blobs=dict(blobs), steps=self.steps + 1)

    def without_histograms(self) -> Federated:
        """Return the state with a view that counts no values."""
        if self.view is None:
            return self
        return replace(self, view=Stored(replace(self.view.project, histograms=None)))

    def as_stored(self) -> Federated:
        """Return the state as it is once its bytes are in the store."""
        return replace(self, stored=frozenset(self.blobs))

    def row(self, before: Federated) -> bytes | None:
        """Return the peer's record as a row beside the snapshot, where nothing else is new.

        Most messages change a few counters and leave the statistics as they were, which may be
        a thousand times as large.

        Args:
            before: the state whose snapshot, and row, are in the store.
        """
        same = (self.local, self.view, self.record) == (before.local, before.view, before.record)
        if not same or not self.blobs.keys() <= before.stored:
            return None
        data = zlib.compress(self.peer)
        meta = _Row(self.steps, tuple(sorted(self.blobs)))
        array = np.frombuffer(data, np.uint8)
        row = pack(_ROW_KIND, FORMAT_VERSION, {_PEER: array}, msgspec.to_builtins(meta))
        return row if len(row) <= INLINE_BYTES else None

    def encode(self) -> bytes:
        """Return the state as bytes; equal ones give equal bytes."""
        parts = {
            _LOCAL: self.local.data,
            _RECORD: record_codec.encode(self.record),
            _PEER: self.peer,
            **{_BLOB + digest: data for digest, data in self.blobs.items()},
        }
        if self.view is not None:
            parts[_VIEW] = self.view.data
        cells = self.cells
        meta = _Record(
            self.secrets,
            _told(self.provenance),
            tuple(sorted(self.blobs)),
            self.steps,
            None if cells is None else (cells.fusion, _told(cells.leaves)),
        )
        arrays = {name: np.frombuffer(data, np.uint8) for name, data in sorted(parts.items())}
        return pack(_KIND, FORMAT_VERSION, arrays, msgspec.to_builtins(meta))


class Opening:
    """A state whose record of patients cannot be read without the key that is sealed in it.

    Args:
        data: of `Federated.encode`.
        row: of `Federated.row`, if there is one; it may be older.

    Raises:
        CorruptState: they are cut, changed, of another format or of a newer version of ours.
    """

    def __init__(self, data: bytes, row: bytes | None = None) -> None:
        self._row = row
        self._arrays, meta = unpack(_KIND, FORMAT_VERSION, data)
        try:
            self._meta = msgspec.convert(meta, _Record)
        except msgspec.ValidationError as error:
            raise CorruptState(f"the stored federated project cannot be read: {error}") from error

    @property
    def secrets(self) -> Sealed:
        """Keys and credentials, sealed."""
        return self._meta.secrets

    def done(self, hipaa_key: bytes | None) -> Federated:
        """Return the state.

        Args:
            hipaa_key: of its patients; None if it has none.

        Raises:
            CorruptState: something is missing.
        """
        local, has_view = self._bytes(_LOCAL), _VIEW in self._arrays
        peer, steps, names = self._peer()
        view = self._bytes(_VIEW) if has_view else b""
        fusion = self._meta.fusion
        return Federated(
            secrets=self.secrets,
            local=Stored(decode_project(local), local),
            record=record_codec.decode(self._bytes(_RECORD), hipaa_key=hipaa_key),
            view=Stored(decode_project(view), view) if has_view else None,
            provenance=_read(self._meta.provenance),
            peer=peer,
            blobs={digest: self._bytes(_BLOB + digest) for digest in names},
            steps=steps,
            stored=frozenset(self._meta.blobs),
            cells=None if fusion is None else Cells(fusion[0], _read(fusion[1])),
        )

    def _peer(self) -> tuple[bytes, int, Sequence[str]]:
        """Return the peer's record, how many steps it has made, and the statistics it names."""
        if self._row is not None:
            arrays, meta = unpack(_ROW_KIND, FORMAT_VERSION, self._row)
            try:
                row = msgspec.convert(meta, _Row)
                if row.steps > self._meta.steps:
                    return zlib.decompress(arrays[_PEER].tobytes()), row.steps, row.blobs
            except (msgspec.ValidationError, KeyError, zlib.error) as error:
                raise CorruptState(f"the stored peer cannot be read: {error}") from error
        return self._bytes(_PEER), self._meta.steps, self._meta.blobs

    def _bytes(self, name: str) -> bytes:
        if (array := self._arrays.get(name)) is None:
            raise CorruptState(f"the stored federated project misses {name!r}")
        return array.tobytes()


def _told(leaves: Sequence[Leaf]) -> _Leaves:
    return tuple((leaf.source, leaf.version, leaf.rows) for leaf in leaves)


def _read(told: _Leaves) -> tuple[Leaf, ...]:
    return tuple(Leaf(*leaf) for leaf in told)


def _text(value: bool) -> str:
    return "true" if value else "false"
