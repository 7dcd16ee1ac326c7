"""The embedded store: one SQLite file, shared by the processes of one machine.

Writes are `BEGIN IMMEDIATE` transactions of one thread; reads have a connection and a thread of
their own. A large blob is written and read in turns of some milliseconds, so that nobody waits
for the whole of it: beside blobs of 48 MB, commits of another process took at most 35 ms.
"""

from __future__ import annotations

import asyncio
import sqlite3
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

from tally.errors import NotFound, StoreUnavailable
from tally.ids import BlobId
from tally.store.base import Blob, Check, Row, Token, Write
from tally.store.chunks import count, describe, split, verified
from tally.store.keys import end_of
from tally.store.sqlite_file import close_all, identity, meaning, open_file, transaction

T = TypeVar("T")

_CHUNKS_PER_TURN = 4  # 2 MiB

_TOKEN = "SELECT token FROM entries WHERE partition = ? AND key = ?"  # noqa: S105 - a query


class SqliteStore:
    """See `tally.store.base.Store` for what the methods promise.

    Args:
        path: the file; it and its folder are made if they are missing.
        busy_timeout_s: how long a write waits for those of other processes.

    Raises:
        ConfigurationError: it cannot be opened, is damaged, or is another program's.
    """

    def __init__(self, path: Path, *, busy_timeout_s: float = 10.0) -> None:
        self._path = path
        self._closed = False
        self._writing, self._reading = open_file(path, busy_timeout_s)
        self._identity = identity(path)
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
        end = end_of(prefix)
        bound, bounds = ("", ()) if end is None else ("AND key < ? ", (end,))
        query = (
            "SELECT key, value, token FROM entries WHERE partition = ? AND key > ? "  # noqa: S608
            f"AND key >= ? {bound}ORDER BY key LIMIT ?"
        )

        def run(connection: sqlite3.Connection) -> list[Row]:
            found = connection.execute(query, (partition, after, prefix, *bounds, limit))
            return [Row(key, value, Token(token)) for key, value, token in found]

        return await self._read(run)

    async def commit(
        self, partition: str, writes: Sequence[Write], checks: Sequence[Check] = ()
    ) -> Mapping[str, Token] | None:
        """Apply all writes if every expectation holds, else change nothing."""
        token = Token(uuid.uuid4().hex)

        def run(connection: sqlite3.Connection) -> Mapping[str, Token] | None:
            with transaction(connection):
                expectations = [(write.key, write.expected) for write in writes]
                expectations += [(check.key, check.expected) for check in checks]
                for key, expected in expectations:
                    found = connection.execute(_TOKEN, (partition, key)).fetchone()
                    if (found and found[0]) != expected:
                        return None
                for write in writes:
                    _apply(connection, partition, write, token)
            return {write.key: token for write in writes if write.value is not None}

        return await self._write(run)

    async def put_blob(self, blob: BlobId, data: bytes) -> Blob:
        """Write bytes under an id that was never used; return when they are durable."""
        described = await asyncio.to_thread(describe, blob, data)
        chunks = enumerate(split(data))
        while turn := [(blob, part, chunk) for part, chunk in islice(chunks, _CHUNKS_PER_TURN)]:
            await self._write(partial(_put, turn))
        return described

    async def get_blob(self, blob: Blob) -> bytes:
        """Return the bytes."""
        parts = count(blob.size_bytes)
        chunks: list[bytes] = []
        while len(chunks) < parts:
            first, last = len(chunks), min(len(chunks) + _CHUNKS_PER_TURN, parts)
            turn = await self._read(partial(_take, blob.id, first, last))
            if len(turn) < last - first:
                raise NotFound(f"blob {blob.id} is missing: a part of {first} to {last - 1}")
            chunks += turn
        return await asyncio.to_thread(lambda: verified(blob, b"".join(chunks)))

    async def delete_blob(self, blob: BlobId) -> None:
        """Delete the bytes; deleting what is not there is not an error."""
        while await self._write(partial(_drop, blob)):
            pass

    async def blobs(self) -> AsyncIterator[BlobId]:
        """Yield every blob id, those of unfinished writes too."""

        def run(connection: sqlite3.Connection) -> list[BlobId]:
            found = connection.execute("SELECT DISTINCT blob FROM chunks")
            return [BlobId(blob) for (blob,) in found]

        for blob in await self._read(run):
            yield blob

    async def ping(self) -> None:
        """Return when the file answers."""
        await self._read(lambda connection: connection.execute(_TOKEN, ("", "")).fetchone())

    async def close(self) -> None:
        """Release threads and files."""
        if self._closed:
            return
        self._closed = True
        await asyncio.to_thread(self._writer.shutdown)
        await asyncio.to_thread(self._reader.shutdown)
        close_all([self._reading, self._writing])

    async def _read(self, run: Callable[[sqlite3.Connection], T]) -> T:
        return await self._on(self._reader, self._reading, run)

    async def _write(self, run: Callable[[sqlite3.Connection], T]) -> T:
        def checked(connection: sqlite3.Connection) -> T:
            # SQLite goes on in a file that was deleted, and what it commits ends with us.
            if identity(self._path) != self._identity:
                raise StoreUnavailable(f"the store {self._path} was deleted or replaced: restart")
            return run(connection)

        return await self._on(self._writer, self._writing, checked)

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
            raise meaning(error, self._path) from error


def _apply(connection: sqlite3.Connection, partition: str, write: Write, token: Token) -> None:
    if write.value is None:
        connection.execute(
            "DELETE FROM entries WHERE partition = ? AND key = ?", (partition, write.key)
        )
    else:
        connection.execute(
            "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?)",
            (partition, write.key, write.value, token),
        )


def _put(chunks: list[tuple[BlobId, int, bytes]], connection: sqlite3.Connection) -> None:
    with transaction(connection):
        connection.executemany("INSERT OR REPLACE INTO chunks VALUES (?, ?, ?)", chunks)


def _take(blob: BlobId, first: int, last: int, connection: sqlite3.Connection) -> list[bytes]:
    found = connection.execute(
        "SELECT data FROM chunks WHERE blob = ? AND part >= ? AND part < ? ORDER BY part",
        (blob, first, last),
    )
    return [chunk for (chunk,) in found]


def _drop(blob: BlobId, connection: sqlite3.Connection) -> bool:
    """Delete some chunks; return whether there were any."""
    with transaction(connection):
        deleted = connection.execute(
            "DELETE FROM chunks WHERE blob = ? AND part IN "
            "(SELECT part FROM chunks WHERE blob = ? LIMIT ?)",
            (blob, blob, _CHUNKS_PER_TURN),
        )
        return deleted.rowcount > 0
