"""Real etcd servers that a test may kill, empty, restore and cut off."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

SERVERS = Path(__file__).parents[2] / "servers" / "servers.py"


class Etcd:
    """One server of this test's own.

    Args:
        folder: of its data and certificates.
        options: of `servers.py start`.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder = folder
        self._options = options
        self.home = folder / "etcd"
        self.endpoint = ""

    def start(self) -> None:
        told = self._call("start", "--dir", str(self._folder), *self._options)
        variables = dict(line.split("=", 1) for line in told.split())
        self.endpoint = variables["TALLY_TEST_ETCD"]

    def kill(self) -> None:
        self._call("stop", "--dir", str(self._folder), "--kill")

    def empty(self) -> None:
        shutil.rmtree(self.home / "node1")

    def save(self) -> None:
        shutil.copytree(self.home / "node1", self.home / "saved")

    def restore(self) -> None:
        self.empty()
        shutil.copytree(self.home / "saved", self.home / "node1")

    def add_arguments(self, *arguments: str) -> None:
        """Restart with more arguments for etcd itself."""
        self.kill()
        state = self.home / "state.json"
        content = json.loads(state.read_text())
        content["nodes"][0]["argv"] += arguments
        state.write_text(json.dumps(content))
        self.start()

    def _call(self, command: str, *arguments: str) -> str:
        line = [sys.executable, str(SERVERS), command, "etcd", *arguments]
        done = subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True, timeout=60)
        return done.stdout


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[Etcd]:
    server = Etcd(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def tls_etcd(tmp_path: Path) -> Iterator[Etcd]:
    server = Etcd(tmp_path, "--tls")
    server.start()
    yield server
    server.kill()


class Link:
    """A wire between a client and a server, which a test may cut or let fall silent."""

    def __init__(self, target: str) -> None:
        self._host, _, self._port = target.partition(":")
        self._open = asyncio.Event()
        self._open.set()
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.endpoint = ""

    async def mend(self) -> None:
        """Accept connections, at the address of before."""
        port = int(self.endpoint.partition(":")[2] or 0)
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.endpoint = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def cut(self) -> None:
        """End all connections and refuse new ones."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.cancel()
        while self._connections:
            await asyncio.wait(self._connections)

    def fall_silent(self) -> None:
        """Lose all bytes on their way, as a firewall does that forgot the connection."""
        self._open.clear()

    def speak_again(self) -> None:
        self._open.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        there = None
        try:
            back, there = await asyncio.open_connection(self._host, int(self._port))
            async with asyncio.TaskGroup() as group:
                group.create_task(self._copy(reader, there))
                group.create_task(self._copy(back, writer))
        except (OSError, ExceptionGroup, asyncio.CancelledError):
            pass  # either side may go at any time; that is what this class is for
        finally:
            for end in (writer, there):
                if end is not None:
                    end.close()
                    with contextlib.suppress(OSError):
                        await end.wait_closed()
            self._connections.discard(task)

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            await self._open.wait()
            target.write(data)
            await target.drain()
        raise ConnectionResetError


@pytest.fixture
async def link(etcd: Etcd) -> AsyncIterator[Link]:
    wire = Link(etcd.endpoint)
    await wire.mend()
    yield wire
    await wire.cut()
