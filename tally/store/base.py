"""What Tally asks of a store: small rows under compare-and-set, and large immutable blobs.

A row is `(partition, key) -> value`, and every write of it bears a *token*, fresh for each commit.
A commit is conditional on the tokens that its author has read, touches one partition, and is
all or nothing: that is what SQLite gives with a transaction and CQL with one conditional batch.
Rows are only ever written this way, since a CQL row that is also written plainly may later
report a successful compare-and-set that changed nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NewType, Protocol

from tally.ids import BlobId

Token = NewType("Token", str)
"""Stands for one state of one row; equal tokens mean equal values."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it was read."""

    key: str
    value: bytes
    token: Token


@dataclass(frozen=True, slots=True)
class Write:
    """One row's part in a commit.

    Attributes:
        key: the row, within the commit's partition.
        expected: the token the row must have now; None: the row must not exist.
        value: what it becomes; None: it is deleted (or stays absent).
    """

    key: str
    expected: Token | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Check:
    """A row that a commit depends on, and does not change.

    Attributes:
        key: the row, within the commit's partition.
        expected: the token the row must have now; it must exist.
    """

    key: str
    expected: Token


@dataclass(frozen=True, slots=True)
class Blob:
    """What identifies immutable bytes, and proves that they are whole."""

    id: BlobId
    size_bytes: int
    sha256: str


class Store(Protocol):
    """Rows and blobs.

    After a crash of client or server every commit that returned is there, whole. All methods
    raise `StoreUnavailable` when the store cannot be reached in time, and then nothing was
    changed, except where `OutcomeUnknown` says that it is not known.
    """

    async def get(self, partition: str, key: str, *, fresh: bool = False) -> Row | None:
        """Return a row, None if there is none.

        Args:
            partition, key: which row.
            fresh: decide commits that are still in flight first (CQL: a LOCAL_SERIAL read).
                Needed only after `OutcomeUnknown`.
        """
        ...

    async def scan(
        self,
        partition: str,
        prefix: str = "",
        *,
        after: str = "",
        limit: int = 1000,
        fresh: bool = False,
    ) -> Sequence[Row]:
        """Return rows of one partition whose key starts with `prefix`, ordered by key.

        Args:
            partition, prefix: which rows.
            after: only keys greater than this one, so that a caller can page.
            limit: at most this many.
            fresh: as in `get`.
        """
        ...

    async def commit(
        self, partition: str, writes: Sequence[Write], checks: Sequence[Check] = ()
    ) -> Mapping[str, Token] | None:
        """Apply all writes if every expectation holds, else change nothing.

        Args:
            partition: the one that all rows are in.
            writes: at least one; each key at most once among writes and checks.
            checks: rows whose state the writes depend on. Their token stays as it is.

        Returns:
            The new token of each row written (deleted ones are left out); None if an
            expectation did not hold, and then nothing was changed.

        Raises:
            OutcomeUnknown: read with `fresh=True` before anything is acknowledged. Where a row
                still bears the token that this commit gave it, the store has decided already
                and returns it instead.
        """
        ...

    async def put_blob(self, blob: BlobId, data: bytes) -> Blob:
        """Write bytes under an id that was never used; return when they are durable.

        A blob is written before the row that names it, so a crash leaves bytes without an
        owner, never a row without bytes. Writing the same id again with the same bytes is
        allowed, and changes nothing.
        """
        ...

    async def get_blob(self, blob: Blob) -> bytes:
        """Return the bytes.

        Raises:
            NotFound: there is no such blob, or a part of it is missing.
            CorruptState: size or digest differ.
        """
        ...

    async def delete_blob(self, blob: BlobId) -> None:
        """Delete the bytes; deleting what is not there is not an error."""
        ...

    def blobs(self) -> AsyncIterator[BlobId]:
        """Yield every blob id, in no order; for checks and clean-up, never on a hot path."""
        ...

    async def ping(self) -> None:
        """Return when the store answers; raise `StoreUnavailable` otherwise."""
        ...

    async def close(self) -> None:
        """Release connections and files. Calling it twice is allowed."""
        ...
