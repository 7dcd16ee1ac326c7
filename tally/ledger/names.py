"""Which model a name means. Everything else goes by uuid."""

from __future__ import annotations

import re

from tally.clock import Clock
from tally.errors import InvalidInput, NotFound
from tally.ids import ModelUuid, new_model_uuid
from tally.ledger.records import REGISTRY, Name
from tally.ledger.transact import Plan, decode, read, transact
from tally.store.base import Store

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)


def check_name(name: str) -> str:
    """Return the name if a model may be called so.

    Raises:
        InvalidInput: it may not.

    Example:
        >>> check_name("shop-7.daily")
        'shop-7.daily'
    """
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            "name",
            f"{name[:140]!r} is not a model name: 1 to 128 letters, digits, '.', '_' or '-', "
            "beginning with a letter or digit",
        )
    return name


class Names:
    """The registry of models."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def find(self, name: str) -> ModelUuid:
        """Return the model of that name.

        Raises:
            NotFound: there is none.
        """
        found = await read(self._store, REGISTRY, check_name(name), Name)
        if found.record is None:
            raise NotFound(f"there is no model named {name!r}")
        return found.record.model

    async def claim(self, name: str, who: str) -> ModelUuid:
        """Return the model of that name, made if there is none."""
        check_name(name)

        async def plan(fresh: bool) -> Plan[ModelUuid]:
            row = await read(self._store, REGISTRY, name, Name, fresh=fresh)
            if row.record is not None:
                return Plan(row.record.model)
            made = Name(new_model_uuid(), self._clock.now().isoformat(), who)
            return Plan(made.model, [row.write(made)])

        return await transact(self._store, REGISTRY, plan)

    async def release(self, name: str, model: ModelUuid) -> None:
        """Free the name, if it still means this model."""

        async def plan(fresh: bool) -> Plan[None]:
            row = await read(self._store, REGISTRY, name, Name, fresh=fresh)
            if row.record is None or row.record.model != model:
                return Plan(None)
            return Plan(None, [row.write(None)])

        await transact(self._store, REGISTRY, plan)

    async def page(self, after: str = "", limit: int = 1000) -> list[tuple[str, Name]]:
        """Return up to `limit` names after one, in order, each with what it means."""
        rows = await self._store.scan(REGISTRY, after=after, limit=limit)
        return [(row.key, decode(row, Name)) for row in rows]
