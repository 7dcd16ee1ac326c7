"""Making a database file that only its owner can read."""

from __future__ import annotations

import os
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
