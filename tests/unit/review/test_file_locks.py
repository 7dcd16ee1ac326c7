from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tally.coordination.shared_file import SharedFile

_VISIT = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("SELECT * FROM meta").fetchall()
db.close()
"""


def test_opening_the_file_once_more_keeps_the_locks_that_this_process_holds_on_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "coordination.db"
    first, second = SharedFile(path, 1.0), SharedFile(path, 1.0)
    first.connection()
    second.connection()
    log = path.with_name(f"{path.name}-wal")
    known = log.stat().st_ino
    # Whoever believes to be the last to close the file deletes its log.
    subprocess.run([sys.executable, "-c", _VISIT, str(path)], check=True)
    assert log.stat().st_ino == known
    for opened in (first, second):
        opened.close()
    assert path.stat().st_mode & 0o077 == 0
