"""What a person reads whose machine cannot install."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.deploy.stack import ROOT

OLD = """#!/bin/sh
[ "$1" = -V ] && echo "Python 3.9.2"
[ "$1" != -c ]
"""
# Debian without python3-venv: makes half an environment, then fails.
WITHOUT_VENV = """#!/bin/sh
[ "$1" = -c ] && exit 0
mkdir -p "$3"
exit 1
"""


def install(folder: Path, python: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "tools" / "install", folder / "venv", "."],
        env={**os.environ, "PYTHON": str(python)},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        (OLD, "error: Tally needs Python 3.11 or newer, {} is Python 3.9.2; "),
        (WITHOUT_VENV, "error: {} cannot make virtual environments; "),
        (None, "error: there is no {}; install Python 3.11 or newer, "),
    ],
    ids=["too old", "without venv", "missing"],
)
def test_one_sentence_tells_what_is_wrong_with_python(
    tmp_path: Path, script: str | None, sentence: str
) -> None:
    python = tmp_path / "python"
    if script is not None:
        python.write_text(script)
        python.chmod(0o755)
    done = install(tmp_path, python)
    assert done.returncode == 1
    assert done.stderr.startswith(sentence.format(python))
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "venv").exists(), "half an environment is left behind"
