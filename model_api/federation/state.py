"""The state of a federated project: its local project, the federated view, and the peer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import msgspec

from tally.engine.project import Project
from tally.federation.logs import Log
from tally.federation.privacy.record import LocalRecord
from tally.federation.state import NodeState
from tally.fusion.merging import Merged
from tally.fusion.sources import Leaf
from tally.master_key import Sealed
from tally.wire.projects import ProjectUuid


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
        cells: of a local project that is a fusion; None: it learns its rows itself.
        kept_view: digest of the view's bytes, which the store has; empty: it has not.
        is_whole: the snapshot in the store has what is to stand beside it.
    """

    secrets: Sealed = field(repr=False)
    local: Project
    record: LocalRecord
    view: Project | None = None
    provenance: tuple[Leaf, ...] = ()
    peer: bytes = field(default=b"", repr=False)
    blobs: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    cells: Cells | None = None
    kept_view: str = ""
    is_whole: bool = False

    @property
    def project(self) -> Project:
        """What is explored, and what models are built from."""
        return self.local if self.view is None else self.view

    @property
    def size_bytes(self) -> int:
        """Of what is in memory besides `project`."""
        own = 0 if self.view is None else self.local.size_bytes
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
        return replace(self, local=project)

    def with_view(self, merged: Merged) -> Federated:
        """Return the state after a rebuild; values are counted only if they are here."""
        project = merged.project
        if self.local.histograms is None:
            project = replace(project, histograms=None)
        return replace(self, view=project, provenance=merged.provenance, kept_view="")

    def with_peer(self, peer: bytes, blobs: Mapping[str, bytes]) -> Federated:
        """Return the state after a step of the protocol."""
        return replace(self, peer=peer, blobs=dict(blobs))

    def without_histograms(self) -> Federated:
        """Return the state with a view that counts no values."""
        if self.view is None:
            return self
        return replace(self, view=replace(self.view, histograms=None), kept_view="")


def _text(value: bool) -> str:
    return "true" if value else "false"
