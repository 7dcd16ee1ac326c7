"""Who sent which rows to a project: counts of calls that are alike, as `getLFStats` tells them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping

import msgspec

from tally.ledger.transact import decode, encode
from tally.projects.records import USES, Use, project_partition
from tally.store.base import Store, Token, Write
from tally.wire.projects import ProjectUuid

MAX_USES = 1000
"""Kinds of calls told apart in one project; later kinds are counted without their names."""
_USE_BYTES = 400  # of what stands around the texts, and of the row's key and token
_PAGE = 200


class Uses:
    """The counts of one project, as its home knows them. What is noted goes with a later commit."""

    def __init__(self) -> None:
        self._uses: dict[str, Use] = {}
        self._tokens: dict[str, Token] = {}
        self._noted: set[str] = set()
        self._size_bytes = 0

    @property
    def size_bytes(self) -> int:
        """About the memory that they take."""
        return self._size_bytes

    async def load(self, store: Store, project: ProjectUuid) -> None:
        """Read what the store has."""
        after = ""
        partition = project_partition(project)
        while rows := await store.scan(partition, USES, after=after, limit=_PAGE, fresh=True):
            for row in rows:
                self._know({row.key: decode(row, Use)})
                self._tokens[row.key] = row.token
            after = rows[-1].key

    def note(self, uses: Iterable[Use]) -> None:
        """Count calls in memory; the next commit writes them down."""
        noted = self.with_(uses)
        self._know(noted)
        self._noted |= noted.keys()

    def with_(self, uses: Iterable[Use]) -> dict[str, Use]:
        """Return, by row, the counts that differ from the store once these calls are counted."""
        counts = {key: self._uses[key] for key in self._noted}
        for use in uses:
            key = use.key
            known = counts.get(key) or self._uses.get(key)
            if known is None and len(self._uses.keys() | counts.keys()) >= MAX_USES:
                use = msgspec.structs.replace(use, client="", names=(), types="")
                key = use.key
                known = counts.get(key) or self._uses.get(key)
            counts[key] = use if known is None else _sum(known, use)
        return counts

    def writes(self, counts: Mapping[str, Use]) -> list[Write]:
        """Return what a commit of these counts has to write."""
        return [Write(key, self._tokens.get(key), encode(use)) for key, use in counts.items()]

    def committed(self, counts: Mapping[str, Use], tokens: Mapping[str, Token]) -> None:
        """Follow the commit of these counts."""
        self._know(counts)
        self._tokens |= {key: tokens[key] for key in counts}
        self._noted -= counts.keys()

    def _know(self, counts: Mapping[str, Use]) -> None:
        new = (use for key, use in counts.items() if key not in self._uses)
        self._size_bytes += sum(map(_size_bytes, new))
        self._uses |= counts

    def all(self) -> list[Use]:
        """Return all counts, in a stable order."""
        return [self._uses[key] for key in sorted(self._uses)]


def _size_bytes(use: Use) -> int:
    return _USE_BYTES + sum(map(sys.getsizeof, (use.client, use.types, use.names, *use.names)))


def _sum(one: Use, other: Use) -> Use:
    return msgspec.structs.replace(
        one,
        count=one.count + other.count,
        rows=one.rows + other.rows,
        process_ms=one.process_ms + other.process_ms,
    )
