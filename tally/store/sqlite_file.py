"""Our SQLite file: opened so that a commit which returned is on disk, and told from others."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tally import private_file
from tally.errors import ConfigurationError, CorruptState, OutcomeUnknown, StoreUnavailable

_FORMAT = 1
_APPLICATION_ID = 0x54414C59  # "TALY"
_WAL_KEPT_BYTES = 64 * 2**20  # what a large blob leaves of the log beside the file

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    partition TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, token TEXT NOT NULL,
    PRIMARY KEY (partition, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS chunks (
    blob TEXT NOT NULL, part INTEGER NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (blob, part)
);
"""


def open_file(path: Path, busy_timeout_s: float) -> tuple[sqlite3.Connection, sqlite3.Connection]:
    """Return a connection to write and one to read, the file made if it is missing.

    Raises:
        ConfigurationError: it cannot be opened, is damaged, or is another program's.
    """
    opened: list[sqlite3.Connection] = []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        private_file.create(path)
        for _ in range(2):
            opened.append(_connect(path, busy_timeout_s))
            _refuse_foreign(opened[-1], path)
            _use_wal(opened[-1], path, busy_timeout_s)
        _make_tables(opened[0])
    except (sqlite3.Error, OSError) as error:
        close_all(opened)
        if _is_damage(error):
            raise ConfigurationError(
                f"the store {path} is no SQLite database, or is damaged ({error}): name another "
                "file, or restore it from a copy"
            ) from error
        raise ConfigurationError(f"cannot open the store {path}: {error}") from error
    except BaseException:
        close_all(opened)
        raise
    writing, reading = opened
    return writing, reading


def identity(path: Path) -> tuple[int, int] | None:
    """Return which file is at a path now, None if there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def close_all(connections: list[sqlite3.Connection]) -> None:
    """Close connections."""
    for connection in connections:
        connection.close()


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Hold the write lock for a block: all of it is on disk afterwards, or none of it.

    Raises:
        OutcomeUnknown: the disk failed in the middle of the commit. What it has of it decides
            when the file is opened next.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        _commit(connection)
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def meaning(error: sqlite3.Error, path: Path) -> Exception:
    """Return what an error of a statement means to the user of the store."""
    if _is_damage(error):
        return CorruptState(f"the store {path} is damaged: {error}")
    if isinstance(error, sqlite3.OperationalError):
        # A full disk, a lock held too long, a lost file: the transaction was rolled back.
        return StoreUnavailable(f"the store {path} failed: {error}")
    return error


def _commit(connection: sqlite3.Connection) -> None:
    try:
        connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_IOERR:
            raise OutcomeUnknown(f"the store's disk failed during a commit: {error}") from error
        raise


def _connect(path: Path, busy_timeout_s: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_KEPT_BYTES}")
    return connection


def _refuse_foreign(connection: sqlite3.Connection, path: Path) -> None:
    """Check whose file it is, before anything is written to it."""
    connection.execute("BEGIN")  # one snapshot: another process may be making the tables
    try:
        (owner,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    finally:
        connection.execute("ROLLBACK")
    if tables and owner != _APPLICATION_ID:
        raise ConfigurationError(f"the store {path} is a database of another program")
    if version > _FORMAT:
        raise ConfigurationError(
            f"the store {path} was written by a newer Tally (format {version}, ours {_FORMAT})"
        )


def _use_wal(connection: sqlite3.Connection, path: Path, busy_timeout_s: float) -> None:
    give_up = time.monotonic() + busy_timeout_s
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            break
        except sqlite3.OperationalError as error:
            # Two processes that turn it on at once: SQLite does not wait for this lock.
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
    if mode != "wal":
        raise ConfigurationError(
            f"the store {path} cannot be shared by processes (journal mode {mode}): "
            "put it on a local disk"
        )


def _make_tables(connection: sqlite3.Connection) -> None:
    with transaction(connection):
        for statement in _SCHEMA.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {_FORMAT}")


def _is_damage(error: BaseException) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
