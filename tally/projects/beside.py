"""What stands beside a project's snapshot: one row, and immutable bytes, each under its digest.

Bytes are written once, before the commit whose row names them first, and go after the commit that
names them no more. The rows that tell where they are change with the home's commits only. So a
home that was taken over neither adds nor removes any, and a new one, which reads the rows under
its own claim, finds all that they name. Bytes that come again after they went get another blob.

Rows may be ahead of what the project names: where one commit needs several blobs, those before
the last are named by commits of their own. What a crash leaves of that goes with the next commit.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from tally.errors import CorruptState
from tally.ids import BlobId
from tally.ledger.records import BlobRef
from tally.ledger.transact import decode, encode
from tally.projects.held import Held
from tally.projects.records import (
    INLINE_BYTES,
    PART_BYTES,
    PARTS,
    PEER,
    project_partition,
)
from tally.store.base import Row, Store, Token, Write
from tally.wire.projects import ProjectUuid

_SMALL_BYTES = 16 * 1024  # so much of one part stands in a row
_ROWS = 50  # of parts that one commit writes, and as many that it deletes
_PAGE = 100


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to stand beside the snapshot.

    Attributes:
        row: the row.
        names: digests (SHA-256, hexadecimal) of all bytes that it names.
        data: of those among them that the store may lack.
    """

    row: bytes = field(repr=False)
    names: frozenset[str]
    data: Mapping[str, bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Planned:
    """What a commit writes.

    Attributes:
        writes: rows.
        put: the blob that was written for it.
        retired: blobs that no row names after it.
    """

    writes: tuple[Write, ...] = ()
    put: tuple[BlobId, ...] = ()
    retired: tuple[BlobId, ...] = ()


@dataclass(frozen=True, slots=True)
class _Kept:
    key: str
    token: Token
    blob: BlobRef | None


class Beside:
    """The row and the bytes beside one project's snapshot, as its home knows them.

    Args:
        store, project: where they are.
    """

    def __init__(self, store: Store, project: ProjectUuid) -> None:
        self._store = store
        self._partition = project_partition(project)
        self._row: Token | None = None
        self._parts: dict[str, _Kept] = {}

    async def load(self) -> tuple[bytes | None, Mapping[str, bytes]]:
        """Return the row, if there is one, and all bytes by their digests.

        Raises:
            NotFound: some are gone, because another claim has replaced them since.
            CorruptState: some are damaged.
        """
        row, found = await self.read()
        for digest, kept in self._parts.items():
            if kept.blob is not None:
                found[digest] = await self._store.get_blob(kept.blob.blob())
        return row, found

    async def read(self) -> tuple[bytes | None, dict[str, bytes]]:
        """Read what the store has, in place of what is known; return what stands in rows.

        Raises:
            CorruptState: a row is damaged.
        """
        found: dict[str, bytes] = {}
        self._parts = {}
        row = await self._store.get(self._partition, PEER, fresh=True)
        self._row = None if row is None else row.token
        async for part in _rows(self._store, self._partition, PARTS, fresh=True):
            self._keep(part)
        async for part in _rows(self._store, self._partition, PART_BYTES, fresh=True):
            found[self._keep(part)] = part.value
        return None if row is None else row.value, found

    async def plan(self, wanted: Wanted, held: Held, *, alone: bool) -> Planned:
        """Write the bytes that the store lacks, and return what the commit writes that needs them.

        Args:
            wanted: what is to be.
            held: the claim, whose next commit has the rows that are returned.
            alone: that commit writes no blob of its own.

        Raises:
            NotHome, StoreUnavailable, OutcomeUnknown: as `Held.commit`; what was written is named.
        """
        rows: list[Write] = []
        put: list[BlobId] = []
        room = INLINE_BYTES
        for digest in sorted(wanted.names - self._parts.keys()):
            data = wanted.data[digest]
            if put or len(rows) == _ROWS:
                await self._ahead(held, rows, put)
                rows, put, room = [], [], INLINE_BYTES
            if len(data) <= min(_SMALL_BYTES, room):
                rows.append(Write(PART_BYTES + digest, None, data))
                room -= len(data)
            else:
                reference = await held.put(data)
                rows.append(Write(PARTS + digest, None, encode(reference)))
                put.append(reference.id)
        if put and not alone:
            await self._ahead(held, rows, put)
            rows, put = [], []
        going = sorted(self._parts.keys() - wanted.names)[:_ROWS]
        gone = [self._parts[digest] for digest in going]
        rows += [Write(kept.key, kept.token, None) for kept in gone]
        retired = tuple(kept.blob.id for kept in gone if kept.blob is not None)
        return Planned((*rows, Write(PEER, self._row, wanted.row)), tuple(put), retired)

    def committed(self, planned: Planned, tokens: Mapping[str, Token]) -> None:
        """Follow the commit of what `plan` returned."""
        self._follow(planned.writes, tokens)

    async def _ahead(self, held: Held, rows: list[Write], put: list[BlobId]) -> None:
        """Have rows name what was written, before the project does."""
        self._follow(rows, await held.commit(held.head, rows, put=put))

    def _follow(self, writes: Sequence[Write], tokens: Mapping[str, Token]) -> None:
        for write in writes:
            if write.key == PEER:
                self._row = tokens[PEER]
            elif write.value is None:
                del self._parts[_digest(write.key)]
            else:
                self._keep(Row(write.key, write.value, tokens[write.key]))

    def _keep(self, row: Row) -> str:
        """Remember where bytes are; return their digest."""
        digest, blob = _digest(row.key), None
        if row.key.startswith(PARTS):
            blob = decode(row, BlobRef)
        told = hashlib.sha256(row.value).hexdigest() if blob is None else blob.sha256
        if told != digest:
            raise CorruptState(f"row {row.key!r} is of bytes with another digest")
        self._parts[digest] = _Kept(row.key, row.token, blob)
        return digest


async def part_blobs(store: Store, project: ProjectUuid) -> AsyncIterator[BlobId]:
    """Yield the blobs that stand beside a project's snapshot."""
    async for row in _rows(store, project_partition(project), PARTS):
        yield decode(row, BlobRef).id


def _digest(key: str) -> str:
    return key.rpartition("/")[2]


async def _rows(
    store: Store, partition: str, prefix: str, *, fresh: bool = False
) -> AsyncIterator[Row]:
    after = ""
    while rows := await store.scan(partition, prefix, after=after, limit=_PAGE, fresh=fresh):
        for row in rows:
            yield row
        after = rows[-1].key
