"""Read, decide, commit; again when somebody else was quicker."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import msgspec

from tally.errors import CorruptState, OutcomeUnknown, StoreUnavailable
from tally.store.base import Check, Row, Store, Token, Write

T = TypeVar("T")
R = TypeVar("R", bound=msgspec.Struct)

_ROUNDS = 40  # at 16 writers on one partition, five were the most ever needed


@dataclass(frozen=True, slots=True)
class Plan(Generic[T]):
    """What a decision wants to change, and what it then returns.

    Attributes:
        result: what `transact` returns once the writes are in.
        writes: none: there is nothing to do, and `result` stands.
        checks: rows that the decision rests on and does not write.
    """

    result: T
    writes: Sequence[Write] = ()
    checks: Sequence[Check] = field(default=())


@dataclass(frozen=True, slots=True)
class Read(Generic[R]):
    """A row as decoded; `record` and `token` are None where there is none."""

    key: str
    record: R | None
    token: Token | None

    def write(self, record: msgspec.Struct | None) -> Write:
        """Return the write that changes this row, if it is still as read."""
        return Write(self.key, self.token, None if record is None else encode(record))

    def check(self) -> Check:
        """Return the check that this row, which exists, is still as read."""
        assert self.token is not None
        return Check(self.key, self.token)


def encode(record: msgspec.Struct) -> bytes:
    """Return a record as JSON."""
    return msgspec.json.encode(record)


def decode(row: Row, kind: type[R]) -> R:
    """Return the record in a row.

    Raises:
        CorruptState: the row is not such a record.
    """
    try:
        return msgspec.json.decode(row.value, type=kind)
    except msgspec.MsgspecError as error:
        raise CorruptState(f"row {row.key!r} is not a {kind.__name__}: {error}") from error


async def read(
    store: Store, partition: str, key: str, kind: type[R], *, fresh: bool = False
) -> Read[R]:
    """Return a row as a record, with the token that a write of it depends on."""
    row = await store.get(partition, key, fresh=fresh)
    if row is None:
        return Read(key, None, None)
    return Read(key, decode(row, kind), row.token)


async def transact(store: Store, partition: str, plan: Callable[[bool], Awaitable[Plan[T]]]) -> T:
    """Commit what `plan` decides, deciding again whenever the rows have changed meanwhile.

    Args:
        store, partition: where.
        plan: reads rows and decides; called with True when it must read them fresh. It must
            recognise its own earlier success, because after an unknown outcome it is asked
            again, and then returns a plan without writes.
    """
    fresh = False
    for round_ in range(_ROUNDS):
        decided = await plan(fresh)
        if not decided.writes:
            return decided.result
        try:
            if await store.commit(partition, decided.writes, decided.checks) is not None:
                return decided.result
        except OutcomeUnknown:
            if round_ == _ROUNDS - 1:
                raise
        fresh = True
        await asyncio.sleep(random.uniform(0, min(0.5, 0.005 * 2**round_)))  # noqa: S311
    raise StoreUnavailable(f"too many writers at {partition}; nothing was changed")
