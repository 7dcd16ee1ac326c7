"""The embedded store: one SQLite file, shared by the processes of one machine.

WAL with `synchronous=FULL`: a commit that returned is on disk. Writes are `BEGIN IMMEDIATE`
transactions of one thread; reads have a connection and a thread of their own, so that a large
blob being written does not hold them up.
"""

from __future__ import annotations

import asyncio
import sqlite3
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from tally.errors import ConfigurationError, NotFound, StoreUnavailable
from tally.ids import BlobId
from tally.store.base import Blob, Check, Row, Token, Write
from tally.store.chunks import count, describe, split, verified

T = TypeVar("T")

_BUSY_TIMEOUT_S = 10.0
_CHUNKS_PER_TRANSACTION = 4  # 2 MiB: others wait some milliseconds for the lock, not seconds
_FORMAT = 1
_APPLICATION_ID = 0x54414C59  # "TALY"; tells our file from another program's

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    partition TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, token TEXT NOT NULL,
    PRIMARY KEY (partition, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS chunks (
    blob TEXT NOT NULL, part INTEGER NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (blob, part)
);
"""


class SqliteStore:
    """See `tally.store.base.Store` for what the methods promise."""

    def __init__(self, path: Path) -> None:
        """Open the file, made with its folder if it is missing.

        Raises:
            ConfigurationError: it cannot be opened, or is another program's.
        """
        self._path = path
        self._closed = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writing = _connect(path)
            _prepare(self._writing, path)
            self._reading = _connect(path)
        except (sqlite3.Error, OSError) as error:
            raise ConfigurationError(f"cannot open the store {path}: {error}") from error
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-write")
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="store-read")

    async def get(self, partition: str, key: str, *, fresh: bool = False) -> Row | None:
        """Return a row, None if there is none."""

        def run(connection: sqlite3.Connection) -> Row | None:
            found = connection.execute(
                "SELECT value, token FROM entries WHERE partition = ? AND key = ?",
                (partition, key),
            ).fetchone()
            return None if found is None else Row(key, found[0], Token(found[1]))

        return await self._read(run)

    async def scan(
        self,
        partition: str,
        prefix: str = "",
        *,
        after: str = "",
        limit: int = 1000,
        fresh: bool = False,
    ) -> Sequence[Row]:
        """Return rows of one partition whose key starts with `prefix`, ordered by key."""

        def run(connection: sqlite3.Connection) -> list[Row]:
            found = connection.execute(
                "SELECT key, value, token FROM entries WHERE partition = ? AND key > ? "
                "AND key >= ? AND substr(key, 1, ?) = ? ORDER BY key LIMIT ?",
                (partition, after, prefix, len(prefix), prefix, limit),
            )
            return [Row(key, value, Token(token)) for key, value, token in found]

        return await self._read(run)

    async def commit(
        self, partition: str, writes: Sequence[Write], checks: Sequence[Check] = ()
    ) -> Mapping[str, Token] | None:
        """Apply all writes if every expectation holds, else change nothing."""
        token = Token(uuid.uuid4().hex)

        def run(connection: sqlite3.Connection) -> Mapping[str, Token] | None:
            with _transaction(connection):
                expectations = [(w.key, w.expected) for w in writes]
                for key, expected in expectations + [(c.key, c.expected) for c in checks]:
                    found = connection.execute(
                        "SELECT token FROM entries WHERE partition = ? AND key = ?",
                        (partition, key),
                    ).fetchone()
                    if (found and found[0]) != expected:
                        return None
                for write in writes:
                    if write.value is None:
                        connection.execute(
                            "DELETE FROM entries WHERE partition = ? AND key = ?",
                            (partition, write.key),
                        )
                    else:
                        connection.execute(
                            "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?)",
                            (partition, write.key, write.value, token),
                        )
            return {write.key: token for write in writes if write.value is not None}

        return await self._write(run)

    async def put_blob(self, blob: BlobId, data: bytes) -> Blob:
        """Write bytes under an id that was never used; return when they are durable."""
        described = await asyncio.to_thread(describe, blob, data)
        parts = list(enumerate(split(data)))

        for start in range(0, len(parts), _CHUNKS_PER_TRANSACTION):
            batch = parts[start : start + _CHUNKS_PER_TRANSACTION]

            def run(connection: sqlite3.Connection, batch: list[tuple[int, bytes]] = batch) -> None:
                with _transaction(connection):
                    connection.executemany(
                        "INSERT OR REPLACE INTO chunks VALUES (?, ?, ?)",
                        [(blob, part, chunk) for part, chunk in batch],
                    )

            await self._write(run)
        return described

    async def get_blob(self, blob: Blob) -> bytes:
        """Return the bytes."""
        wanted = count(blob.size_bytes)

        def run(connection: sqlite3.Connection) -> bytes:
            found = connection.execute(
                "SELECT data FROM chunks WHERE blob = ? ORDER BY part LIMIT ?", (blob.id, wanted)
            ).fetchall()
            if len(found) < wanted:
                raise NotFound(f"blob {blob.id} is missing: {len(found)} of {wanted} parts")
            return verified(blob, b"".join(chunk for (chunk,) in found))

        return await self._read(run)

    async def delete_blob(self, blob: BlobId) -> None:
        """Delete the bytes; deleting what is not there is not an error."""

        def run(connection: sqlite3.Connection) -> None:
            with _transaction(connection):
                connection.execute("DELETE FROM chunks WHERE blob = ?", (blob,))

        await self._write(run)

    async def blobs(self) -> AsyncIterator[BlobId]:
        """Yield every blob id."""

        def run(connection: sqlite3.Connection) -> list[BlobId]:
            found = connection.execute("SELECT DISTINCT blob FROM chunks")
            return [BlobId(blob) for (blob,) in found]

        for blob in await self._read(run):
            yield blob

    async def ping(self) -> None:
        """Return when the store answers."""
        await self._read(lambda connection: connection.execute("SELECT 1").fetchone())

    async def close(self) -> None:
        """Release threads and files."""
        if self._closed:
            return
        self._closed = True
        await asyncio.to_thread(self._writer.shutdown)
        await asyncio.to_thread(self._reader.shutdown)
        self._reading.close()
        self._writing.close()

    async def _read(self, run: Callable[[sqlite3.Connection], T]) -> T:
        return await self._on(self._reader, self._reading, run)

    async def _write(self, run: Callable[[sqlite3.Connection], T]) -> T:
        return await self._on(self._writer, self._writing, run)

    async def _on(
        self,
        thread: ThreadPoolExecutor,
        connection: sqlite3.Connection,
        run: Callable[[sqlite3.Connection], T],
    ) -> T:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        try:
            return await asyncio.get_running_loop().run_in_executor(thread, run, connection)
        except sqlite3.Error as error:
            # The transaction was rolled back: a full disk, a lock held too long, a lost file.
            raise StoreUnavailable(f"the store {self._path.name} failed: {error}") from error


class _transaction:  # noqa: N801 - reads as the statement that it is
    """BEGIN IMMEDIATE, then COMMIT, or ROLLBACK if anything was raised."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            try:
                self._connection.execute("COMMIT")
            except sqlite3.Error:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        elif self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    with _transaction(connection):
        (owner,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        with closing(connection.execute("SELECT count(*) FROM sqlite_master")) as cursor:
            (tables,) = cursor.fetchone()
        if tables and owner != _APPLICATION_ID:
            raise ConfigurationError(f"{path} is a database of another program")
        if version > _FORMAT:
            raise ConfigurationError(f"{path} was written by a newer Tally (format {version})")
        for statement in _SCHEMA.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {_FORMAT}")
