"""The embedded fit queue: one SQLite file, shared by the processes of one machine.

Times are the machine's monotonic clock, which all its processes share until it starts again;
after a restart (another boot id) every ticket is due at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from tally.coordination.boot import boot_id
from tally.errors import ConfigurationError, QueueUnavailable
from tally.fitqueue.base import Ticket
from tally.ids import FitId

T = TypeVar("T")

_POLL_S = 0.05
_DEDUP_S = 120.0
_BUSY_TIMEOUT_S = 5.0

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS tickets (id INTEGER PRIMARY KEY AUTOINCREMENT, fit TEXT NOT NULL,"
    " due REAL NOT NULL, boot TEXT NOT NULL, deliveries INTEGER NOT NULL DEFAULT 0)",
    "CREATE TABLE IF NOT EXISTS published (fit TEXT NOT NULL, attempt INTEGER NOT NULL,"
    " at REAL NOT NULL, boot TEXT NOT NULL, PRIMARY KEY (fit, attempt))",
)


class EmbeddedQueue:
    """See `tally.fitqueue.base.FitQueue` for what the methods promise.

    Args:
        path: the file, made with its folder if it is missing.
        redeliver_after_s: how long a ticket may be neither renewed nor done.
        clock: seconds that all processes of this machine share.
    """

    def __init__(
        self,
        path: Path,
        *,
        redeliver_after_s: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._redeliver_after_s = redeliver_after_s
        self._clock = clock
        self._boot = boot_id()
        self._arrived = asyncio.Event()
        self._closed = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("PRAGMA journal_mode = WAL")
            # Not FULL: the ledger is the promise, and the reconciler replaces lost tickets.
            self._connection.execute("PRAGMA synchronous = NORMAL")
            for statement in _SCHEMA:
                self._connection.execute(statement)
        except (sqlite3.Error, OSError) as error:
            raise ConfigurationError(f"cannot open the fit queue {path}: {error}") from error
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="fitqueue")

    async def publish(self, fit: FitId, attempt: int) -> None:
        """Add a ticket; the same fit and attempt within two minutes is added once."""

        def run() -> None:
            now = self._clock()
            self._connection.execute(
                "DELETE FROM published WHERE boot <> ? OR at < ?", (self._boot, now - _DEDUP_S)
            )
            added = self._connection.execute(
                "INSERT OR IGNORE INTO published VALUES (?, ?, ?, ?)",
                (fit, attempt, now, self._boot),
            )
            if added.rowcount:
                self._connection.execute(
                    "INSERT INTO tickets (fit, due, boot) VALUES (?, ?, ?)", (fit, now, self._boot)
                )

        await self._transact(run)
        self._arrived.set()

    async def take(self, wait_s: float) -> Ticket | None:
        """Return the next ticket, None if none came within `wait_s`."""
        deadline = self._clock() + wait_s
        while True:
            # Cleared before looking, so that a ticket published meanwhile is not slept over.
            self._arrived.clear()
            if (ticket := await self._transact(self._next)) is not None:
                return ticket
            left = deadline - self._clock()
            if left <= 0:
                return None
            try:
                async with asyncio.timeout(min(_POLL_S, left)):
                    await self._arrived.wait()
            except TimeoutError:
                continue

    def _next(self) -> EmbeddedTicket | None:
        now = self._clock()
        found = self._connection.execute(
            "SELECT id, fit, deliveries FROM tickets WHERE due <= ? OR boot <> ?"
            " ORDER BY id LIMIT 1",
            (now, self._boot),
        ).fetchone()
        if found is None:
            return None
        number, fit, deliveries = found
        self._connection.execute(
            "UPDATE tickets SET due = ?, boot = ?, deliveries = ? WHERE id = ?",
            (now + self._redeliver_after_s, self._boot, deliveries + 1, number),
        )
        return EmbeddedTicket(self, number, FitId(fit), deliveries + 1)

    async def depth(self) -> int:
        """Return how many tickets are waiting or being worked on."""
        (depth,) = await self._transact(
            lambda: self._connection.execute("SELECT count(*) FROM tickets").fetchone()
        )
        return int(depth)

    async def ping(self) -> None:
        """Return when the queue answers."""
        await self.depth()

    async def close(self) -> None:
        """Release the thread and the file."""
        if not self._closed:
            self._closed = True
            await asyncio.to_thread(self._thread.shutdown)
            self._connection.close()

    async def postpone(self, ticket: EmbeddedTicket, delay_s: float) -> None:
        """Make a ticket due after a delay, unless it was handed out again since."""

        def run() -> None:
            self._connection.execute(
                "UPDATE tickets SET due = ?, boot = ? WHERE id = ? AND deliveries = ?",
                (self._clock() + delay_s, self._boot, ticket.number, ticket.deliveries),
            )

        await self._transact(run)

    async def renew(self, ticket: EmbeddedTicket) -> None:
        """Give a ticket's holder the full time again."""
        await self.postpone(ticket, self._redeliver_after_s)

    async def remove(self, ticket: EmbeddedTicket) -> None:
        """Delete a ticket."""

        def run() -> None:
            self._connection.execute("DELETE FROM tickets WHERE id = ?", (ticket.number,))

        await self._transact(run)

    async def _transact(self, run: Callable[[], T]) -> T:
        if self._closed:
            raise QueueUnavailable("the fit queue is closed")

        def transaction() -> T:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                result = run()
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            return result

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, transaction)
        except sqlite3.Error as error:
            raise QueueUnavailable(f"the fit queue {self._path.name} failed: {error}") from error


class EmbeddedTicket:
    """One delivery of a ticket; see `tally.fitqueue.base.Ticket`."""

    def __init__(self, queue: EmbeddedQueue, number: int, fit: FitId, deliveries: int) -> None:
        self._queue = queue
        self.number = number
        self._fit = fit
        self._deliveries = deliveries

    @property
    def fit(self) -> FitId:
        """The fit that the ledger is to be asked about."""
        return self._fit

    @property
    def deliveries(self) -> int:
        """How often this ticket has been handed out, this time included."""
        return self._deliveries

    async def renew(self) -> None:
        """Say that the work goes on."""
        await _hint(self._queue.renew(self))

    async def done(self) -> None:
        """Remove the ticket."""
        await _hint(self._queue.remove(self))

    async def again(self, delay_s: float) -> None:
        """Hand the ticket out once more, after a while."""
        await _hint(self._queue.postpone(self, delay_s))


async def _hint(call: Awaitable[None]) -> None:
    # The ledger decides; a queue out of reach only means that the ticket comes once more.
    with contextlib.suppress(QueueUnavailable):
        await call
