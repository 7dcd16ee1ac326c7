"""A project as its home holds it: one claim, under which every commit is made.

All rows that a commit writes depend on the head's token, so a home that was taken over, however
long it slept, can change nothing any more.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Sequence

import msgspec

from tally.errors import CorruptState, OutcomeUnknown, StoreUnavailable
from tally.ids import BlobId, NodeId, new_blob_id
from tally.ledger.records import BlobRef
from tally.ledger.transact import Plan, encode, read, transact
from tally.projects.errors import NotHome
from tally.projects.records import HEAD, INLINE_BYTES, SNAPSHOT, Head, project_partition
from tally.store.base import Store, Token, Write
from tally.wire.projects import ProjectUuid

_ROUNDS = 8  # some seconds, where the store answers at once and still does not tell
_LONGEST_PAUSE_S = 1.0


class Held:
    """One claim. One caller at a time may commit.

    Attributes:
        project: which.
        head: as it is in the store, as far as this claim's own commits have brought it.
        lost: nothing can be committed under this claim any more.
        unsure: the outcome of the last commit is not known; only `decide` may be called.
        retired: blobs that no row names any more, to be deleted after a grace.
    """

    def __init__(self, store: Store, project: ProjectUuid, head: Head, token: Token) -> None:
        self.project = project
        self.head = head
        self.lost = False
        self.unsure = False
        self.retired: list[BlobId] = []
        self._store = store
        self._partition = project_partition(project)
        self._tokens = {HEAD: token}
        self._attempt, self._saved = head, False
        self._is_next_taken = False
        self._certain = True

    @property
    def store(self) -> Store:
        """Where the project is."""
        return self._store

    async def load(self) -> bytes | None:
        """Return the snapshot; None: none was ever saved.

        Raises:
            NotHome: it is gone, because another claim has replaced it since.
            CorruptState: it is gone or damaged, and nobody else has touched it.
        """
        row = await self._store.get(self._partition, SNAPSHOT, fresh=True)
        if row is not None:
            self._tokens[SNAPSHOT] = row.token
        if self.head.blob is None:
            return None if row is None else row.value
        return await self._store.get_blob(self.head.blob.blob())

    async def check(self) -> None:
        """Return if this claim still holds.

        Raises:
            NotHome: another one has taken its place.
        """
        found = await read(self._store, self._partition, HEAD, Head)
        record = found.record
        if record is None or record.deleted > self.head.deleted or record.owner != self.head.owner:
            self.lost = True
            raise NotHome.of(found.record)

    async def commit(
        self,
        head: Head,
        rows: Sequence[Write] = (),
        snapshot: bytes | None = None,
        *,
        put: Sequence[BlobId] = (),
    ) -> dict[str, Token]:
        """Move the head, and write rows with it.

        Args:
            head: what it becomes; the generation is counted here.
            rows: further ones of the project, in the same commit.
            snapshot: the new one; None: it stays as it is.
            put: blobs that `put` has written and that `rows` name.

        Returns:
            The new tokens of `rows`.

        Raises:
            NotHome: another claim has taken this one's place. Whether this commit came before
                is for the rows to tell.
            StoreUnavailable: nothing was changed, and the claim may still hold.
            OutcomeUnknown: it may or may not have happened. Only `decide`, or another claim,
                can tell.
        """
        assert not self.unsure, f"project {self.project} waits for a decision"
        if self.lost:  # as a question found meanwhile
            raise NotHome(NodeId(""))
        writes, blob = list(rows), None
        if snapshot is not None:
            if len(snapshot) <= INLINE_BYTES:
                writes.append(Write(SNAPSHOT, self._tokens.get(SNAPSHOT), snapshot))
            else:
                blob = await self.put(snapshot)
                if (token := self._tokens.get(SNAPSHOT)) is not None:
                    writes.append(Write(SNAPSHOT, token, None))
            head = msgspec.structs.replace(head, blob=blob)
        if self._is_next_taken:
            head = msgspec.structs.replace(head, next=new_blob_id())
        head = msgspec.structs.replace(
            head, generation=self.head.generation + 1, commit=uuid.uuid4().hex
        )
        writes.append(Write(HEAD, self._tokens[HEAD], encode(head)))
        try:
            tokens = await self._decided(head, writes)
        except OutcomeUnknown:
            self.unsure = True
            self._attempt, self._saved = head, snapshot is not None or head.deleted
            raise  # the blob, if there is one, is left to the sweep: it may be needed
        except (StoreUnavailable, NotHome):
            if self._certain:  # else the home that has followed may have found it committed
                self.retired += [*put, *([blob.id] if blob else [])]
            raise
        self._is_next_taken = False
        if self.head.blob is not None and self.head.blob != head.blob:
            self.retired.append(self.head.blob.id)
        self.head = head
        if snapshot is not None:
            self._tokens.pop(SNAPSHOT, None)
        self._tokens |= {key: tokens.pop(key) for key in (HEAD, SNAPSHOT) if key in tokens}
        return tokens

    async def put(self, data: bytes) -> BlobRef:
        """Write a blob under the id that the head announces for it; the next commit names it."""
        if self._is_next_taken:
            # Bytes that were not committed stand there; a blob is written once.
            await self.commit(msgspec.structs.replace(self.head, next=new_blob_id()))
        self._is_next_taken = True
        return BlobRef.of(await self._store.put_blob(self.head.next, data))

    async def decide(self) -> bool:
        """Find out what came of the commit of unknown outcome; return whether it brought a state.

        Then the store has that state, and memory has not; else work goes on. A claim of our own,
        one epoch on, comes before that commit or after it, and no other can follow under the old
        one.

        Raises:
            NotHome: another worker has taken the project over.
            StoreUnavailable: still not known.
        """
        before, owner = self.head.owner, uuid.uuid4().hex
        seen = self.head

        async def plan(fresh: bool) -> Plan[Head]:
            nonlocal seen
            row = await read(self._store, self._partition, HEAD, Head, fresh=True)
            if row.record is None or row.record.owner not in (before, owner):
                self.lost = True
                raise NotHome.of(row.record)
            if row.record.owner == owner:
                return Plan(row.record)
            seen = row.record
            claimed = msgspec.structs.replace(
                seen,
                owner=owner,
                epoch=seen.epoch + 1,
                generation=seen.generation + 1,
                next=new_blob_id(),
            )
            return Plan(claimed, [row.write(claimed)])

        self.head = await transact(self._store, self._partition, plan)
        row = await read(self._store, self._partition, HEAD, Head, fresh=True)
        if row.record != self.head or row.token is None:
            self.lost = True
            raise NotHome.of(row.record)
        self._tokens[HEAD] = row.token
        self.unsure = self._is_next_taken = False
        return self._saved and seen.commit == self._attempt.commit

    async def _decided(self, head: Head, writes: Sequence[Write]) -> dict[str, Token]:
        """Commit, and again until it is certain what came of it."""
        unknown: OutcomeUnknown | None = None
        self._certain = True
        for round_ in range(_ROUNDS):
            try:
                tokens = await self._store.commit(self._partition, writes)
                if tokens is not None:
                    return dict(tokens)
                return await self._found(head, writes)
            except OutcomeUnknown as error:
                unknown = error
                self._certain = False
            except StoreUnavailable as error:
                if unknown is None:
                    raise
                unknown = OutcomeUnknown(str(error))
            # The same commit once more: whichever of the two comes first, the other is refused.
            await asyncio.sleep(random.uniform(0, min(_LONGEST_PAUSE_S, 0.02 * 2**round_)))  # noqa: S311
        assert unknown is not None
        raise unknown

    async def _found(self, head: Head, writes: Sequence[Write]) -> dict[str, Token]:
        """Return the tokens of a commit that was refused because it had happened already."""
        found = await read(self._store, self._partition, HEAD, Head, fresh=True)
        if found.record is None or found.record.owner != head.owner:
            self.lost = True
            raise NotHome.of(found.record)
        if found.record.commit != head.commit:
            self.lost = True
            if found.record.deleted:  # from outside, as shards are with their project
                raise NotHome.of(found.record)
            raise CorruptState(f"project {self.project} has rows that its home does not know")
        tokens: dict[str, Token] = {}
        for write in writes:
            row = await self._store.get(self._partition, write.key, fresh=True)
            if row is not None:
                tokens[write.key] = row.token
        return tokens
