from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tally.clock import ManualClock
from tally.coordination.base import Deleted, Disconnected, Event, Put, Reconnected, Snapshot
from tally.coordination.embedded import EmbeddedCoordinator
from tally.coordination.feed import Batch, Position
from tally.errors import ConfigurationError, Conflict, CoordinationUnavailable

OpenFile = Callable[..., EmbeddedCoordinator]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "coordination.db"


@pytest.fixture
async def open_file(file: Path, clock: ManualClock) -> AsyncIterator[OpenFile]:
    opened: list[EmbeddedCoordinator] = []

    def open_one(boot_id: str = "boot 1", **options: object) -> EmbeddedCoordinator:
        options.setdefault("clock", clock)
        opened.append(EmbeddedCoordinator(file, boot_id=boot_id, **options))  # type: ignore[arg-type]
        return opened[-1]

    yield open_one
    for coordinator in opened:
        await coordinator.close()


async def next_of(watch: AsyncIterator[Event]) -> Event:
    async with asyncio.timeout(5):
        return await anext(watch)


def remove(file: Path) -> None:
    for each in file.parent.iterdir():
        each.unlink()


async def test_a_lease_ends_when_its_owner_does_not_renew_it(
    open_file: OpenFile, clock: ManualClock
) -> None:
    owner, other = open_file(), open_file()
    lease = await owner.grant(6)
    await owner.put("a", b"", lease)
    await owner.close()
    await clock.advance(5.9)
    assert await other.get("a") is not None
    await clock.advance(0.2)
    assert await other.get("a") is None
    assert not (await other.list("")).items


async def test_a_lease_that_is_renewed_goes_on(open_file: OpenFile, clock: ManualClock) -> None:
    owner = open_file()
    lease = await owner.grant(6)
    await owner.put("a", b"", lease)
    for _ in range(20):
        await clock.advance(2)
        await owner.ping()  # queued behind the renewal that the clock has just woken
    assert await owner.get("a") is not None
    assert not lease.ended


async def test_watchers_are_told_when_a_lease_runs_out(
    open_file: OpenFile, clock: ManualClock
) -> None:
    owner, other = open_file(), open_file()
    watch = other.watch("")
    await next_of(watch)
    await owner.put("a", b"", await owner.grant(2))
    assert isinstance(await next_of(watch), Put)
    await owner.close()
    await clock.advance(2)
    assert await next_of(watch) == Deleted("a")


