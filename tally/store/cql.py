"""The distributed store: ScyllaDB or Cassandra.

Rows are written by conditional statements only; a commit of several is one conditional batch on
one partition, which the server decides as one. A row's token also tells whose write it was, and
so decides most commits whose answer was lost.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from tally.errors import NotFound, OutcomeUnknown, StoreUnavailable
from tally.ids import BlobId
from tally.store import cql_schema
from tally.store.base import Blob, Check, Row, Token, Write
from tally.store.chunks import count, describe, split, verified
from tally.store.cql_cluster import CqlOptions
from tally.store.cql_session import CqlFailure, CqlSession, Record, Statement
from tally.store.keys import end_of

T = TypeVar("T")

_WORKERS = 4  # chunks of one blob on their way at once
_PAGE = 200
_SETTLE_S = 3.0  # a lost connection is back after half a second
_SETTLE_PAUSE_S = 0.2


class CqlStore:
    """See `tally.store.base.Store` for what the methods promise."""

    def __init__(self, session: CqlSession, keyspace: str) -> None:
        self._session = session
        self._cql = _Texts(keyspace)

    @classmethod
    async def connect(cls, options: CqlOptions) -> CqlStore:
        """Return the store, with its tables made if they are missing.

        Raises:
            ConfigurationError: the options cannot be used, or the server cannot keep what
                `Store` promises.
            StoreUnavailable: no host answers.
        """
        session = await CqlSession.connect(options)
        store = cls(session, options.keyspace)
        try:
            statements = store._cql.all()
            await cql_schema.prepare(session, options.keyspace, options.replication, statements)
        except BaseException:
            await session.close()
            raise
        return store

    async def get(self, partition: str, key: str, *, fresh: bool = False) -> Row | None:
        """Return a row, None if there is none."""
        rows = await self._ask(self._cql.get, partition, key, serial=fresh)
        return _row(rows[0]) if rows else None

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
        inclusive = prefix > after
        text = self._cql.scan[inclusive, end is not None]
        bounds = (prefix if inclusive else after,) + (() if end is None else (end,))
        rows = await self._ask(text, partition, *bounds, limit, serial=fresh, page=_PAGE)
        return [_row(record) for record in rows]

    async def commit(
        self, partition: str, writes: Sequence[Write], checks: Sequence[Check] = ()
    ) -> Mapping[str, Token] | None:
        """Apply all writes if every expectation holds, else change nothing."""
        token = Token(uuid.uuid4().hex)
        made = {write.key: token for write in writes if write.value is not None}
        statements = [self._cql.write(partition, write, token) for write in writes]
        statements += [self._cql.check(partition, check) for check in checks]
        try:
            answer = await self._session.execute(*statements)
        except CqlFailure as failure:
            if failure.unsent:
                raise StoreUnavailable(f"the store did not commit: {failure}") from failure
            if await self._bears(partition, made):
                return made
            raise OutcomeUnknown(
                f"the store did not say whether it committed to {partition}: {failure}"
            ) from failure
        # A refused batch has one row for each statement, or for some; all say the same. And a
        # server that lost a round, which another finished for it, may refuse its own success.
        if answer[0]["[applied]"] or any(row.get("stamp") == token for row in answer):
            return made
        return None

    async def put_blob(self, blob: BlobId, data: bytes) -> Blob:
        """Write bytes under an id that was never used; return when they are durable."""
        described = await asyncio.to_thread(describe, blob, data)
        # Listed first: a crash on the way leaves chunks that a clean-up can find.
        await self._ask(self._cql.list_blob, blob, count(len(data)))

        async def put(numbered: tuple[int, bytes]) -> None:
            await self._ask(self._cql.put_chunk, blob, *numbered, large=True)

        await _each(enumerate(split(data)), put)
        return described

    async def get_blob(self, blob: Blob) -> bytes:
        """Return the bytes."""
        chunks: dict[int, bytes] = {}
        parts = count(blob.size_bytes)

        async def get(part: int) -> None:
            for record in await self._ask(self._cql.get_chunk, blob.id, part, large=True):
                chunks[part] = record["data"]
            if part not in chunks:
                raise NotFound(f"blob {blob.id} is missing: part {part} of {parts}")

        await _each(range(parts), get)
        return await asyncio.to_thread(
            lambda: verified(blob, b"".join(chunks[part] for part in range(parts)))
        )

    async def delete_blob(self, blob: BlobId) -> None:
        """Delete the bytes; deleting what is not there is not an error."""

        async def delete(part: int) -> None:
            await self._ask(self._cql.delete_chunk, blob, part)

        for record in await self._ask(self._cql.count_chunks, blob):
            await _each(range(record["parts"]), delete)
        await self._ask(self._cql.unlist_blob, blob)

    async def blobs(self) -> AsyncIterator[BlobId]:
        """Yield every blob id, those of unfinished writes too."""
        for record in await self._ask(self._cql.list_blobs, page=5000):
            yield BlobId(record["blob"])

    async def ping(self) -> None:
        """Return when a quorum answers."""
        await self.get("probe", "probe")

    async def close(self) -> None:
        """Release connections."""
        await self._session.close()

    async def _ask(
        self,
        text: str,
        *values: object,
        serial: bool = False,
        large: bool = False,
        page: int | None = None,
    ) -> list[Record]:
        try:
            return await self._session.execute(
                (text, values), serial=serial, large=large, page=page
            )
        except CqlFailure as failure:
            raise StoreUnavailable(f"the store did not answer: {failure}") from failure

    async def _bears(self, partition: str, made: Mapping[str, Token]) -> bool:
        """Return whether a row bears the token of a commit whose answer was lost.

        Only this says anything for certain. Rows that are still as expected prove nothing: a
        coordinator that we no longer hear may carry the commit out a moment later.
        """
        try:
            async with asyncio.timeout(_SETTLE_S):
                while made:
                    try:
                        rows = await self._ask(self._cql.tokens, partition, list(made), serial=True)
                        return any(row["stamp"] == made[row["key"]] for row in rows)
                    except StoreUnavailable:
                        await asyncio.sleep(_SETTLE_PAUSE_S)
        except TimeoutError:
            pass  # the caller will have to ask later
        return False


class _Texts:
    """The statements, with the keyspace in them. A row's token is its `stamp`: `token` is CQL's."""

    # ruff: noqa: S608 - the keyspace's name was checked
    def __init__(self, keyspace: str) -> None:
        records, blobs, chunks = (f"{keyspace}.{name}" for name in ("records", "blobs", "chunks"))
        row = "WHERE partition = ? AND key = ?"
        self.get = f"SELECT key, value, stamp FROM {records} {row}"
        self.tokens = f"SELECT key, stamp FROM {records} WHERE partition = ? AND key IN ?"
        self.scan = {
            (inclusive, bounded): f"SELECT key, value, stamp FROM {records} WHERE partition = ? "
            f"AND key {'>=' if inclusive else '>'} ? {'AND key < ? ' * bounded}LIMIT ?"
            for inclusive in (True, False)
            for bounded in (True, False)
        }
        self.insert = (
            f"INSERT INTO {records} (partition, key, value, stamp) VALUES (?, ?, ?, ?) "
            "IF NOT EXISTS"
        )
        self.update = f"UPDATE {records} SET value = ?, stamp = ? {row} IF stamp = ?"
        self.delete = f"DELETE FROM {records} {row} IF stamp = ?"
        # Neither changes its row: it is set to what the condition says that it is.
        self.same = f"UPDATE {records} SET stamp = ? {row} IF stamp = ?"
        self.absent = f"DELETE stamp FROM {records} {row} IF stamp = null"
        self.list_blob = f"INSERT INTO {blobs} (blob, parts) VALUES (?, ?)"
        self.list_blobs = f"SELECT blob FROM {blobs}"
        self.unlist_blob = f"DELETE FROM {blobs} WHERE blob = ?"
        self.count_chunks = f"SELECT parts FROM {blobs} WHERE blob = ?"
        self.put_chunk = f"INSERT INTO {chunks} (blob, part, data) VALUES (?, ?, ?)"
        self.get_chunk = f"SELECT data FROM {chunks} WHERE blob = ? AND part = ?"
        self.delete_chunk = f"DELETE FROM {chunks} WHERE blob = ? AND part = ?"

    def all(self) -> Sequence[str]:
        """Return every statement, to be prepared."""
        texts: list[str] = []
        for value in vars(self).values():
            texts += value.values() if isinstance(value, dict) else (value,)
        return texts

    def write(self, partition: str, write: Write, token: Token) -> Statement:
        """Return the conditional statement of one write."""
        if write.expected is None:
            if write.value is None:
                return self.absent, (partition, write.key)
            return self.insert, (partition, write.key, write.value, token)
        if write.value is None:
            return self.delete, (partition, write.key, write.expected)
        return self.update, (write.value, token, partition, write.key, write.expected)

    def check(self, partition: str, check: Check) -> Statement:
        """Return the conditional statement that changes nothing."""
        return self.same, (check.expected, partition, check.key, check.expected)


def _row(record: Record) -> Row:
    return Row(record["key"], bytes(record["value"]), Token(record["stamp"]))


async def _each(items: Iterable[T], do: Callable[[T], Awaitable[None]]) -> None:
    """Do something with every item, a few at once; the first error ends it all."""
    left = iter(items)

    async def work() -> None:
        for item in left:
            await do(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(_WORKERS):
                group.create_task(work())
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors
