"""What one home writes and removes beside a snapshot, and what another one finds meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest

from model_api.federation.stored import Opening, whole
from model_api.projects.changes import Save, Unload
from model_api.projects.limits import HomeLimits
from tally.clock import ManualClock
from tally.errors import CorruptState, OutcomeUnknown
from tally.ids import BlobId
from tally.projects import held
from tally.projects.errors import NotHome
from tally.projects.federated import FEDERATED
from tally.projects.records import PART_BYTES, PARTS, PEER, Options, project_partition
from tally.projects.references import referenced
from tally.store.base import Blob, Check, Token, Write
from tally.store.sqlite import SqliteStore
from tally.wire.projects import ProjectUuid
from tests.golden.write_federated import HIPAA_KEY
from tests.unit.model_api.federation.acts import (
    LARGE,
    SMALL,
    federated,
    learned,
    noise,
    peer,
    rebuilt,
    told,
)
from tests.unit.model_api.projects.acts import (
    Nodes,
    Troubled,
    being_written,
    eventually,
    worker,
)

GOLDEN = Path(__file__).parents[3] / "golden"
GRACE_S = HomeLimits().grace_s


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Troubled]:
    opened = Troubled(tmp_path / "store.db")
    yield opened
    await opened.close()


@pytest.fixture
async def other(store: Troubled, tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """The same store, as another worker has it."""
    opened = SqliteStore(tmp_path / "store.db")
    yield opened
    await opened.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a home ask again at once where the store does not tell what came of a commit."""
    monkeypatch.setattr(held, "_LONGEST_PAUSE_S", 0.001)


async def _blobs(store: SqliteStore) -> set[BlobId]:
    return {blob async for blob in store.blobs()}


async def _has(store: SqliteStore, blobs: int) -> bool:
    return len(await _blobs(store)) == blobs


async def _parts(store: SqliteStore, project: ProjectUuid) -> list[str]:
    rows = [*await store.scan(project_partition(project), PARTS)]
    rows += await store.scan(project_partition(project), PART_BYTES)
    return [row.key for row in rows]


async def test_statistics_are_written_once_and_go_after_a_grace_when_nobody_names_them(
    store: Troubled, clock: ManualClock
) -> None:
    a, b, c = noise(1, LARGE), noise(2, LARGE), noise(3, SMALL)
    async with worker(store, clock, Nodes()) as homes:
        project = await federated(homes)
        await homes.change(project, peer(a, b, c), "")
        first = await _blobs(store)
        assert len(first) == 2
        store.commits.clear()
        await homes.change(project, peer(a, b, c, more="1"), "")
        assert store.commits == [[PEER, "head"]]
        await homes.change(project, peer(b, noise(4, LARGE)), "")
        assert len(await _parts(store, project)) == 2
        assert len(await _blobs(store)) == 3  # whoever is reading them may go on
        await clock.advance(GRACE_S)
        await eventually(lambda: _has(store, 2), "it is deleted")
        assert len(await _blobs(store) & first) == 1
        # What comes again gets bytes of its own: the old ones may be going just now.
        await homes.change(project, peer(a, b), "")
        assert len(await _blobs(store) & first) == 1


async def test_a_home_that_was_taken_over_removes_nothing_that_the_next_one_needs(
    store: Troubled, other: SqliteStore, clock: ManualClock
) -> None:
    """It is stopped between its bytes and its commit, which would have named others no more."""
    nodes = Nodes()
    async with worker(store, clock, nodes) as old, worker(other, clock, nodes, "b_1") as new:
        project = await federated(old)
        await old.change(project, peer(noise(1, LARGE), noise(2, SMALL)), "")
        before = await told(old, project)
        change = await being_written(store, old.change(project, peer(noise(3, LARGE)), ""))
        assert await told(new, project, "a_1") == before
        kept = await _blobs(store)
        store.gate.set()
        with pytest.raises(NotHome):
            await change
        await clock.advance(GRACE_S)
        await eventually(lambda: _has(store, len(kept) - 1), "what it had written is deleted")
        async with worker(other, clock, nodes, "c_1") as third:
            assert await told(third, project, "b_1") == before


