from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from tally.errors import ConfigurationError, CorruptState, StoreUnavailable
from tally.ids import new_blob_id
from tally.store.base import Write
from tally.store.sqlite import SqliteStore

WRITER = Path(__file__).with_name("writer.py")
COUNTER = Path(__file__).with_name("counter.py")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path, busy_timeout_s=0.1)
    yield store
    await store.close()


def overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def test_the_database_of_another_program_is_refused_and_not_touched(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE theirs (x)")
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="database of another program"):
        SqliteStore(path)
    assert path.read_bytes() == before


def test_a_file_of_a_newer_format_is_refused(path: Path) -> None:
    asyncio.run(SqliteStore(path).close())
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(ConfigurationError, match=r"newer Tally \(format 99"):
        SqliteStore(path)


@pytest.mark.parametrize("content", [b"x" * 5000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_refused_and_not_touched(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="is no SQLite database, or is damaged"):
        SqliteStore(path)
    assert path.read_bytes() == content


def test_a_path_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot open the store"):
        SqliteStore(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cannot open the store"):
        SqliteStore(tmp_path / "file" / "store.db")


async def test_the_file_is_its_owners_alone(store: SqliteStore, path: Path) -> None:
    await store.commit("p", [Write("k", None, b"v")])
    for each in path.parent.iterdir():
        assert each.stat().st_mode & 0o077 == 0, each


async def test_a_lock_held_too_long_is_unavailable(store: SqliteStore, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            await store.commit("p", [Write("k", None, b"v")])
        assert await store.get("p", "k") is None
        connection.rollback()
    assert await store.commit("p", [Write("k", None, b"v")])


async def test_a_full_disk_is_unavailable_and_nothing_was_changed(store: SqliteStore) -> None:
    (pages,) = store._writing.execute("PRAGMA page_count").fetchone()
    store._writing.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StoreUnavailable, match="full"):
        await store.commit("p", [Write("a", None, b"1"), Write("k", None, b"v" * 50_000)])
    assert await store.scan("p") == []
    store._writing.execute("PRAGMA max_page_count = 1000000")
    assert await store.commit("p", [Write("a", None, b"1"), Write("k", None, b"v" * 50_000)])


async def test_a_damaged_file_is_told_from_one_that_is_busy(store: SqliteStore, path: Path) -> None:
    for i in range(20):
        await store.commit("p", [Write(f"{i}", None, os.urandom(3000))])
    await store.close()
    overwrite(path, 4096, os.urandom(4096 * 3))
    damaged = SqliteStore(path)
    with pytest.raises(CorruptState, match="damaged"):
        await damaged.scan("p")
    await damaged.close()


@pytest.mark.parametrize("replaced", [False, True])
async def test_writes_to_a_file_that_was_deleted_are_refused(
    store: SqliteStore, path: Path, replaced: bool
) -> None:
    os.unlink(path)
    if replaced:
        os.close(os.open(path, os.O_CREAT))
    with pytest.raises(StoreUnavailable, match="deleted or replaced"):
        await store.commit("p", [Write("k", None, b"v")])


async def test_a_commit_is_synced_to_disk(store: SqliteStore) -> None:
    assert store._writing.execute("PRAGMA synchronous").fetchone() == (2,)
    assert store._writing.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_a_cancelled_caller_leaves_the_store_whole(store: SqliteStore) -> None:
    task = asyncio.ensure_future(store.put_blob(new_blob_id(), os.urandom(20 * 2**20)))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await store.commit("p", [Write("k", None, b"v")])


def test_processes_that_open_a_new_file_at_once_all_succeed_and_count_exactly(path: Path) -> None:
    command = [sys.executable, str(COUNTER), str(path), "25"]
    children = [subprocess.Popen(command) for _ in range(4)]
    assert [child.wait(60) for child in children] == [0] * 4

    async def read() -> bytes:
        store = SqliteStore(path)
        row = await store.get("p", "counter")
        await store.close()
        assert row is not None
        return row.value

    assert asyncio.run(read()) == b"100"


def test_kill_9_at_a_random_moment_loses_nothing_that_was_acknowledged(path: Path) -> None:
    chance = random.Random(9)
    acknowledged = 0
    for _ in range(12):
        command = [sys.executable, str(WRITER), str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            for _ in range(chance.randrange(1, 15)):
                acknowledged = int(child.stdout.readline())
            time.sleep(chance.uniform(0, 0.05))  # anywhere between two commits, or in one
            child.kill()
            lines = child.stdout.read().split("\n")
            # The last line may be cut short by the kill.
            acknowledged = max([acknowledged, *map(int, filter(None, lines[:-1]))])
        acknowledged = asyncio.run(_check(path, acknowledged))


async def _check(path: Path, acknowledged: int) -> int:
    store = SqliteStore(path)
    values = {row.value for row in await store.scan("p")}
    assert len(values) == 1, "a part of a commit"
    number, blob = values.pop().decode().split()
    assert int(number) >= acknowledged
    chunks = store._reading.execute("SELECT count(*) FROM chunks WHERE blob = ?", (blob,))
    assert chunks.fetchone() == (3,), "a row that names a blob which is not whole"
    await store.close()
    return int(number)
