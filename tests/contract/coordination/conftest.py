"""The contract of `tally.coordination.base`, over every backend."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tally.coordination.base import Coordinator
from tally.coordination.open import open_coordinator

SERVERS = Path(__file__).parents[2] / "servers" / "servers.py"
CHILD = Path(__file__).with_name("child.py")


@pytest.fixture(scope="session")
def etcd_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("etcd")
    command = [sys.executable, str(SERVERS)]
    where = ["etcd", "--dir", str(folder)]
    told = subprocess.run(
        [*command, "start", *where], check=True, capture_output=True, text=True, timeout=60
    )
    yield "etcd://" + told.stdout.strip().partition("=")[2]
    subprocess.run([*command, "stop", *where, "--kill", "--wipe"], check=True, timeout=60)


@dataclass(frozen=True)
class Backend:
    """One coordinator, empty under its prefix, that any process can open."""

    url: str
    prefix: str


@pytest.fixture(params=["embedded", "etcd"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    if request.param == "embedded":
        return Backend(f"sqlite:///{tmp_path}/coordination.db", "test/")
    return Backend(request.getfixturevalue("etcd_url"), f"{uuid.uuid4().hex}/")


OpenClient = Callable[[], Coordinator]


@pytest.fixture
async def open_client(backend: Backend) -> AsyncIterator[OpenClient]:
    """Give a function that opens one more client, as another process would."""
    opened: list[Coordinator] = []

    def open_one() -> Coordinator:
        opened.append(open_coordinator(backend.url, prefix=backend.prefix))
        return opened[-1]

    yield open_one
    for coordinator in opened:
        await coordinator.close()


@pytest.fixture
def coordinator(open_client: OpenClient) -> Coordinator:
    return open_client()


@pytest.fixture
def other(open_client: OpenClient) -> Coordinator:
    """A second client of the same backend."""
    return open_client()


StartChild = Callable[..., "asyncio.Future[asyncio.subprocess.Process]"]


@pytest.fixture
async def start_child(backend: Backend) -> AsyncIterator[StartChild]:
    """Give a function that starts `child.py COMMAND...` in a process of its own."""
    children: list[asyncio.subprocess.Process] = []

    async def start(*command: str) -> asyncio.subprocess.Process:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            str(CHILD),
            backend.url,
            backend.prefix,
            *command,
            stdout=asyncio.subprocess.PIPE,
        )
        children.append(child)
        return child

    yield lambda *command: asyncio.ensure_future(start(*command))
    for child in children:
        if child.returncode is None:
            child.kill()
        await child.communicate()
