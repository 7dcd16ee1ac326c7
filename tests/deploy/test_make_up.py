"""`make up` as a person runs it, from the first line to Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deploy.stack import ROOT

WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Running:
    """`make up` in a process group of its own, as a terminal starts it."""

    process: subprocess.Popen[bytes]
    port: int
    screen: Path

    def wait_for(self, text: str) -> None:
        """Wait until `text` is on the screen."""
        deadline = time.monotonic() + WAIT_S
        while text not in self.screen.read_text():
            assert self.process.poll() is None, self.screen.read_text()
            assert time.monotonic() < deadline, self.screen.read_text()
            time.sleep(0.05)

    def interrupt(self) -> None:
        """Do what a terminal does at Ctrl-C: tell every process of the group."""
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(WAIT_S)


@pytest.fixture
def make_up(tmp_path: Path) -> Iterator[Running]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # The environment that runs the tests, taken as installed.
    venv = Path(sys.prefix)
    command = ["make", "up", f"VENV={venv}", "-o", f"{venv}/.installed"]
    settings = {"TALLY_PORT": str(port), "TALLY_DATA_DIR": str(tmp_path / "data")}
    screen = tmp_path / "screen"
    with screen.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **settings},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Running(process, port, screen)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(WAIT_S)


def test_make_up_shows_a_forecast_goes_on_serving_and_ends_quietly(make_up: Running) -> None:
    make_up.wait_for("/api/forecast/500")
    assert "█" in make_up.screen.read_text()

    url = f"http://127.0.0.1:{make_up.port}/api/forecast/500"
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert len(json.load(answer)["data"]) == 500

    make_up.interrupt()
    assert "Traceback" not in make_up.screen.read_text()
