from __future__ import annotations

import pytest

from tally.clock import ManualClock
from tally.errors import IdempotencyMismatch
from tally.projects.batches import YOUNG_S, Counted
from tally.projects.records import BATCHES, Batch, project_partition
from tally.store.base import Write
from tally.store.sqlite import SqliteStore
from tally.wire.projects import ProjectUuid

PROJECT = ProjectUuid("ab" * 16)


class Commits:
    """What a home does with the ids, commit after commit."""

    def __init__(self, store: SqliteStore, counted: Counted) -> None:
        self.store = store
        self.counted = counted
        self.generation = 0

    async def commit(self, *ids: str) -> list[Write]:
        self.generation += 1
        batches = [Batch(id_, "d") for id_ in ids]
        writes = self.counted.writes("me", self.generation, batches)
        tokens = await self.store.commit(project_partition(PROJECT), writes) if writes else {}
        assert tokens is not None
        self.counted.committed(self.generation, batches, tokens)
        return writes

    async def rows(self) -> int:
        return len(await self.store.scan(project_partition(PROJECT), BATCHES))


@pytest.fixture
def commits(store: SqliteStore, clock: ManualClock) -> Commits:
    return Commits(store, Counted(clock, keep_s=1000, keep=10, most=20))


def _seen(counted: Counted, id_: str) -> bool:
    return counted.seen(Batch(id_, "d"))


async def test_an_id_is_known_once_it_is_committed(commits: Commits) -> None:
    assert not _seen(commits.counted, "1")
    await commits.commit("1", "2")
    assert _seen(commits.counted, "1")
    with pytest.raises(IdempotencyMismatch, match="'2'"):
        commits.counted.seen(Batch("2", "another"))


async def test_ids_counted_in_memory_are_written_by_the_next_commit(
    commits: Commits, store: SqliteStore, clock: ManualClock
) -> None:
    commits.counted.note([Batch("1", "d")])
    assert _seen(commits.counted, "1")
    await commits.commit("2")
    loaded = Counted(clock)
    await loaded.load(store, PROJECT)
    assert _seen(loaded, "1")
    assert _seen(loaded, "2")
    assert len(await commits.commit()) == 0


@pytest.mark.parametrize(("pause_s", "first"), [(0, 9), (YOUNG_S, 19)], ids=["young", "old"])
async def test_ids_that_are_too_many_go_oldest_first(
    commits: Commits, clock: ManualClock, pause_s: float, first: int
) -> None:
    """Of those that may still be repeated more are kept."""
    for number in range(30):
        await commits.commit(str(number))
        await clock.advance(pause_s / 12)
    known = [number for number in range(30) if _seen(commits.counted, str(number))]
    assert known == list(range(30))[-len(known) :]
    assert abs(known[0] - first) <= 2
    assert await commits.rows() == len(known) == len(commits.counted)


async def test_ids_that_are_too_old_go(commits: Commits, clock: ManualClock) -> None:
    await commits.commit("1")
    await clock.advance(600)
    await commits.commit("2")
    await clock.advance(600)
    await commits.commit("3")
    assert [_seen(commits.counted, id_) for id_ in "123"] == [False, True, True]
    assert await commits.rows() == 2


async def test_a_new_home_counts_the_age_of_ids_from_when_it_saw_them(
    commits: Commits, store: SqliteStore, clock: ManualClock
) -> None:
    await commits.commit("1")
    await clock.advance(990)
    later = Commits(store, Counted(clock, keep_s=1000, keep=10, most=20))
    later.generation = commits.generation
    await later.counted.load(store, PROJECT)
    await clock.advance(990)
    await later.commit("2")
    assert _seen(later.counted, "1")


async def test_a_commit_that_failed_forgets_and_learns_nothing(
    commits: Commits, clock: ManualClock
) -> None:
    await commits.commit("1")
    await clock.advance(2000)
    commits.counted.writes("me", 2, [Batch("2", "d")])  # and it was refused
    assert _seen(commits.counted, "1")
    assert not _seen(commits.counted, "2")
