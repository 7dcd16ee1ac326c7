"""Which requests were counted already: their ids, as long as they are remembered.

A commit's ids stand in one row, written by that commit. An id is kept for `KEEP_S` after its
commit, or after its project came to another home, but no more than `KEEP` of one project, beside
those that are younger than `YOUNG_S`, which go only beyond `MOST`: the oldest go first, within
later commits. A broker repeats a request for less than a minute.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import islice

import msgspec

from tally.clock import Clock
from tally.errors import IdempotencyMismatch
from tally.ledger.transact import decode, encode
from tally.projects.records import BATCHES, Batch, Batches, batches_key, project_partition
from tally.store.base import Store, Token, Write
from tally.wire.projects import ProjectUuid

KEEP_S = 3600.0
KEEP = 20_000
YOUNG_S = 120.0
MOST = 200_000
MAX_ID_CHARACTERS = 200
STOPPED = "stopped"
"""In place of a digest: the work of this id was stopped, and never counts."""
_PAGE = 500
_GOING = 8  # rows that one commit deletes, which writes one: they go faster than they come


class _Kept(msgspec.Struct):
    ids: tuple[str, ...]
    token: Token
    since_s: float


class Counted:
    """The ids of one project, as its home knows them: all that the store has, and newer ones.

    Args:
        clock: ours; nothing rests on another machine's.
        keep_s, keep, most: how long and how many.
    """

    def __init__(
        self, clock: Clock, *, keep_s: float = KEEP_S, keep: int = KEEP, most: int = MOST
    ) -> None:
        self._clock = clock
        self._keep_s = keep_s
        self._keep = keep
        self._most = most
        self._digests: dict[str, str] = {}
        self._rows: OrderedDict[str, _Kept] = OrderedDict()
        self._unsaved: list[Batch] = []
        self._going: list[str] = []

    def __len__(self) -> int:
        return len(self._digests)

    async def load(self, store: Store, project: ProjectUuid) -> None:
        """Read what the store has beyond what is known."""
        after = ""
        partition = project_partition(project)
        while rows := await store.scan(partition, BATCHES, after=after, limit=_PAGE, fresh=True):
            for row in rows:
                batches = decode(row, Batches).batches
                self._digests |= {batch.id: batch.digest for batch in batches}
                if row.key not in self._rows:
                    self._keep_row(row.key, batches, row.token)
            after = rows[-1].key

    def seen(self, batch: Batch) -> bool:
        """Tell whether a request was counted.

        Raises:
            IdempotencyMismatch: another one was, with the same id.
        """
        known = self._digests.get(batch.id)
        if known is not None and known != batch.digest:
            raise stopped(batch.id) if known == STOPPED else mismatch(batch.id)
        return known is not None

    def note(self, batches: Sequence[Batch]) -> None:
        """Remember requests that are counted in memory; the next commit writes them down."""
        self._digests |= {batch.id: batch.digest for batch in batches}
        self._unsaved += batches

    def writes(self, owner: str, generation: int, batches: Sequence[Batch]) -> list[Write]:
        """Return what a commit that answers these requests, and all unsaved ones, has to write."""
        self._going = self._too_old()
        writes = [Write(key, self._rows[key].token, None) for key in self._going]
        return writes + self._row(owner, generation, (*self._unsaved, *batches))

    def writes_beside(self, owner: str, generation: int, batches: Sequence[Batch]) -> list[Write]:
        """Return what a commit has to write that answers these requests, but saves no state.

        The unsaved ones stay so. Nothing goes, so that after a commit of unknown outcome `load`
        finds at most more than there was.
        """
        return self._row(owner, generation, batches)

    def committed_beside(
        self, generation: int, batches: Sequence[Batch], tokens: Mapping[str, Token]
    ) -> None:
        """Follow a commit of what `writes_beside` returned last."""
        self._digests |= {batch.id: batch.digest for batch in batches}
        if batches:
            self._keep_row(batches_key(generation), batches, tokens[batches_key(generation)])

    def _row(self, owner: str, generation: int, answered: Sequence[Batch]) -> list[Write]:
        if not answered:
            return []
        row = encode(Batches(owner, tuple(answered)))
        return [Write(batches_key(generation), None, row)]

    def committed(
        self, generation: int, batches: Sequence[Batch], tokens: Mapping[str, Token]
    ) -> None:
        """Follow a commit of what `writes` returned last."""
        for key in self._going:
            for id_ in self._rows.pop(key).ids:
                self._digests.pop(id_, None)
        self._going = []
        answered = (*self._unsaved, *batches)
        self._unsaved.clear()
        self._digests |= {batch.id: batch.digest for batch in batches}
        if answered:
            key = batches_key(generation)
            self._keep_row(key, answered, tokens[key])

    def _keep_row(self, key: str, batches: Sequence[Batch], token: Token) -> None:
        ids = tuple(batch.id for batch in batches)
        self._rows[key] = _Kept(ids, token, self._clock.monotonic())

    def _too_old(self) -> list[str]:
        """Return the rows that go with the next commit, oldest first."""
        now, left = self._clock.monotonic(), len(self._digests)
        going: list[str] = []
        for key, kept in islice(self._rows.items(), _GOING):
            age_s = now - kept.since_s
            too_many = left > (self._keep if age_s >= YOUNG_S else self._most)
            if age_s < self._keep_s and not too_many:
                break
            left -= len(kept.ids)
            going.append(key)
        return going


def mismatch(id_: str) -> IdempotencyMismatch:
    """Return the refusal of an id that was used for another request."""
    return IdempotencyMismatch(f"the batch id {id_!r} was used for another request")


def stopped(id_: str) -> IdempotencyMismatch:
    """Return the refusal of what was stopped under its id."""
    return IdempotencyMismatch(f"the work with the batch id {id_!r} was stopped")
