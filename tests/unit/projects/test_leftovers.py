"""What a crash or a deletion leaves behind is found, and nothing else."""

from __future__ import annotations

import pytest

from tally.clock import ManualClock
from tally.errors import NotFound, OutcomeUnknown, StoreUnavailable
from tally.ids import BlobId, NodeId, new_blob_id
from tally.projects.errors import NotHome
from tally.projects.graves import Graves
from tally.projects.jobs import Jobs
from tally.projects.projects import Projects, new_project_uuid
from tally.projects.records import INLINE_BYTES, Head, Options, project_partition
from tally.projects.references import referenced
from tally.store.base import Write
from tally.store.sqlite import SqliteStore
from tally.wire.projects import ProjectUuid

LARGE = bytes(INLINE_BYTES + 1)
GRACE_S = 100.0


async def _never(head: Head) -> bool:
    return False


async def _always(head: Head) -> bool:
    return True


async def _blobs(store: SqliteStore) -> set[BlobId]:
    return {blob async for blob in store.blobs()}


async def _named(store: SqliteStore) -> set[BlobId]:
    return {blob async for blob in referenced(store)}


async def _registered(projects: Projects) -> set[ProjectUuid]:
    return {project async for project, _ in projects.registry.walk()}


@pytest.fixture
def graves(projects: Projects, clock: ManualClock) -> Graves:
    return Graves(projects, clock, GRACE_S)


async def test_a_snapshot_that_a_head_names_is_referenced_and_one_that_it_replaced_is_not(
    projects: Projects, store: SqliteStore
) -> None:
    project = await projects.create("c1", "p", Options(), snapshot=LARGE)
    first = await _blobs(store)
    assert first <= await _named(store)
    held = await projects.claim(project, NodeId("a_1"), _never)
    await held.commit(held.head, snapshot=LARGE + b"2")
    second = await _blobs(store) - first
    await held.commit(held.head, snapshot=LARGE + b"3")
    assert second.isdisjoint(await _named(store))
    assert set(held.retired) == first | second
    assert await _blobs(store) - first - second <= await _named(store)


async def test_the_answer_of_a_job_is_referenced(store: SqliteStore, clock: ManualClock) -> None:
    await store.commit("users", [Write("c1", None, b"{}")])
    jobs = Jobs(store, clock, keep_s=100, limit=10)
    job = await jobs.start("c1", "explore", details={})
    await jobs.done("c1", job, LARGE)
    assert len(await _blobs(store)) == 1
    assert await _blobs(store) <= await _named(store)


async def test_a_deleted_project_is_removed_after_a_grace(
    projects: Projects, store: SqliteStore, clock: ManualClock, graves: Graves
) -> None:
    project = await projects.create("c1", "p", Options(), snapshot=LARGE)
    other = await projects.create("c1", "q", Options())
    await projects.delete(project)
    assert await graves.tidy() == 0
    await clock.advance(GRACE_S)
    assert await graves.tidy() == 1
    assert await _blobs(store) == set()
    assert await store.scan(project_partition(project)) == []
    assert await _registered(projects) == {other}
    assert await projects.head(other) is not None


async def test_a_project_that_is_used_or_named_is_never_removed(
    projects: Projects, clock: ManualClock, graves: Graves
) -> None:
    named = await projects.create("c1", "p", Options())
    used = await projects.create("c1", "q", Options())
    await projects.claim(used, NodeId("a_1"), _never)
    await projects.names.release("c1", "q", used)  # as a renaming in the middle looks
    for _ in range(3):
        await graves.tidy()
        await clock.advance(2 * GRACE_S)
    assert await _registered(projects) == {named, used}


async def test_a_project_whose_maker_died_before_it_was_named_is_removed(
    projects: Projects, store: SqliteStore, clock: ManualClock, graves: Graves
) -> None:
    project = await projects.create("c1", "p", Options(), snapshot=LARGE)
    await projects.names.release("c1", "p", project)
    await graves.tidy()
    await clock.advance(GRACE_S)
    assert await graves.tidy() == 1
    assert await _blobs(store) == set()
    assert await _registered(projects) == set()


async def test_a_maker_who_wakes_up_after_his_project_was_given_up_makes_nothing(
    projects: Projects, store: SqliteStore, clock: ManualClock, graves: Graves
) -> None:
    project = new_project_uuid()
    await projects.registry.add(project)  # and then he sleeps
    await graves.tidy()
    await clock.advance(GRACE_S)
    assert await graves.tidy() == 1
    with pytest.raises(NotFound, match="deleted while it was being made"):
        await projects.create("c1", "p", Options(), project=project, snapshot=LARGE)
    assert await projects.names.all("c1") == []


