"""A store that was restored from a backup knows less than was announced."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tally.announce import announce_head, read_announcement
from tally.clock import ManualClock
from tally.coordination.embedded import EmbeddedCoordinator
from tally.ids import ModelUuid
from tally.ledger import Ledger
from tally.ledger.records import Head
from tally.store.sqlite import SqliteStore
from tally.wire.messages import Announcement
from tests.unit.ledger.acts import back_up, publish, published

Restore = Callable[[Path], Ledger]


@pytest.fixture
async def restore(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Restore]:
    """Give a function that opens a backup as the store."""
    opened: list[SqliteStore] = []

    def restored(backup: Path) -> Ledger:
        opened.append(SqliteStore(backup))
        return Ledger(opened[-1], clock)

    yield restored
    for each in opened:
        await each.close()


async def head_of(ledger: Ledger, model: ModelUuid) -> Head:
    head = await ledger.versions.head(model)
    assert head is not None
    return head


async def told(coordinator: EmbeddedCoordinator) -> Announcement:
    known = read_announcement(await coordinator.get("models/m/version"))
    assert known is not None
    return known


async def test_a_restored_head_is_lifted_above_what_was_announced_and_announced(
    ledger: Ledger,
    coordinator: EmbeddedCoordinator,
    tmp_path: Path,
    restore: Restore,
) -> None:
    model = await published(ledger, 2)
    backup = back_up(tmp_path / "store.db", tmp_path / "backup.db")
    await published(ledger, 3)
    await announce_head(ledger.versions, coordinator, model)
    assert (await told(coordinator)).generation == 5

    after = restore(backup)
    assert await announce_head(after.versions, coordinator, model)
    assert ((await told(coordinator)).version, (await told(coordinator)).generation) == (2, 6)
    assert (await told(coordinator)).restored == 1
    assert [audit.action for audit in await after.versions.audits(model)] == ["restored"]
    assert not await announce_head(after.versions, coordinator, model)


async def test_numbers_of_lost_versions_are_not_given_out_again(
    ledger: Ledger,
    coordinator: EmbeddedCoordinator,
    tmp_path: Path,
    restore: Restore,
) -> None:
    model = await published(ledger, 1)
    backup = back_up(tmp_path / "store.db", tmp_path / "backup.db")
    await published(ledger, 4)
    await ledger.versions.rollback(model, 2, "ann")
    await announce_head(ledger.versions, coordinator, model)

    after = restore(backup)
    await announce_head(after.versions, coordinator, model)
    assert (await publish(after)).version == 6


async def test_a_restored_head_that_has_caught_up_with_the_lost_one_is_told_from_it(
    ledger: Ledger,
    coordinator: EmbeddedCoordinator,
    tmp_path: Path,
    restore: Restore,
    clock: ManualClock,
) -> None:
    model = await published(ledger, 1)
    backup = back_up(tmp_path / "store.db", tmp_path / "backup.db")
    await published(ledger, 1)
    await announce_head(ledger.versions, coordinator, model)

    after = restore(backup)
    await clock.advance(60)
    await publish(after)
    assert (await head_of(after, model)).generation == (await told(coordinator)).generation == 2
    assert await announce_head(after.versions, coordinator, model)
    assert ((await told(coordinator)).generation, (await told(coordinator)).restored) == (3, 1)


async def test_a_head_that_is_no_older_than_the_announcement_is_left_alone(
    ledger: Ledger, coordinator: EmbeddedCoordinator
) -> None:
    model = await published(ledger, 2)
    known = await head_of(ledger, model)
    for generation, moved_at in ((1, "long ago"), (2, known.moved_at), (2, "")):
        found = await ledger.versions.outlive(
            model, generation=generation, moved_at=moved_at, last_version=9
        )
        assert found == known
    await announce_head(ledger.versions, coordinator, model)
    await publish(ledger)
    # The announcement is behind: that is what announcements are.
    assert await announce_head(ledger.versions, coordinator, model)
    assert (await head_of(ledger, model)).restored == 0


async def test_lifting_twice_at_once_lifts_once(ledger: Ledger) -> None:
    model = await published(ledger, 1)
    for _ in range(2):
        lifted = await ledger.versions.outlive(model, generation=5, moved_at="x", last_version=7)
        assert lifted is not None
        assert (lifted.generation, lifted.restored, lifted.last_version) == (6, 1, 7)
