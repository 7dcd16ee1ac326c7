"""A Tally of separate processes on loopback, for as long as a measurement takes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.machine import ROOT
from tally import backends
from tally.coordination.base import Coordinator
from tally.settings import Settings
from tally.wire.messages import NODES, Node

_START_S = 60.0
_STOP_S = 15.0
_SERVERS = ROOT / "tests" / "servers" / "servers.py"


@dataclass(frozen=True)
class Service:
    """A running service.

    Attributes:
        url: of the broker.
        workers: `host:port` of each forecast worker.
        token: that workers want to see.
        settings: to open the same backends.
        pids: of its processes, by what they are.
    """

    url: str
    workers: tuple[str, ...]
    token: str
    settings: Settings
    pids: Mapping[str, Sequence[int]]

    def cpu_s(self, role: str) -> float:
        """Return how long the processes of a role have computed so far; their kernel time too."""
        return sum(map(_cpu_s, self.pids[role]))

    async def fit(self, series: bytes, query: str = "") -> dict[str, Any]:
        """Fit a series, a JSON body; return what the broker answers once it is served."""
        return await asyncio.to_thread(self.post, f"/api/fit_model{query}", series)

    def post(self, path: str, body: bytes) -> dict[str, Any]:
        """Return a JSON answer to a POST."""
        request = urllib.request.Request(self.url + path, body, method="POST")
        with urllib.request.urlopen(request, timeout=120) as response:
            answer: dict[str, Any] = json.load(response)
        return answer

    def get(self, path: str) -> Any:
        """Return a JSON answer to a GET."""
        with urllib.request.urlopen(self.url + path, timeout=30) as response:
            return json.load(response)


@contextlib.asynccontextmanager
async def running(
    workers: int, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Service]:
    """Start a broker, workers and a fit worker; give them once all are registered."""
    with tempfile.TemporaryDirectory(prefix="tally-bench-") as folder:
        port, token = free_port(), secrets.token_urlsafe(16)
        told = {
            "TALLY_DATA_DIR": folder,
            "TALLY_PORT": str(port),
            "TALLY_INTERNAL_TOKEN": token,
            **(settings or {}),
        }
        shared = Settings(**{name.removeprefix("TALLY_").lower(): v for name, v in told.items()})  # type: ignore[arg-type]
        commands = [["broker"], ["model_api", "--role", "fit"]]
        commands += [["model_api", "--role", "serve"]] * workers
        pids: dict[str, list[int]] = {}
        with contextlib.ExitStack() as processes:
            for command in commands:
                pid = processes.enter_context(process([sys.executable, "-m", *command], told))
                pids.setdefault(command[-1], []).append(pid)
            coordinator = backends.coordinator(shared)
            try:
                nodes = await _registered(coordinator, workers)
            finally:
                await coordinator.close()
            service = Service(f"http://127.0.0.1:{port}", nodes, token, shared, pids)
            await wait_until(lambda: _ready(service.url), "the broker is ready")
            yield service


@contextlib.contextmanager
def process(command: list[str], environment: Mapping[str, str] | None = None) -> Iterator[int]:
    """Run a process of ours for a while; give its id."""
    started = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **(environment or {})}, stdin=subprocess.DEVNULL
    )
    try:
        yield started.pid
    finally:
        started.send_signal(signal.SIGTERM)
        try:
            started.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def etcd() -> contextlib.AbstractContextManager[str | None]:
    """Give the URL of an etcd of our own; None where none can be had."""
    return _server("etcd", "etcd://{address}")


def cql() -> contextlib.AbstractContextManager[str | None]:
    """Give the URL of a Cassandra of our own; None where none can be had."""
    return _server("cassandra", "cql://{address}/tally_bench", "--heap=512m")


def nats() -> contextlib.AbstractContextManager[str | None]:
    """Give `host:port` of a NATS of our own; None where none can be had."""
    return _server("nats", "{address}")


@contextlib.contextmanager
def _server(name: str, url: str, *options: str) -> Iterator[str | None]:
    with tempfile.TemporaryDirectory(prefix=f"tally-bench-{name}-") as folder:
        line = [sys.executable, str(_SERVERS)]
        where = [name, "--dir", folder]
        started = subprocess.run([*line, "start", *where, *options], capture_output=True, text=True)
        if started.returncode:
            yield None
            return
        try:
            address = started.stdout.split("\n", 1)[0].partition("=")[2].rpartition("/")[2]
            yield url.format(address=address)
        finally:
            subprocess.run([*line, "stop", *where, "--kill", "--wipe"], check=True)


async def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Return once a condition holds.

    Raises:
        TimeoutError: it did not.
    """
    deadline = time.monotonic() + _START_S
    while not await asyncio.to_thread(condition):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {_START_S:g} s: {what}")
        await asyncio.sleep(0.05)


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _registered(coordinator: Coordinator, workers: int) -> tuple[str, ...]:
    deadline = time.monotonic() + _START_S
    while True:
        snapshot = await coordinator.list(NODES)
        nodes = [msgspec.json.decode(item.value, type=Node) for item in snapshot.items.values()]
        if len(nodes) == workers:
            return tuple(f"{node.host}:{node.port}" for node in nodes)
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(nodes)} of {workers} workers within {_START_S:g} s")
        await asyncio.sleep(0.1)


def _cpu_s(pid: int) -> float:
    # proc(5): the name, in parentheses, may hold anything; utime and stime are fields 14 and 15.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/ready", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False
