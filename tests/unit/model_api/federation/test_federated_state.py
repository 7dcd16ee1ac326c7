"""The stored state of a federated project."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from model_api.federation.secrets import Secrets, opened, reader
from model_api.federation.state import Cells, Federated, Opening, Stored
from tally.engine.options import Options
from tally.engine.project import Project
from tally.errors import CorruptState
from tally.federation.privacy.record import LocalRecord
from tally.federation.terms import created_terms
from tally.fusion.sources import Leaf
from tally.master_key import MasterKey
from tally.wire.projects import ProjectUuid
from tests.golden.write_federated import HIPAA_KEY, UUID, federated

GOLDEN = Path(__file__).parents[3] / "golden" / "peer.v1.federated"
MASTER = MasterKey(bytes(range(32)))
PROJECT = ProjectUuid(UUID)


def secrets(**more: str) -> Secrets:
    given = {"fed_name": "f", "sync_sched": "m5", "nats_hosts": "nats://n"}
    return Secrets.new(created_terms({**given, "nats_sec_token": "hush", **more}))


@pytest.mark.parametrize("data", [federated().encode(), GOLDEN.read_bytes()], ids=["now", "before"])
def test_a_state_survives_its_bytes_and_is_read_for_ever(data: bytes) -> None:
    state = Opening(data).done(HIPAA_KEY)
    assert state.encode() == data
    assert state.local.project.row_count == 3
    assert state.project.row_count == 5
    assert [leaf.rows for leaf in state.provenance] == [3, 2]
    assert state.record.patients is not None
    assert len(state.record.patients) == 2
    assert state.blobs["c" * 64] == b"a snapshot"
    assert state.told == {"fed_pulsing": "false", "fed_has_error": "false", "fed_is_admin": "true"}


def test_damaged_bytes_and_another_key_of_patients_are_found() -> None:
    data = bytearray(federated().encode())
    data[-1] ^= 1
    with pytest.raises(CorruptState):
        Opening(bytes(data))
    with pytest.raises(CorruptState):
        Opening(federated().encode()).done(bytes(32))
    with pytest.raises(CorruptState):
        Opening(federated().encode()).done(None)


def test_before_the_first_rebuild_the_local_project_is_asked() -> None:
    local = Stored(Project.empty(Options()))
    state = Federated(secrets().sealed(MASTER, PROJECT), local, LocalRecord.empty(hipaa_key=None))
    assert state.project is local.project


def test_secrets_are_read_under_the_master_key_and_for_their_project_only() -> None:
    made = secrets()
    sealed = made.sealed(MASTER, PROJECT)
    assert opened(MASTER, sealed, PROJECT) == made
    assert b"hush" not in sealed.box
    with pytest.raises(CorruptState):
        opened(MASTER, sealed, ProjectUuid("b" * 32))
    shown = repr(made) + repr(made.terms)
    assert "hush" not in shown
    assert made.secret.hex() not in shown


def test_a_project_without_the_rules_of_hipaa_is_read_without_a_key_of_patients() -> None:
    made = secrets(fed_enforce_hipaa_compliance="false")
    local = Stored(Project.empty(Options()))
    record = LocalRecord.empty(hipaa_key=made.patients_key)
    state = Federated(made.sealed(MASTER, PROJECT), local, record, peer=b"{}")
    assert reader(MASTER)(PROJECT, state.encode(), None).record.patients is None


def test_a_step_that_brings_no_statistics_is_a_row_beside_the_snapshot() -> None:
    saved = federated().as_stored()
    stepped = saved.with_peer(saved.peer + b" ", saved.blobs)
    row = stepped.row(saved)
    assert row is not None
    assert len(row) < len(saved.encode()) / 2
    again = Opening(saved.encode(), row).done(HIPAA_KEY)
    assert (again.peer, again.blobs, again.steps) == (stepped.peer, saved.blobs, stepped.steps)
    # A snapshot that was written later has more than the row.
    later = stepped.with_peer(stepped.peer + b" ", {}).as_stored()
    assert Opening(later.encode(), row).done(HIPAA_KEY).peer == later.peer
    with pytest.raises(CorruptState):
        Opening(saved.encode(), row[:-1]).done(HIPAA_KEY)


def test_statistics_that_the_snapshot_lacks_are_no_row() -> None:
    saved = federated().as_stored()
    more = saved.with_peer(saved.peer, {**saved.blobs, "d" * 64: b"another"})
    assert more.row(saved) is None
    assert saved.with_local(saved.local.project).row(saved) is None
    less = saved.with_peer(saved.peer, {})
    assert less.row(saved) is not None
    # What went may come again: the snapshot still has it.
    assert less.with_peer(saved.peer, saved.blobs).row(less) is not None


def test_what_a_fusion_counted_is_kept_with_the_peer() -> None:
    leaves = (Leaf("a" * 32, "1-7", 30), Leaf("f" * 32, "2-1", 0))
    kept = Cells(ProjectUuid("f" * 32), leaves)
    data = replace(federated(), cells=kept).encode()
    assert Opening(data).done(HIPAA_KEY).cells == kept
    assert Opening(federated().encode()).done(HIPAA_KEY).cells is None
