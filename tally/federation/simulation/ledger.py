"""Statistics that are easy to judge: the list of the rows that they count.

A simulation with them shows a row that is counted twice, or not, by its name; real statistics
would show a number that is wrong. They go through the protocol as any other bytes.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence

import msgspec

from tally.errors import CorruptState, InvalidInput
from tally.federation.effects import Explore, Rebuild
from tally.federation.messages import Leaf
from tally.federation.privacy.minimum import Turnover, fewest_rows, too_few
from tally.federation.privacy.reason import Blocked
from tally.federation.state import Approved, Local

ATTRS = 4
LEAST = fewest_rows(ATTRS)
_RULE = re.compile(r"rows >= (\d+)")


class LedgerRules:
    """The minimum of rows, and contracts of one rule: `rows >= N`."""

    def refusal(self, local: Local, approved: Approved | None) -> Blocked | None:
        """See `Rules`."""
        now = Turnover(local.learned, local.forgotten)
        earlier = None if approved is None else Turnover(approved.learned, approved.forgotten)
        return too_few(now, earlier, local.attrs)

    def contract_failures(self, payload: bytes, contract: tuple[str, ...]) -> tuple[str, ...]:
        """See `Rules`."""
        rows = len(read(payload))
        return tuple(
            f"Contract validation failed: {rule.replace('>=', '<')}"
            for rule in contract
            if rows < _limit(rule)
        )


class LedgerSite:
    """A peer's projects: the rows that it learned itself, and what the federation has.

    Attributes:
        rows: of the local project; they survive crashes, for a learn is acknowledged once saved.
        federated: the federated project as bytes; None before it was built, and after a crash.
        doubled: rows that a federated project ever had twice.
    """

    def __init__(self, uuid: str) -> None:
        self._uuid = uuid
        self.rows: list[str] = []
        self.federated: bytes | None = None
        self.doubled: set[str] = set()
        self._learned = 0
        self._forgotten = 0

    def learn(self, count: int) -> None:
        """Learn so many rows that nobody ever had."""
        first = self._learned
        self._learned += count
        self.rows += [f"{self._uuid[-4:]}.{number}" for number in range(first, self._learned)]

    def forget(self, count: int) -> None:
        """Forget the oldest rows."""
        count = min(count, len(self.rows))
        del self.rows[:count]
        self._forgotten += count

    def finish(self) -> None:
        """Change once more, by so much that all changes so far may be shared."""
        self.learn(3 * LEAST)
        self.forget(LEAST)

    def crash(self) -> None:
        """Lose what is only in memory."""
        self.federated = None

    def local(self) -> Local:
        """Return the local project as it is now."""
        version = f"1-{self._learned + self._forgotten}"
        return Local(
            version=version,
            rows=len(self.rows),
            attrs=ATTRS,
            schema_hash=hashlib.sha256(b"ledger").hexdigest(),
            learned=self._learned,
            forgotten=self._forgotten,
            provenance=(Leaf(self._uuid, version, len(self.rows)),),
            payload=write(self.rows),
        )

    async def freeze(self) -> Local:
        """See `Home`."""
        return self.local()

    async def rebuild(self, parts: Rebuild) -> str:
        """See `Home`."""
        rows = [row for part in parts.contributions for row in read(part.payload)]
        self.doubled |= {row for row, count in Counter(rows).items() if count > 1}
        self.federated = write(rows)
        return f"#peers:{parts.remote_peers}"

    async def explore(self, question: Explore) -> object:
        """See `Home`; the only question is for the number of rows."""
        if question.metric != "count":
            raise InvalidInput("metric", f"[{question.metric}] cannot be asked")
        return len(read(question.snapshot.payload))


def write(rows: Sequence[str]) -> bytes:
    """Return rows as bytes."""
    return msgspec.json.encode(rows)


def read(payload: bytes) -> list[str]:
    """Return the rows in these bytes.

    Raises:
        CorruptState: they are none.
    """
    try:
        return msgspec.json.decode(payload, type=list[str])
    except msgspec.MsgspecError as error:
        raise CorruptState(f"the ledger cannot be read: {error}") from error


def _limit(rule: str) -> int:
    found = _RULE.fullmatch(rule)
    if found is None:
        raise InvalidInput("contract", f"[{rule}] is no rule of ledgers")
    return int(found[1])
