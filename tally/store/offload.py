"""A store whose large blobs are elsewhere; its rows and small blobs stay where they were."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from tally.errors import NotFound
from tally.ids import BlobId
from tally.store.base import Blob, Check, Row, Store, Token, Write
from tally.store.chunks import describe


class Blobs(Protocol):
    """Where the large ones go: as the blobs of `Store`, page by page."""

    async def put(self, blob: Blob, data: bytes) -> None:
        """Write bytes; return when they are durable."""
        ...

    async def get(self, blob: Blob) -> bytes:
        """Return bytes; raises `NotFound` and `CorruptState`."""
        ...

    async def delete(self, blob: BlobId) -> None:
        """Delete bytes; deleting what is not there is not an error."""
        ...

    async def page(self, after: str) -> Sequence[BlobId]:
        """Return ids above `after`, in order; none: those were all."""
        ...

    async def ping(self) -> None:
        """Return when it answers."""
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


class BlobOffload:
    """See `tally.store.base.Store` for what the methods promise.

    A blob's size tells where it was written. The threshold may have been another one then, so
    what is not there is looked for in the other place too.

    Args:
        store: keeps rows, and blobs below the threshold.
        large: keeps the other blobs.
        threshold_bytes: size of the smallest blob that goes there.
    """

    def __init__(self, store: Store, large: Blobs, threshold_bytes: int) -> None:
        self._store = store
        self._large = large
        self._threshold_bytes = threshold_bytes

    async def get(self, partition: str, key: str, *, fresh: bool = False) -> Row | None:
        """Return a row, None if there is none."""
        return await self._store.get(partition, key, fresh=fresh)

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
        return await self._store.scan(partition, prefix, after=after, limit=limit, fresh=fresh)

    async def commit(
        self, partition: str, writes: Sequence[Write], checks: Sequence[Check] = ()
    ) -> Mapping[str, Token] | None:
        """Apply all writes if every expectation holds, else change nothing."""
        return await self._store.commit(partition, writes, checks)

    async def put_blob(self, blob: BlobId, data: bytes) -> Blob:
        """Write bytes under an id that was never used; return when they are durable."""
        if len(data) < self._threshold_bytes:
            return await self._store.put_blob(blob, data)
        described = await asyncio.to_thread(describe, blob, data)
        await self._large.put(described, data)
        return described

    async def get_blob(self, blob: Blob) -> bytes:
        """Return the bytes."""
        places = [self._store.get_blob, self._large.get]
        if blob.size_bytes >= self._threshold_bytes:
            places.reverse()
        try:
            return await places[0](blob)
        except NotFound as missing:
            try:
                return await places[1](blob)
            except NotFound:
                raise missing from None

    async def delete_blob(self, blob: BlobId) -> None:
        """Delete the bytes; deleting what is not there is not an error."""
        await self._store.delete_blob(blob)
        await self._large.delete(blob)

    async def blobs(self) -> AsyncIterator[BlobId]:
        """Yield every blob id."""
        async for blob in self._store.blobs():
            yield blob
        after = ""
        while page := await self._large.page(after):
            for blob in page:
                yield blob
            after = page[-1]

    async def ping(self) -> None:
        """Return when both answer."""
        await self._store.ping()
        await self._large.ping()

    async def close(self) -> None:
        """Release connections and files."""
        try:
            await self._large.close()
        finally:
            await self._store.close()
