"""The stored state of a federated project."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from model_api.federation.secrets import Secrets, opened, reader
from model_api.federation.state import Cells, Federated
from model_api.federation.stored import Opening, saved, whole
from tally.engine.options import Options
from tally.engine.project import Project
from tally.errors import CorruptState
from tally.federation.privacy.record import LocalRecord
from tally.federation.state import digest_of
from tally.federation.terms import created_terms
from tally.fusion.sources import Leaf
from tally.master_key import MasterKey
from tally.projects.beside import Wanted
from tally.projects.records import INLINE_BYTES
from tally.wire.projects import ProjectUuid
from tests.golden.write_federated import HIPAA_KEY, UUID, federated

GOLDEN = Path(__file__).parents[3] / "golden"
FIRST, FIRST_ROW = GOLDEN / "peer.v1.federated", GOLDEN / "peer.v1.row"
NOW = GOLDEN / "peer.v2.federated"
MASTER = MasterKey(bytes(range(32)))
PROJECT = ProjectUuid(UUID)


def secrets(**more: str) -> Secrets:
    given = {"fed_name": "f", "sync_sched": "m5", "nats_hosts": "nats://n"}
    return Secrets.new(created_terms({**given, "nats_sec_token": "hush", **more}))


def in_pieces(state: Federated) -> tuple[bytes, Wanted]:
    """Return all that is written of a state of which the store has nothing."""
    written = saved(state, None)
    assert written.snapshot is not None
    assert written.beside is not None
    assert written.beside.names == written.beside.data.keys()
    return written.snapshot, written.beside


def stepped(state: Federated, **blobs: bytes) -> Federated:
    """Return a state after a step of the protocol that brought statistics."""
    record = json.loads(state.peer)
    record["digests"] |= {place: digest_of(data) for place, data in blobs.items()}
    named = {digest_of(data): data for data in blobs.values()}
    return state.with_peer(json.dumps(record).encode(), {**state.blobs, **named})


def check(state: Federated) -> None:
    assert state.local.row_count == 3
    assert state.project.row_count == 5
    assert [leaf.rows for leaf in state.provenance] == [3, 2]
    assert state.record.patients is not None
    assert len(state.record.patients) == 2
    assert list(state.blobs.values()) == [b"a snapshot"]
    assert state.told["fed_is_admin"] == "true"


def test_a_state_in_one_piece_survives_its_bytes() -> None:
    data = whole(federated())
    state = Opening(data).done(HIPAA_KEY)
    check(state)
    assert whole(state) == data
    # It is in pieces from the next change on.
    written = saved(state, state)
    assert written.snapshot is not None
    assert written.beside is not None
    assert written.beside.names == written.beside.data.keys()


def test_a_state_of_any_version_is_read_for_ever() -> None:
    check(Opening(NOW.read_bytes()).done(HIPAA_KEY))
    first = Opening(FIRST.read_bytes()).done(HIPAA_KEY)
    check(first)
    assert first.told["fed_pulsing"] == "false"
    newer = Opening(FIRST.read_bytes(), FIRST_ROW.read_bytes()).done(HIPAA_KEY)
    check(newer)
    assert newer.told["fed_pulsing"] == "true"
    for damaged in (FIRST_ROW.read_bytes()[:-1], NOW.read_bytes()):
        with pytest.raises(CorruptState):
            Opening(FIRST.read_bytes(), damaged).done(HIPAA_KEY)


def test_the_first_form_is_written_in_todays_with_the_next_change() -> None:
    first = Opening(FIRST.read_bytes(), FIRST_ROW.read_bytes()).done(HIPAA_KEY)
    written = saved(first, first)
    assert written.snapshot is not None
    assert written.beside is not None
    assert written.beside.names == written.beside.data.keys() > first.blobs.keys()
    assert not written.state.is_whole


def test_damaged_bytes_and_another_key_of_patients_are_found() -> None:
    snapshot, beside = in_pieces(federated())
    for damaged in (snapshot[:-1], snapshot[:-1] + b"\0", NOW.read_bytes()[:100], b""):
        with pytest.raises(CorruptState):
            Opening(damaged, beside.row, beside.data).done(HIPAA_KEY)
    for key in (bytes(32), None):
        with pytest.raises(CorruptState):
            Opening(snapshot, beside.row, beside.data).done(key)
    for row in (beside.row[:-1], None):
        with pytest.raises(CorruptState):
            Opening(snapshot, row, beside.data).done(HIPAA_KEY)
    for digest in beside.names:
        less = {name: data for name, data in beside.data.items() if name != digest}
        with pytest.raises(CorruptState, match=digest):
            Opening(snapshot, beside.row, less).done(HIPAA_KEY)


def test_a_state_survives_in_pieces() -> None:
    state = federated()
    snapshot, beside = in_pieces(state)
    again = Opening(snapshot, beside.row, {**beside.data, "d" * 64: b"of nobody"}).done(HIPAA_KEY)
    check(again)
    assert whole(again) == whole(state)


def test_what_is_saved_is_what_is_new() -> None:
    state = saved(federated(), None).state
    learned = saved(state.with_local(Project.empty(Options())), state)
    assert learned.snapshot is not None
    assert learned.beside is None
    step = saved(stepped(state), state)
    assert step.snapshot is None
    assert step.beside is not None
    assert len(step.beside.row) < len(whole(state)) / 2
    assert step.beside.names == set(state.blobs) | {state.kept_view}
    more = saved(stepped(state, **{"refused/b": b"another"}), state)
    assert more.beside is not None
    assert more.beside.names - step.beside.names == {digest_of(b"another")}
    # The view is made into bytes when it is new, and not kept as such.
    assert state.kept_view not in step.beside.data
    other = saved(state.without_histograms(), state)
    assert other.beside is not None
    assert other.state.kept_view in other.beside.data


def test_a_record_that_is_too_large_for_a_row_stands_beside_it() -> None:
    state = federated()
    entries = random.Random(1).randbytes(INLINE_BYTES).hex()
    large = state.with_peer(state.peer[:-1] + b',"more":"%s"}' % entries.encode(), state.blobs)
    snapshot, beside = in_pieces(large)
    assert len(beside.row) < INLINE_BYTES / 10
    assert len(beside.names) == 3
    assert Opening(snapshot, beside.row, beside.data).done(HIPAA_KEY).peer == large.peer


def test_before_the_first_rebuild_the_local_project_is_asked() -> None:
    local = Project.empty(Options())
    state = Federated(secrets().sealed(MASTER, PROJECT), local, LocalRecord.empty(hipaa_key=None))
    assert state.project is local


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
    record = LocalRecord.empty(hipaa_key=made.patients_key)
    local = Project.empty(Options())
    state = Federated(made.sealed(MASTER, PROJECT), local, record, peer=b"{}")
    assert reader(MASTER)(PROJECT, whole(state), None, {}).record.patients is None


def test_what_a_fusion_counted_is_kept_with_the_peer() -> None:
    leaves = (Leaf("a" * 32, "1-7", 30), Leaf("f" * 32, "2-1", 0))
    kept = Cells(ProjectUuid("f" * 32), leaves)
    state = replace(federated(), cells=kept)
    assert Opening(whole(state)).done(HIPAA_KEY).cells == kept
    snapshot, beside = in_pieces(state)
    assert Opening(snapshot, beside.row, beside.data).done(HIPAA_KEY).cells == kept
    assert Opening(whole(federated())).done(HIPAA_KEY).cells is None
