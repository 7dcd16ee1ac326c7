"""What docs/federation.md shows is what happens, with three servers and a real broker."""

from __future__ import annotations

import shutil
import subprocess
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docs.examples import (
    IRIS,
    ROOT,
    Block,
    Reader,
    blocks,
    clean_environment,
    differs,
    free_port,
    served,
    symetry,
)

if TYPE_CHECKING:
    from tests.conftest import Server

PAGE = ROOT / "docs" / "federation.md"
SITES = {"north": 5001, "south": 5002, "lab": 5003}
pytestmark = pytest.mark.timeout(600)  # each command of the page is a process


def test_what_the_page_shows_is_what_happens(
    nats_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(IRIS, tmp_path / "iris.csv")
    env = {**clean_environment(), "RTLM_OPTION_SML_FED_ALLOW_SECOND_SCHEDULE": "1"}
    ports = {name: free_port() for name in SITES}
    # A minute is long for a test, and others may have a federation of flowers at this broker.
    changes = {"every m1": "every s1", "nats://127.0.0.1:4222": nats_server.url}
    ours = uuid.uuid4().hex[:8]
    names = ("name flowers", "federation flowers", '"stones', '"trees')
    changes |= {name: f"{name}{ours}" for name in names}
    changes |= {
        f"http://127.0.0.1:{SITES[name]}": f"http://127.0.0.1:{ports[name]}" for name in SITES
    }
    reader = Reader(tmp_path, env, symetry())
    with ExitStack() as opened:
        for name, port in ports.items():
            opened.enter_context(served(tmp_path, env, port, "--data-dir", name))
        failures = _differences(reader, changes, monkeypatch)
        for name in reversed(SITES):
            reader.shell(f"{name}; symetry DELETE /projects/study")
    assert not failures, "\n".join(failures)


def _differences(
    reader: Reader, changes: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Return what the page shows and does not happen, up to a command that does not end."""

    def changed(text: str) -> str:
        for old, new in changes.items():
            text = text.replace(old, new)
        return text

    failures: list[str] = []
    for block in blocks(PAGE.read_text()):
        if block.kind == "python":
            for name, value in reader.exported().items():
                if name.startswith("TALLY_"):
                    monkeypatch.setenv(name, value)
            if difference := reader.python(Block(block.kind, changed(block.text), block.line)):
                failures.append(difference)
            continue
        for command, shown in block.commands():
            try:
                printed = reader.shell(changed(command))
            except subprocess.TimeoutExpired:
                return [*failures, f"line {block.line}, {command}\nit does not end"]
            if difference := differs(changed(shown), printed):
                failures.append(f"line {block.line}, {command}\n{difference}")
    return failures