async def test_a_claimed_project_is_registered_whatever_became_of_its_entry(
    projects: Projects, store: SqliteStore
) -> None:
    project = await projects.create("c1", "p", Options())
    await projects.registry.remove(project)
    held = await projects.claim(project, NodeId("a_1"), _never)
    await held.commit(held.head, snapshot=LARGE)
    assert await _blobs(store) <= await _named(store)


async def test_a_snapshot_is_referenced_before_it_is_committed_however_long_that_takes(
    projects: Projects, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = await projects.create("c1", "p", Options())
    held = await projects.claim(project, NodeId("a_1"), _never)
    commit = store.commit
    seen: list[bool] = []

    async def watched(*args: object) -> object:
        seen.append(await _blobs(store) - set(held.retired) <= await _named(store))
        if len(seen) == 1:
            raise StoreUnavailable("away")
        return await commit(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "commit", watched)
    with pytest.raises(StoreUnavailable):
        await held.commit(held.head, snapshot=LARGE)
    await held.commit(held.head, snapshot=LARGE + b"2")
    assert len(seen) == 3  # the second needs an id of its own, and says so first
    assert seen == [True, True, True]
    assert held.head.blob is not None
    assert await store.get_blob(held.head.blob.blob()) == LARGE + b"2"


async def test_the_snapshot_that_a_project_starts_with_is_referenced_before_the_project_is_there(
    projects: Projects, store: SqliteStore, clock: ManualClock, graves: Graves
) -> None:
    project = new_project_uuid()
    blob = await projects.registry.add(project, new_blob_id())
    await store.put_blob(blob, LARGE)  # and then its maker dies
    assert await _blobs(store) <= await _named(store)
    await graves.tidy()
    await clock.advance(GRACE_S)
    await graves.tidy()
    assert await _blobs(store) == set()


async def test_a_project_that_cannot_be_read_is_left_alone_and_the_others_are_removed(
    projects: Projects, store: SqliteStore, clock: ManualClock, graves: Graves
) -> None:
    dead = await projects.create("c1", "p", Options())
    broken = new_project_uuid()
    await projects.registry.add(broken)
    await store.commit(project_partition(broken), [Write("head", None, b"{")])
    await projects.delete(dead)
    await graves.tidy()
    await clock.advance(GRACE_S)
    assert await graves.tidy() == 1
    assert await _registered(projects) == {broken}


async def test_the_bytes_of_a_commit_that_failed_are_never_those_of_a_later_one(
    projects: Projects, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else they would be deleted with what failed, after a commit without a snapshot between."""
    project = await projects.create("c1", "p", Options())
    held = await projects.claim(project, NodeId("a_1"), _never)

    async def away(*args: object) -> None:
        raise StoreUnavailable("away")

    with monkeypatch.context() as patched:
        patched.setattr(store, "commit", away)
        with pytest.raises(StoreUnavailable):
            await held.commit(held.head, snapshot=LARGE)
    await held.commit(held.head)
    await held.commit(held.head, snapshot=LARGE)
    assert held.head.blob is not None
    assert held.head.blob.id not in held.retired


async def test_bytes_that_the_next_home_may_have_found_committed_are_left_to_the_sweep(
    projects: Projects, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit was made, its answer was lost, and the project was gone when it was asked for."""
    project = await projects.create("c1", "p", Options())
    held = await projects.claim(project, NodeId("a_1"), _never)
    commit, tries = store.commit, 0

    async def unheard(*args: object) -> object:
        nonlocal tries
        tries += 1
        if tries > 1:
            return await commit(*args)  # type: ignore[arg-type]
        await commit(*args)  # type: ignore[arg-type]
        monkeypatch.setattr(store, "commit", commit)
        await projects.claim(project, NodeId("b_1"), _always)
        monkeypatch.setattr(store, "commit", unheard)
        raise OutcomeUnknown("no answer")

    monkeypatch.setattr(store, "commit", unheard)
    with pytest.raises(NotHome):
        await held.commit(held.head, snapshot=LARGE)
    head = await projects.head(project)
    assert head is not None
    assert head.blob is not None
    assert head.blob.id not in held.retired
