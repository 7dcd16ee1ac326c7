"""Customers' keys as a broker keeps them for a moment: not every request reads the store."""

from __future__ import annotations

from collections import OrderedDict

from tally.clock import Clock
from tally.users import Users, is_cid
from tally.wire.secret_key import SecretKey

MAX_AGE_S = 2.0
"""A key that was rotated or deleted may be taken for this long after."""

_Entries = OrderedDict[str, tuple[float, SecretKey | None]]


class UserKeys:
    """A small cache over `Users.key`.

    That nobody is called so is remembered as well, apart from the keys: whoever asks for ever
    new names evicts only other such names.

    Args:
        users: who knows.
        clock: whose monotonic time ages the entries.
        size: how many customers, and how many unknown names, are remembered.
    """

    def __init__(self, users: Users, clock: Clock, size: int = 4096) -> None:
        self._users = users
        self._clock = clock
        self._size = size
        self._known: _Entries = OrderedDict()
        self._unknown: _Entries = OrderedDict()

    async def get(self, cid: str) -> SecretKey | None:
        """Return the key of a customer; None: there is none of that id.

        Raises:
            StoreUnavailable: it must be looked up, and the store cannot be reached.
            ConfigurationError, CorruptState: as `Users.key`.
        """
        if not is_cid(cid):
            return None
        entry = self._known.get(cid) or self._unknown.get(cid)
        # Aged from before the look-up: what it returns may be old by the time that it took.
        now = self._clock.monotonic()
        if entry is not None and now - entry[0] < MAX_AGE_S:
            return entry[1]
        key = await self._users.key(cid)
        self._known.pop(cid, None)
        self._unknown.pop(cid, None)
        entries = self._unknown if key is None else self._known
        entries[cid] = (now, key)
        if len(entries) > self._size:
            entries.popitem(last=False)
        return key

    def __len__(self) -> int:
        return len(self._known) + len(self._unknown)
