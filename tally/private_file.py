"""Making files that only their owner can read: a database, or a secret."""

from __future__ import annotations

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path


def create(path: Path) -> None:
    """Make an empty file that only its owner can read, if there is none.

    Never by opening `path` itself: closing any descriptor of a file releases all locks that
    SQLite holds on it in this process, and another process may then delete the log.
    See https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_
    """
    if path.exists():
        return
    descriptor, made = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(descriptor)
    try:
        # Another process may be quicker, or there are no hard links: then SQLite makes the file.
        with suppress(OSError):
            os.link(made, path)
    finally:
        os.unlink(made)


def write_once(path: Path, text: str) -> bool:
    """Write a file that only its owner can read, unless there is one; tell whether this call did.

    Of several processes that write at once one succeeds; the others, too, return when its text
    is there, and whole.
    """
    if path.exists():
        return False
    # Written whole under another name first: nobody may read half of a secret.
    draft = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        return False
    else:
        _sync_folder(path.parent)
        return True
    finally:
        draft.unlink()


def _sync_folder(folder: Path) -> None:
    """Put the names of a folder's files on the disk, so that a crash does not lose a new one."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
