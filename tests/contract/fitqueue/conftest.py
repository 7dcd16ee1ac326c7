"""The contract of `tally.fitqueue.base`, over every backend."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tally.fitqueue.base import FitQueue
from tally.fitqueue.open import open_queue

if TYPE_CHECKING:
    from tests.conftest import Server

CHILD = Path(__file__).with_name("child.py")
REDELIVER_AFTER_S = 1.0


@pytest.fixture(params=["embedded", "nats"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of an empty queue that any process can open."""
    if request.param == "embedded":
        return f"sqlite:///{tmp_path}/queue.db"
    server: Server = request.getfixturevalue("nats_server")
    return f"{server.url}/{uuid.uuid4().hex}"


OpenClient = Callable[[], FitQueue]


@pytest.fixture
async def open_client(url: str) -> AsyncIterator[OpenClient]:
    """Give a function that opens one more client, as another process would."""
    opened: list[FitQueue] = []

    def open_one() -> FitQueue:
        opened.append(open_queue(url, redeliver_after_s=REDELIVER_AFTER_S))
        return opened[-1]

    yield open_one
    for queue in opened:
        await queue.close()


@pytest.fixture
def queue(open_client: OpenClient) -> FitQueue:
    return open_client()


@pytest.fixture
def other(open_client: OpenClient) -> FitQueue:
    """A second client of the same queue."""
    return open_client()


StartTaker = Callable[[str], Awaitable[asyncio.subprocess.Process]]


@pytest.fixture
async def start_taker(url: str) -> AsyncIterator[StartTaker]:
    """Give a function that starts `child.py`, a taker in a process of its own."""
    children: list[asyncio.subprocess.Process] = []

    async def start(command: str) -> asyncio.subprocess.Process:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            str(CHILD),
            url,
            str(REDELIVER_AFTER_S),
            command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        children.append(child)
        return child

    yield start
    for child in children:
        if child.returncode is None:
            child.kill()
        await child.communicate()
