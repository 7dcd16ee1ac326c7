"""Customers of the signed API, and their secret keys, sealed in the store."""

from __future__ import annotations

import re

import msgspec

from tally.clock import Clock
from tally.errors import Conflict, InvalidInput, NotFound
from tally.ledger.transact import Plan, decode, read, transact
from tally.master_key import MasterKey, Sealed
from tally.projects.jobs import remove_jobs
from tally.projects.names import Names
from tally.store.base import Store
from tally.wire.secret_key import SecretKey

PARTITION = "users"
PURPOSE = "user key"

_CID = re.compile(r"[A-Za-z0-9_.@-]{1,128}", re.ASCII)
_PAGE = 1000


class User(msgspec.Struct, frozen=True):
    """Row `users`/{cid}.

    Attributes:
        cid: the customer's id, as it stands in URLs.
        key: the secret key, sealed for this cid.
        created_at: ISO 8601, UTC.
        changed_at: when the key was last rotated, or made.
        generation: 1 for the first key, and one more with each rotation.
    """

    cid: str
    key: Sealed
    created_at: str
    changed_at: str
    generation: int = 1


def is_cid(text: str) -> bool:
    """Tell whether a customer may be called so.

    Example:
        >>> is_cid("ann@example.org"), is_cid("a/b"), is_cid("")
        (True, False, False)
    """
    return _CID.fullmatch(text) is not None


class Users:
    """The registry of customers.

    Every change is conditional on what was read, so of two that contradict each other one is
    refused. All methods raise `StoreUnavailable` as the store does.

    Args:
        store: where the rows are.
        master: seals and opens the keys.
        clock: for the timestamps.
    """

    def __init__(self, store: Store, master: MasterKey, clock: Clock) -> None:
        self._store = store
        self._master = master
        self._clock = clock
        self._decoy = master.seal(bytes(16), PURPOSE, "")

    async def add(self, cid: str, key: SecretKey | None = None) -> SecretKey:
        """Make a customer and return the key, a new one unless one is given.

        Raises:
            InvalidInput: nobody may be called so.
            Conflict: somebody is called so.
        """
        key = key or SecretKey.generate()
        now = self._clock.now().isoformat()
        user = User(_checked(cid), self._sealed(cid, key), now, now)

        async def plan(fresh: bool) -> Plan[SecretKey]:
            row = await read(self._store, PARTITION, cid, User, fresh=fresh)
            if row.record is None:
                return Plan(key, [row.write(user)])
            if row.record.key == user.key:  # our own, whose outcome was not known
                return Plan(key)
            raise Conflict(f"there is a user {cid!r} already")

        return await transact(self._store, PARTITION, plan)

    async def get(self, cid: str) -> User:
        """Return a customer.

        Raises:
            NotFound: there is none of that id.
        """
        row = await read(self._store, PARTITION, _checked(cid), User)
        if row.record is None:
            raise _unknown(cid)
        return row.record

    async def key(self, cid: str) -> SecretKey | None:
        """Return the key of a customer; None if there is none, which takes as long.

        Raises:
            ConfigurationError: it is sealed under another master key.
            CorruptState: it was changed in the store.
        """
        if not is_cid(cid):
            return None
        user = (await read(self._store, PARTITION, cid, User)).record
        if user is None:
            self._master.open(self._decoy, PURPOSE, "")
            return None
        return SecretKey(self._master.open(user.key, PURPOSE, cid))

    async def list(self) -> list[User]:
        """Return all customers, in order of their ids."""
        found: list[User] = []
        while True:
            after = found[-1].cid if found else ""
            rows = await self._store.scan(PARTITION, after=after, limit=_PAGE)
            found += [decode(row, User) for row in rows]
            if len(rows) < _PAGE:
                return found

    async def rotate(self, cid: str, key: SecretKey | None = None) -> SecretKey:
        """Give a customer another key and return it; what the old one signed is refused.

        Brokers may take the old one for a moment more: `tally.user_keys.MAX_AGE_S`.

        Raises:
            NotFound: there is none of that id.
            Conflict: somebody rotated or deleted it at the same time.
        """
        key = key or SecretKey.generate()
        sealed = self._sealed(_checked(cid), key)
        before = await self.get(cid)
        after = msgspec.structs.replace(
            before,
            key=sealed,
            changed_at=self._clock.now().isoformat(),
            generation=before.generation + 1,
        )

        async def plan(fresh: bool) -> Plan[SecretKey]:
            row = await read(self._store, PARTITION, cid, User, fresh=fresh)
            if row.record == after:
                return Plan(key)
            if row.record != before:
                raise Conflict(f"the user {cid!r} was changed by somebody else just now")
            return Plan(key, [row.write(after)])

        return await transact(self._store, PARTITION, plan)

    async def delete(self, cid: str) -> None:
        """Delete a customer with the key and all jobs.

        Raises:
            NotFound: there is none of that id.
            Conflict: the customer has projects, which the next one of that id would find.
        """
        before = await self.get(cid)
        if count := len(await Names(self._store).all(cid)):
            raise Conflict(
                f"the user {cid!r} has {count} project{'s' * (count > 1)}: first delete each that "
                f"`tally project list --cid {cid}` shows by `tally project delete`"
            )
        await remove_jobs(self._store, cid)

        async def plan(fresh: bool) -> Plan[None]:
            row = await read(self._store, PARTITION, cid, User, fresh=fresh)
            if row.record is None:
                return Plan(None)
            if row.record.created_at != before.created_at:
                raise Conflict(f"the user {cid!r} was changed by somebody else just now")
            return Plan(None, [row.write(None)])

        await transact(self._store, PARTITION, plan)

    async def check_master_key(self) -> None:
        """Return if the master key opens what is stored; asked once, at start.

        Raises:
            ConfigurationError: a key is sealed under another one; the message names the remedy.
        """
        for row in await self._store.scan(PARTITION, limit=1):
            user = decode(row, User)
            self._master.open(user.key, PURPOSE, user.cid)

    def _sealed(self, cid: str, key: SecretKey) -> Sealed:
        return self._master.seal(key.raw, PURPOSE, cid)


def _checked(cid: str) -> str:
    if not is_cid(cid):
        raise InvalidInput(
            "cid", f"{cid[:140]!r} is not 1 to 128 letters, digits, '_', '.', '@' or '-'"
        )
    return cid


def _unknown(cid: str) -> NotFound:
    return NotFound(f"there is no user {cid!r}")
