"""A peer's record on disk."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from tally.errors import CorruptState
from tally.federation import persistence
from tally.federation import state as state_module
from tests.federation.worlds import pulsing, rounds

GOLDEN = Path(__file__).parents[1] / "golden" / "peer.v1.json"


async def test_a_record_is_read_back_as_it_was_and_a_changed_one_is_refused() -> None:
    world = await pulsing(3, encrypt=True)
    state = world.admin.state
    record, blobs = persistence.dump(state)
    assert persistence.load(record, blobs) == state
    for digest in blobs:
        changed = {**blobs, digest: blobs[digest] + b" "}
        with pytest.raises(CorruptState, match="missing or changed"):
            persistence.load(record, changed)
    with pytest.raises(CorruptState, match="version 2, not 1"):
        persistence.load(record.replace(b'"format":1', b'"format":2'), blobs)
    with pytest.raises(CorruptState, match="cannot be read"):
        persistence.load(record[:-1], blobs)


async def test_states_that_follow_one_another_are_dumped_as_each_alone_and_hash_what_is_new(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = await pulsing(3)
    dumper, hashed = persistence.Dumper(), []
    original = state_module.digest_of

    def digest_of(content: bytes) -> str:
        hashed.append(content)
        return original(content)

    for learned in (0, 20, 0):
        world.admin.site.learn(learned)
        await rounds(world, 1)
        state = world.admin.state
        alone = persistence.dump(state)
        monkeypatch.setattr(persistence, "digest_of", digest_of)
        hashed.clear()
        assert dumper.dump(state) == alone
        assert dumper.dump(state) == alone
        monkeypatch.undo()
    assert all(b"0002." not in content and b"0003." not in content for content in hashed)


async def test_statistics_are_beside_the_record_and_not_in_it() -> None:
    world = await pulsing(3)
    record, blobs = persistence.dump(world.admin.state)
    row = world.nodes[1].site.rows[0].encode()
    assert row not in record
    assert base64.b64encode(row)[:-2] not in record
    assert any(row in blob for blob in blobs.values())


def test_records_of_older_versions_are_read_for_ever() -> None:
    golden = json.loads(GOLDEN.read_text())
    blobs = {key: base64.b64decode(blob) for key, blob in golden["blobs"].items()}
    state = persistence.load(golden["record"].encode(), blobs)
    assert state.settings.is_admin
    assert [len(state.roster.peers), len(state.rows), state.sync_sched] == [3, 2, "m1"]
    assert state.approved is not None
    assert state.approved.snapshot.info.rows == 50
    assert len(state.tokens.issued) == 2
    assert persistence.load(*persistence.dump(state)) == state