async def test_a_home_that_loads_what_the_next_one_has_replaced_is_told_so(
    store: Troubled, other: SqliteStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = Nodes()
    async with worker(store, clock, nodes) as first:
        project = await federated(first)
        await first.change(project, peer(noise(1, LARGE)), "")
    get_blob = store.get_blob
    async with (
        worker(store, clock, nodes, "b_1") as slow,
        worker(other, clock, nodes, "c_1") as new,
    ):

        async def late(blob: Blob) -> bytes:
            await told(new, project, "b_1")
            await new.change(project, peer(noise(2, LARGE)), "")
            await other.delete_blob(blob.id)
            return await get_blob(blob)

        monkeypatch.setattr(store, "get_blob", late)
        with pytest.raises(NotHome):
            await told(slow, project)


async def test_bytes_that_are_gone_or_another_ones_are_found(
    store: Troubled, clock: ManualClock
) -> None:
    nodes = Nodes()
    async with worker(store, clock, nodes) as homes:
        project = await federated(homes)
        await homes.change(project, peer(noise(1, LARGE), noise(2, SMALL)), "")
    partition = project_partition(project)
    (small,) = await store.scan(partition, PART_BYTES)
    tokens = await store.commit(partition, [Write(small.key, small.token, b"changed")])
    assert tokens is not None
    async with worker(store, clock, nodes) as homes:
        with pytest.raises(CorruptState, match="another digest"):
            await told(homes, project)
    await store.commit(partition, [Write(small.key, tokens[small.key], small.value)])
    for blob in await _blobs(store):
        await store.delete_blob(blob)
    async with worker(store, clock, nodes) as homes:
        with pytest.raises(CorruptState, match="misses"):
            await told(homes, project)


async def test_bytes_are_never_nobodys(
    store: Troubled, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it takes from them to the commit that names them."""
    commit, looks = store.commit, 0

    async def watched(
        partition: str, writes: Sequence[Write], checks: Sequence[Check] = ()
    ) -> Mapping[str, Token] | None:
        nonlocal looks
        looks += 1
        assert await _blobs(store) <= {blob async for blob in referenced(store)}
        return await commit(partition, writes, checks)

    async with worker(store, clock, Nodes()) as homes:
        project = await federated(homes, learned(70))
        await told(homes, project)
        monkeypatch.setattr(store, "commit", watched)
        statistics = [noise(seed, LARGE) for seed in range(4)]
        await asyncio.gather(
            homes.change(project, peer(*statistics), ""), homes.change(project, rebuilt(70), "")
        )
        assert await _blobs(store) <= {blob async for blob in referenced(store)}
    assert looks == 6  # five blobs beside the snapshot, which is one itself


async def test_what_many_bring_at_once_is_cut_into_commits_of_some_rows(
    store: Troubled, clock: ManualClock
) -> None:
    async with worker(store, clock, Nodes()) as homes:
        project = await federated(homes)
        store.commits.clear()
        await homes.change(project, peer(*(noise(seed, 100) for seed in range(120))), "")
        assert max(map(len, store.commits)) <= 53
        assert len(await _parts(store, project)) == 120
        for left in (70, 20, 0):
            await homes.change(project, peer(), "")
            assert len(await _parts(store, project)) == left


async def test_a_project_of_memory_is_saved_whole_and_again_after_an_unknown_outcome(
    store: Troubled, clock: ManualClock
) -> None:
    async with worker(store, clock, Nodes()) as homes:
        project = await federated(homes, learned(70), persisted=False)
        await homes.change(project, rebuilt(70), "")
        await homes.change(project, peer(noise(1, LARGE), noise(2, LARGE)), "")
        assert await _parts(store, project) == []
        store.troubles = ["unheard"] * 8
        with pytest.raises(OutcomeUnknown):
            await homes.change(project, Save(), "1")
        await homes.change(project, Save(), "1")
        kept = await told(homes, project)
    async with worker(store, clock, Nodes()) as homes:
        assert await told(homes, project) == kept


async def test_the_first_form_is_taken_up_and_replaced(store: Troubled, clock: ManualClock) -> None:
    async with worker(store, clock, Nodes()) as homes:
        homes.read_federated(
            lambda _project, data, row, parts: Opening(data, row, parts).done(HIPAA_KEY)
        )
        data, row = (GOLDEN / f"peer.v1.{kind}" for kind in ("federated", "row"))
        options = Options(kind=FEDERATED)
        project = await homes.projects.create("c1", "p", options, snapshot=data.read_bytes())
        await store.commit(project_partition(project), [Write(PEER, None, row.read_bytes())])
        home = await homes.ask(project)
        assert home.federated is not None
        assert home.federated.told["fed_pulsing"] == "true"
        await homes.change(project, peer(noise(1, LARGE)), "")
        assert home.federated is not None
        kept = whole(home.federated)
        await homes.change(project, Unload(), "")
        home = await homes.ask(project)
        assert home.federated is not None
        assert whole(home.federated) == kept
        assert home.local.row_count == 3
