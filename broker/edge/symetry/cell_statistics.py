"""A project's statistics for whoever merges them elsewhere, sealed for the customer who asks."""

from __future__ import annotations

import asyncio

import msgspec

from broker.edge.symetry.at_home import AtHome
from broker.edge.symetry.beside import beside
from broker.edge.symetry.call import Call, Outcome
from tally.user_keys import UserKeys
from tally.wire.cell_blob import seal
from tally.wire.cell_statistics import unpack_cell
from tally.wire.secret_key import SecretKey
from tally.wire.status import Refused, StatusCode

_AT_ONCE = 4  # being sealed: each is in memory as it came, compressed, encrypted, and as text


class CellStatistics:
    """Answers `cellStatistics`.

    Args:
        home: asks the homes of projects.
        keys: of the customers.
    """

    def __init__(self, home: AtHome, keys: UserKeys) -> None:
        self._home = home
        self._keys = keys
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def answer(self, call: Call, wait_s: float) -> Outcome:
        """Return what a call comes to.

        Raises:
            Refused: the project is not there, has too few rows to share any, or is not reached.
        """
        key = await self._keys.get(call.cid)
        if key is None:  # deleted since the signature was checked
            raise Refused("Invalid User", StatusCode.UNAUTHORIZED)
        told = await self._home.ask(call, call.pid, wait_s)
        # Not held while the home works: it may be asking us for the statistics of its own cells.
        async with self._turns:
            return Outcome(await beside(len(told.body), _values, key, told.body))


def _values(key: SecretKey, packed: bytes) -> bytes:
    """Return `values` as JSON; whoever opens the blob believes that, not what stands beside it."""
    head, _ = unpack_cell(packed)
    values: dict[str, object] = {
        "version": head.version,
        "rows": head.rows,
        "provenance": head.provenance,
        "notModified": "true" if head.not_modified else "false",
    }
    if not head.not_modified:
        values["blob"] = seal(key, packed)
    return msgspec.json.encode(values)
