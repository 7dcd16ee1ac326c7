"""The SQLite file behind the embedded registry: opening it, and noticing that it is another one."""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tally import private_file
from tally.coordination.feed import Position
from tally.errors import ConfigurationError, CoordinationUnavailable

APPLICATION_ID = 0x54434F52  # "TCOR"; tells our file from any other SQLite file
FORMAT = 1

SCHEMA = """
CREATE TABLE meta (incarnation TEXT NOT NULL);
CREATE TABLE leases (
    id INTEGER PRIMARY KEY, boot TEXT NOT NULL, deadline REAL NOT NULL, ttl REAL NOT NULL);
CREATE TABLE keys (
    key TEXT PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL, lease INTEGER
) WITHOUT ROWID;
CREATE INDEX keys_by_lease ON keys (lease) WHERE lease IS NOT NULL;
-- AUTOINCREMENT: a revision is never used again, even when the log was cut to nothing.
CREATE TABLE log (revision INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, value BLOB);
"""


class SharedFile:
    """A connection to the file that stands at a path now.

    A deleted file is created anew, and a replaced one opened: its history has another
    incarnation then, which is how everybody notices.

    Args:
        path: created when missing, its folder too.
        busy_timeout_s: how long to wait for another process's write.
    """

    def __init__(self, path: Path, busy_timeout_s: float) -> None:
        self._path = path
        self._busy_timeout_s = busy_timeout_s
        self._opened: tuple[sqlite3.Connection, tuple[int, int]] | None = None
        self._known = Position("", 0)
        self._times_opened = 0

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        if self._opened is not None:
            connection, _ = self._opened
            self._opened = None
            connection.close()

    def remember(self, position: Position) -> None:
        """Note how far the history has come, to tell an older copy of it later."""
        self._known = position

    def version(self) -> object:
        """Return what changes with every commit of another connection, and with the file."""
        version = self.connection().execute("PRAGMA data_version").fetchone()[0]
        # The version counts within one connection only.
        return self._times_opened, version

    def connection(self) -> sqlite3.Connection:
        """Return a connection to the file at the path, which may be a new one."""
        if self._opened is not None:
            connection, identity = self._opened
            if _identity(self._path) == identity:
                return connection
            self.close()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            private_file.create(self._path)
            before = _identity(self._path)
            connection = sqlite3.connect(
                self._path,
                timeout=self._busy_timeout_s,
                isolation_level=None,
                # Closed by whoever ends the coordinator, after its thread has ended.
                check_same_thread=False,
            )
            try:
                self._prepare(connection)
                opened = _identity(self._path)
            except BaseException:
                connection.close()
                raise
            if opened is not None and opened == before:
                self._opened = connection, opened
                self._times_opened += 1
                return connection
            # Somebody replaced it meanwhile.
            connection.close()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn what the file throws into `CoordinationUnavailable`."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            # A lock that could not be had says nothing about the file; anything else might.
            if not _is_busy(error):
                self.close()
            raise CoordinationUnavailable(f"{self._path}: {error}") from error

    def _prepare(self, db: sqlite3.Connection) -> None:
        self._enter_wal_mode(db)
        db.execute("PRAGMA synchronous = FULL")
        db.execute("BEGIN IMMEDIATE")
        try:
            application = db.execute("PRAGMA application_id").fetchone()[0]
            if application == 0 and not db.execute("SELECT 1 FROM sqlite_master").fetchone():
                for statement in SCHEMA.split(";\n"):
                    db.execute(statement)
                db.execute("INSERT INTO meta VALUES (?)", (uuid.uuid4().hex,))
                db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                db.execute(f"PRAGMA user_version = {FORMAT}")
            elif application != APPLICATION_ID:
                raise ConfigurationError(f"{self._path} is not a coordination file of Tally")
            found = db.execute("PRAGMA user_version").fetchone()[0]
            if found != FORMAT:
                message = f"{self._path} has format {found}; this version of Tally reads {FORMAT}"
                raise ConfigurationError(message)
            self._rename_older_copy(db)
            db.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                db.execute("ROLLBACK")
            raise

    def _enter_wal_mode(self, db: sqlite3.Connection) -> None:
        give_up = time.monotonic() + self._busy_timeout_s
        while True:
            try:
                db.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                # Where two enter it at once, SQLite refuses one of them without the usual wait.
                if not _is_busy(error) or time.monotonic() > give_up:
                    raise
                time.sleep(0.01)
            else:
                return

    def _rename_older_copy(self, db: sqlite3.Connection) -> None:
        """Give the history a new name where it is a restored copy of the one that we knew."""
        db.execute(
            "UPDATE meta SET incarnation = ? WHERE incarnation = ?"
            " AND coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'log'), 0) < ?",
            (uuid.uuid4().hex, self._known.incarnation, self._known.revision),
        )


def _is_busy(error: Exception) -> bool:
    # The lowest byte is the primary code; the others say which kind of busy.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells this file from another at the same path; None if there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
