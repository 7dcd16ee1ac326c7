"""The first form in which federated projects were stored: all in the snapshot; it is only read.

A row beside it has a newer record of the peer, where that came without statistics.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from numpy.typing import NDArray

from model_api.federation.state import Federated
from model_api.federation.unpacking import content, read
from tally.codec.project import decode as decode_project
from tally.codec.tensors import Meta, unpack
from tally.errors import CorruptState
from tally.federation.privacy import record_codec
from tally.fusion.sources import Leaf
from tally.master_key import Sealed

FORMAT_VERSION = 1
_ROW_KIND = "federated peer"
_LOCAL, _VIEW, _RECORD, _PEER, _BLOB = "local", "view", "record", "peer", "peer/"


class _Snapshot(msgspec.Struct, frozen=True):
    secrets: Sealed
    provenance: tuple[tuple[str, str, int], ...]
    blobs: tuple[str, ...]
    steps: int


class _Row(msgspec.Struct, frozen=True):
    steps: int
    blobs: tuple[str, ...]


class OpeningV1:
    """See `model_api.federation.stored.Opening`.

    Args:
        arrays, meta: of the snapshot.
        row: what stands beside it, if anything does; it may be older.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]], meta: Meta, row: bytes | None) -> None:
        self._arrays, self._row = arrays, row
        self._meta = read(meta, _Snapshot)

    @property
    def secrets(self) -> Sealed:
        """Keys and credentials, sealed."""
        return self._meta.secrets

    def done(self, hipaa_key: bytes | None) -> Federated:
        """Return the state; it is written anew, in today's form, with the next change."""
        peer, names = self._peer()
        return Federated(
            secrets=self.secrets,
            local=decode_project(self._bytes(_LOCAL)),
            record=record_codec.decode(self._bytes(_RECORD), hipaa_key=hipaa_key),
            view=decode_project(self._bytes(_VIEW)) if _VIEW in self._arrays else None,
            provenance=tuple(Leaf(*leaf) for leaf in self._meta.provenance),
            peer=peer,
            blobs={digest: self._bytes(_BLOB + digest) for digest in names},
            is_whole=True,
        )

    def _peer(self) -> tuple[bytes, Sequence[str]]:
        """Return the peer's record, and the statistics that it names."""
        if self._row is not None:
            arrays, meta = unpack(_ROW_KIND, FORMAT_VERSION, self._row)
            row = read(meta, _Row)
            if row.steps > self._meta.steps:
                try:
                    return zlib.decompress(content(arrays, _PEER)), row.blobs
                except zlib.error as error:
                    raise CorruptState(f"the stored peer cannot be read: {error}") from error
        return self._bytes(_PEER), self._meta.blobs

    def _bytes(self, name: str) -> bytes:
        return content(self._arrays, name)