async def test_a_watch_looks_into_the_file_only_for_changes_of_its_own(
    open_file: OpenFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each of n workers that tells what it serves would wake all n of them."""
    owner, other = open_file(), open_file()
    nodes, models = owner.watch("nodes/"), owner.watch("models/")
    await next_of(nodes)
    await next_of(models)
    looks: list[str] = []
    look = owner._registry.changes

    def counted(prefix: str, since: Position) -> Batch:
        looks.append(prefix)
        return look(prefix, since)

    monkeypatch.setattr(owner._registry, "changes", counted)
    await other.put("models/m", b"")
    assert isinstance(await next_of(models), Put)
    looks.clear()
    for number in range(10):
        await other.put(f"nodes/{number}", b"")
        await next_of(nodes)
        await owner.put(f"nodes/own-{number}", b"")
        await next_of(nodes)
    # Not counting the looks with which a watch that was woken finds that this was all.
    assert "nodes/" in looks
    assert looks.count("models/") <= 1


async def test_a_watch_that_nothing_concerns_outlives_the_cutting_of_the_log(
    open_file: OpenFile,
) -> None:
    owner, other = open_file(log_revisions=200), open_file(log_revisions=200)
    watch = owner.watch("models/")
    await next_of(watch)
    for number in range(1000):
        await other.put(f"nodes/{number % 10}", b"")
    await other.put("models/m", b"")
    assert isinstance(await next_of(watch), Put)


async def test_an_owner_that_wakes_past_its_lease_can_put_nothing(
    open_file: OpenFile, clock: ManualClock
) -> None:
    owner = open_file()
    lease = await owner.grant(2)
    clock._elapsed += 3  # its renewals do not wake, as in a process that was stopped
    with pytest.raises(Conflict, match="'a': its lease has ended"):
        await owner.put("a", b"", lease)
    await clock.advance(1)
    async with asyncio.timeout(5):
        await lease.wait_ended()


async def test_another_boot_of_the_machine_ends_all_leases(open_file: OpenFile) -> None:
    owner = open_file()
    await owner.put("a", b"", await owner.grant(1000))
    await owner.put("b", b"")
    await owner.close()
    after = open_file(boot_id="boot 2")
    assert list((await after.list("")).items) == ["b"]


async def test_what_was_put_is_there_after_the_file_was_closed(open_file: OpenFile) -> None:
    first = open_file()
    revision = await first.put("a", b"1")
    before = await first.list("")
    await first.close()
    second = open_file()
    assert await second.list("") == before
    assert await second.put("b", b"") == revision + 1


async def test_a_deleted_file_is_a_new_incarnation_with_no_leases(
    open_file: OpenFile, file: Path, clock: ManualClock
) -> None:
    owner, other = open_file(), open_file()
    lease = await owner.grant(3)
    await owner.put("a", b"", lease)
    watch = other.watch("")
    first = await next_of(watch)
    remove(file)
    again = await next_of(watch)
    assert isinstance(first, Snapshot)
    assert isinstance(again, Snapshot)
    assert not again.items
    assert again.incarnation != first.incarnation
    await clock.advance(1)
    async with asyncio.timeout(5):
        await lease.wait_ended()
    with pytest.raises(Conflict):
        await owner.put("a", b"", lease)
    assert (await owner.list("")).incarnation == again.incarnation


async def test_an_older_copy_put_in_place_of_the_file_is_a_new_incarnation(
    open_file: OpenFile, file: Path, tmp_path: Path
) -> None:
    early = open_file()
    await early.put("a", b"old")
    before = (await early.list("")).incarnation
    await early.close()
    shutil.copy(file, tmp_path / "copy")
    clients = [open_file(), open_file()]
    for number in range(10):
        await clients[0].put("a", b"%d" % number)
    watches = [client.watch("") for client in clients]
    for watch in watches:
        await next_of(watch)
    remove(file)
    os.replace(tmp_path / "copy", file)
    incarnations = set()
    for watch in watches:
        event = await next_of(watch)
        while not isinstance(event, Snapshot):
            event = await next_of(watch)
        assert {key: item.value for key, item in event.items.items()} in ({}, {"a": b"old"})
        incarnations.add(event.incarnation)
    assert before not in incarnations


async def test_a_watch_behind_the_log_gets_a_snapshot(open_file: OpenFile) -> None:
    writer, reader = open_file(log_revisions=100), open_file()
    watch = reader.watch("")
    first = await next_of(watch)
    # While the reader's thread is held, it sees nothing of this.
    held = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hold() -> None:
        asyncio.run_coroutine_threadsafe(held.wait(), loop).result()

    blocked = asyncio.create_task(reader._call(hold))
    for number in range(300):
        await writer.put("a", b"%d" % number)
    held.set()
    await blocked
    again = await next_of(watch)
    assert isinstance(first, Snapshot)
    assert isinstance(again, Snapshot)
    assert again.items["a"].value == b"299"
    assert again.incarnation == first.incarnation
    await writer.put("a", b"300")
    assert isinstance(await next_of(watch), Put)


async def test_the_log_is_bounded_in_number_and_in_bytes(
    open_file: OpenFile, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tally.coordination.registry.LOG_BYTES", 100_000)
    writer = open_file(log_revisions=100)
    for _ in range(256):
        await writer.put("a", b"")
    with sqlite3.connect(file) as db:
        assert db.execute("SELECT count(*) FROM log").fetchone()[0] == 100
    for _ in range(64):
        await writer.put("a", b"x" * 10_000)
    size = db.execute("SELECT count(*) FROM log").fetchone()[0]
    db.close()
    assert size == 10


async def test_a_write_that_cannot_have_the_lock_ends_at_its_deadline(
    open_file: OpenFile, file: Path
) -> None:
    coordinator = open_file(timeout_s=0.5)
    await coordinator.put("a", b"1")
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    with pytest.raises(CoordinationUnavailable, match="locked"):
        await coordinator.put("a", b"2")
    assert time.monotonic() - began < 1.5
    found = await coordinator.get("a")
    holder.execute("ROLLBACK")
    holder.close()
    assert found is not None
    assert found.value == b"1"
    await coordinator.put("a", b"2")


async def test_a_folder_out_of_reach_is_an_outage_that_ends(
    open_file: OpenFile, file: Path
) -> None:
    coordinator = open_file()
    watch = coordinator.watch("")
    await next_of(watch)
    remove(file)
    file.parent.rmdir()
    file.parent.write_text("in the way")
    assert isinstance(await next_of(watch), Disconnected)
    with pytest.raises(CoordinationUnavailable):
        await coordinator.ping()
    file.parent.unlink()
    assert await next_of(watch) == Reconnected()
    assert isinstance(await next_of(watch), Snapshot)


async def test_a_file_that_is_not_ours_is_left_alone(open_file: OpenFile, file: Path) -> None:
    file.parent.mkdir()
    with sqlite3.connect(file) as db:
        db.execute("CREATE TABLE theirs (x)")
    db.close()
    coordinator = open_file()
    with pytest.raises(ConfigurationError, match="not a coordination file"):
        await coordinator.put("a", b"")
    with pytest.raises(ConfigurationError, match="not a coordination file"):
        await next_of(coordinator.watch(""))
    with sqlite3.connect(file) as db:
        assert db.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]
    db.close()


async def test_a_change_through_the_same_client_is_told_without_waiting_for_a_poll(
    open_file: OpenFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tally.coordination.embedded.POLL_S", 60)
    coordinator = open_file()
    watch = coordinator.watch("")
    await next_of(watch)
    await coordinator.put("a", b"")
    assert isinstance(await next_of(watch), Put)
    await coordinator.delete("a")
    assert await next_of(watch) == Deleted("a")


async def test_the_event_loop_goes_on_while_the_file_is_locked(
    open_file: OpenFile, file: Path
) -> None:
    coordinator = open_file(timeout_s=1)
    await coordinator.ping()
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    writing = asyncio.create_task(coordinator.put("a", b""))
    began = time.monotonic()
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert time.monotonic() - began < 0.5
    assert not writing.done()
    holder.execute("ROLLBACK")
    holder.close()
    await writing
