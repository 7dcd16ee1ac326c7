"""The embedded registry as one SQLite file: keys, an event log, leases. Synchronous.

Several processes of one machine share the file. Each change takes the next revision and stands
in the log, deletes too, so that a reader who knows revision `n` asks for what came after it. The
log is cut from the front; a reader who is behind the cut lists again.

Durability. Changes of keys are committed with `synchronous=FULL`: once told, they outlive a
power cut. Leases, and puts of keys under them, are committed with `NORMAL`, which spares an
fsync for every renewal and for every worker that tells what it serves: what a killed process
wrote stays with the operating system, and a power cut ends every lease and its keys anyway,
because the machine comes back with another boot id.

Source for WAL and its durability: https://sqlite.org/wal.html, https://sqlite.org/pragma.html.
"""

from __future__ import annotations

import math
import secrets
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from tally.clock import Clock
from tally.coordination.base import Deleted, KeyValue, Put, Snapshot
from tally.coordination.feed import Batch, HistoryGone, Position
from tally.coordination.shared_file import SharedFile
from tally.errors import Conflict

LOG_BYTES = 64 * 1024 * 1024
COMPACT_EVERY = 64
BATCH_ROWS = 512
BATCH_BYTES = 4 * 1024 * 1024


class Registry:
    """All that one process does to the file. Use it from one thread.

    Args:
        path: of the file; created when missing, its folder too.
        clock: gives the deadlines of leases; the same for all processes of the machine, as
            `CLOCK_MONOTONIC` is. It stands still while the machine sleeps, as its owners do.
        boot_id: of the machine; a lease of another boot has ended.
        log_revisions: how many changes a reader may be behind before it must list again.
        busy_timeout_s: how long to wait for another process's write.
    """

    def __init__(
        self, path: Path, *, clock: Clock, boot_id: str, log_revisions: int, busy_timeout_s: float
    ) -> None:
        self._file = SharedFile(path, busy_timeout_s)
        self._clock = clock
        self._boot_id = boot_id
        self._log_revisions = log_revisions
        # What `moved` has seen: the file's version, the history's head, the first lease to end.
        self._seen: tuple[object, Position] | None = None
        self._next_deadline = -math.inf

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def get(self, key: str) -> KeyValue | None:
        """Return a key whose lease, if it has one, has not ended."""
        with self._reading() as db:
            row = db.execute("SELECT key, value, revision FROM keys WHERE key = ?", (key,))
            return next((KeyValue(*found) for found in row), None)

    def snapshot(self, prefix: str) -> tuple[Snapshot, Position]:
        """Return all keys under a prefix and the point at which they were so."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT key, value, revision FROM keys WHERE substr(key, 1, ?) = ? ORDER BY key",
                (len(prefix), prefix),
            )
            items = {row[0]: KeyValue(*row) for row in rows}
            position = self._head(db)
            return Snapshot(position.incarnation, items), position

    def put(self, key: str, value: bytes, lease_id: int | None) -> int:
        """Set a key; `Conflict` where the lease has ended."""
        with self._writing(durable=lease_id is None) as db:
            if lease_id is not None:
                held = db.execute("SELECT 1 FROM leases WHERE id = ?", (lease_id,)).fetchone()
                if held is None:
                    raise Conflict(f"cannot put {key!r}: its lease has ended")
            return self._set(db, key, value, lease_id)

    def replace(self, key: str, value: bytes, expected_revision: int) -> bool:
        """Set a key if its revision is the expected one, 0 meaning that there is none."""
        with self._writing() as db:
            row = db.execute("SELECT revision FROM keys WHERE key = ?", (key,)).fetchone()
            matches: bool = (row[0] if row else 0) == expected_revision
            if matches:
                self._set(db, key, value, None)
            return matches

    def delete(self, key: str, expected_revision: int | None) -> bool:
        """Delete a key if it is there, with that revision if one is given; tell whether it was."""
        with self._writing() as db:
            row = db.execute("SELECT revision FROM keys WHERE key = ?", (key,)).fetchone()
            if row is None or expected_revision not in (None, row[0]):
                return False
            self._remove(db, "SELECT key FROM keys WHERE key = ?", (key,))
            return True

    def grant(self, ttl_s: float) -> int:
        """Create a lease and return its id."""
        lease_id = secrets.randbits(62) + 1
        with self._writing(durable=False) as db:
            deadline = self._clock.monotonic() + ttl_s
            self._next_deadline = min(self._next_deadline, deadline)
            row = (lease_id, self._boot_id, deadline, ttl_s)
            db.execute("INSERT INTO leases VALUES (?, ?, ?, ?)", row)
        return lease_id

    def renew(self, lease_id: int) -> bool:
        """Extend a lease by its whole time to live; False where it has ended."""
        with self._writing(durable=False) as db:
            changed = db.execute(
                "UPDATE leases SET deadline = ? + ttl WHERE id = ?",
                (self._clock.monotonic(), lease_id),
            )
            return changed.rowcount == 1

    def revoke(self, lease_id: int) -> None:
        """End a lease and its keys now."""
        with self._writing() as db:
            self._end(db, [lease_id])

    def head(self) -> Position:
        """Return the present point of the history, after ending what is due."""
        with self._reading() as db:
            return self._head(db)

    def moved(self) -> Collection[str] | None:
        """Return the keys that changed since the last call, None where that cannot be told.

        Cheap enough to ask often. What this process changed itself may be told later.
        """
        with self._file.translated():
            version = self._file.version()
            same_file = self._seen is not None and self._seen[0] == version
            if same_file and self._clock.monotonic() < self._next_deadline:
                return ()
            with self._reading() as db:
                head = self._head(db)
                keys = self._changed(db, head)
                deadline = db.execute("SELECT min(deadline) FROM leases").fetchone()[0]
            self._next_deadline = math.inf if deadline is None else deadline
            # The version is of before the look: a change right after it is told next time.
            self._seen = version, head
            return keys

    def changes(self, prefix: str, since: Position) -> Batch:
        """Return the next changes after a position; the batch has a bound, so ask again.

        Raises:
            HistoryGone: the log was cut beyond the position, or the file is another one.
        """
        with self._reading() as db:
            head = self._head(db)
            oldest = db.execute("SELECT min(revision) FROM log").fetchone()[0] or head.revision + 1
            same = head.incarnation == since.incarnation
            if not same or not oldest - 1 <= since.revision <= head.revision:
                raise HistoryGone
            rows = db.execute(
                "SELECT revision, key, value FROM log WHERE revision > ? ORDER BY revision LIMIT ?",
                (since.revision, BATCH_ROWS),
            )
            changes: list[Put | Deleted] = []
            revision, size_bytes = since.revision, 0
            for revision, key, value in rows:
                if key.startswith(prefix):
                    put = value is not None
                    changes.append(Put(KeyValue(key, value, revision)) if put else Deleted(key))
                    size_bytes += len(value or b"")
                if size_bytes > BATCH_BYTES:
                    break
            return Batch(tuple(changes), Position(head.incarnation, revision))

    # --- inside a transaction ---------------------------------------------------------------

    def _changed(self, db: sqlite3.Connection, head: Position) -> Collection[str] | None:
        seen = self._seen[1] if self._seen else None
        if seen is None or seen.incarnation != head.incarnation or seen.revision > head.revision:
            return None
        if head.revision - seen.revision > BATCH_ROWS:
            return None
        # What was cut from the log meanwhile nobody is told of, and a watch finds that out.
        oldest = db.execute("SELECT min(revision) FROM log").fetchone()[0] or head.revision + 1
        if seen.revision < oldest - 1:
            return None
        rows = db.execute("SELECT key FROM log WHERE revision > ?", (seen.revision,))
        return {key for (key,) in rows}

    def _head(self, db: sqlite3.Connection) -> Position:
        revision = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'log'").fetchone()
        incarnation = db.execute("SELECT incarnation FROM meta").fetchone()[0]
        position = Position(incarnation, revision[0] if revision else 0)
        self._file.remember(position)
        return position

    def _set(self, db: sqlite3.Connection, key: str, value: bytes, lease_id: int | None) -> int:
        revision = self._log(db, key, value)
        row = (key, value, revision, lease_id)
        db.execute("INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?)", row)
        return revision

    def _remove(self, db: sqlite3.Connection, keys: str, arguments: tuple[str | int]) -> None:
        for (key,) in db.execute(keys, arguments).fetchall():
            db.execute("DELETE FROM keys WHERE key = ?", (key,))
            self._log(db, key, None)

    def _log(self, db: sqlite3.Connection, key: str, value: bytes | None) -> int:
        revision = db.execute("INSERT INTO log (key, value) VALUES (?, ?)", (key, value)).lastrowid
        assert revision is not None
        if revision % COMPACT_EVERY == 0:
            db.execute("DELETE FROM log WHERE revision <= ?", (revision - self._log_revisions,))
            db.execute(
                "DELETE FROM log WHERE revision <= (SELECT max(revision) FROM (SELECT revision,"
                " sum(length(value)) OVER (ORDER BY revision DESC) AS size FROM log)"
                " WHERE size > ?)",
                (LOG_BYTES,),
            )
        return revision

    def _overdue(self, db: sqlite3.Connection) -> list[int]:
        rows = db.execute(
            "SELECT id FROM leases WHERE deadline <= ? OR boot <> ?",
            (self._clock.monotonic(), self._boot_id),
        )
        return [lease_id for (lease_id,) in rows]

    def _end(self, db: sqlite3.Connection, leases: list[int]) -> None:
        for lease_id in leases:
            self._remove(db, "SELECT key FROM keys WHERE lease = ? ORDER BY key", (lease_id,))
            db.execute("DELETE FROM leases WHERE id = ?", (lease_id,))

    # --- transactions -----------------------------------------------------------------------

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Give a consistent view in which no lease is overdue."""
        with self._file.translated():
            db = self._file.connection()
            if self._overdue(db):
                with self._writing():
                    pass  # which ends them
            db.execute("BEGIN")
            try:
                yield db
            finally:
                db.execute("ROLLBACK")

    @contextmanager
    def _writing(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """Hold the one write lock, with every overdue lease ended first."""
        with self._file.translated():
            db = self._file.connection()
            db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            # IMMEDIATE: the lock is taken before anything is read, so that what was read holds.
            db.execute("BEGIN IMMEDIATE")
            try:
                # Under the lock: nobody can put under a lease, or renew one, that is overdue.
                self._end(db, self._overdue(db))
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
