"""The name of one installation among others: made once, in the store that its parts share."""

from __future__ import annotations

import uuid

import msgspec

from tally.ledger.transact import Plan, read, transact
from tally.store.base import Store

_PARTITION, _ROW = "installation", "id"


class Installation(msgspec.Struct, frozen=True):
    """Row `installation`/id.

    Attributes:
        id: 32 hex digits that no other installation has.
    """

    id: str


async def installation_id(store: Store) -> str:
    """Return the id of the installation that keeps its rows in a store; made by the first to ask.

    Raises:
        StoreUnavailable: the store cannot be reached.
    """
    made = Installation(uuid.uuid4().hex)

    async def plan(fresh: bool) -> Plan[str]:
        row = await read(store, _PARTITION, _ROW, Installation, fresh=fresh)
        if row.record is not None:
            return Plan(row.record.id)
        return Plan(made.id, [row.write(made)])

    return await transact(store, _PARTITION, plan)
