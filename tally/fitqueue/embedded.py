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

import structlog

from tally.coordination.boot import boot_id
from tally.errors import ConfigurationError, QueueUnavailable
from tally.fitqueue.base import Ticket
from tally.ids import FitId

T = TypeVar("T")

_log = structlog.get_logger()

_POLL_S = 0.05
_DEDUP_S = 120.0
_BUSY_TIMEOUT_S = 5.0
_FORMAT = 1
_APPLICATION_ID = 0x54414C51  # "TALQ"; tells our file from another program's

_SCHEMA = (
    "CREATE TABLE tickets (id INTEGER PRIMARY KEY AUTOINCREMENT, fit TEXT NOT NULL,"
    " due REAL NOT NULL, boot TEXT NOT NULL, deliveries INTEGER NOT NULL DEFAULT 0)",
    "CREATE TABLE published (fit TEXT NOT NULL, attempt INTEGER NOT NULL,"
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
            self._connection = _open(path)
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
            if (ticket := await self._take_one()) is not None:
                return ticket
            left = deadline - self._clock()
            if left <= 0:
                return None
            try:
                async with asyncio.timeout(min(_POLL_S, left)):
                    await self._arrived.wait()
            except TimeoutError:
                continue

    async def _take_one(self) -> EmbeddedTicket | None:
        taking = asyncio.ensure_future(self._in_thread(self._next))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            # The transaction cannot be called back. What it took for nobody is put back, or it
            # would lie there until redelivery.
            with contextlib.suppress(QueueUnavailable):
                if (ticket := await taking) is not None:
                    await ticket.again(0)
            raise

    def _next(self) -> EmbeddedTicket | None:
        # Looking first costs no lock, and most looks of an idle worker find nothing.
        return self._transaction(self._take_due) if self._find_due() else None

    def _find_due(self) -> tuple[int, str, int] | None:
        found: tuple[int, str, int] | None = self._connection.execute(
            "SELECT id, fit, deliveries FROM tickets WHERE due <= ? OR boot <> ?"
            " ORDER BY id LIMIT 1",
            (self._clock(), self._boot),
        ).fetchone()
        return found

    def _take_due(self) -> EmbeddedTicket | None:
        if (found := self._find_due()) is None:
            return None
        number, fit, deliveries = found
        self._connection.execute(
            "UPDATE tickets SET due = ?, boot = ?, deliveries = ? WHERE id = ?",
            (self._clock() + self._redeliver_after_s, self._boot, deliveries + 1, number),
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
        return await self._in_thread(lambda: self._transaction(run))

    async def _in_thread(self, job: Callable[[], T]) -> T:
        if self._closed:
            raise QueueUnavailable("the fit queue is closed")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, job)
        except sqlite3.Error as error:
            raise QueueUnavailable(f"the fit queue {self._path.name} failed: {error}") from error

    def _transaction(self, run: Callable[[], T]) -> T:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            result = run()
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        return result


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
    try:
        await call
    except QueueUnavailable as error:
        _log.info("the fit queue was not told", reason=str(error))


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    try:
        _enter_wal_mode(connection)
        # Not FULL: the ledger is the promise, and the reconciler replaces lost tickets.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("BEGIN IMMEDIATE")
        _prepare(connection, path)
        connection.execute("COMMIT")
    except BaseException:
        connection.close()  # and with it the transaction
        raise
    return connection


def _enter_wal_mode(connection: sqlite3.Connection) -> None:
    give_up = time.monotonic() + _BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            # Where two enter it at once, SQLite refuses one of them without the usual wait.
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
        else:
            return


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application == 0 and not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        for statement in _SCHEMA:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {_FORMAT}")
    elif application != _APPLICATION_ID:
        raise ConfigurationError(f"{path} is not a fit queue of Tally")
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found != _FORMAT:
        raise ConfigurationError(f"{path} has format {found}; this Tally reads {_FORMAT}")
