"""A wire to the CQL server that loses what a test wants lost."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

import pytest

from tally.store.base import Store
from tally.store.open import open_store

if TYPE_CHECKING:
    from tests.conftest import Server


REGISTER = b"\x0b"  # its opcode, the fifth byte of a frame


class Link:
    """A wire between a client and a server.

    Attributes:
        url: where clients connect.
        carries_requests, carries_answers: false: those bytes are lost on their way.
        delays_registration: a client that asks to be told of events, which the driver's control
            connection does after its login, gets no answer until `flowing` is set.
        registering: set once that has happened.
        busy: a client is connected.
    """

    def __init__(self, target: str) -> None:
        self._host, _, self._port = target.partition(":")
        self._connections: set[asyncio.Task[None]] = set()
        self.carries_requests = True
        self.carries_answers = True
        self.delays_registration = False
        self.registering = asyncio.Event()
        self.flowing = asyncio.Event()
        self.flowing.set()

    @property
    def busy(self) -> bool:
        return bool(self._connections)

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"cql://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def cut(self) -> None:
        """End the connections there are; new ones are carried whole."""
        if ending := list(self._connections):
            for connection in ending:
                connection.cancel()
            await asyncio.wait(ending)
        self.carries_requests = self.carries_answers = True

    async def close(self) -> None:
        self._server.close()
        while self._connections:
            await self.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        # Not at its own end, which a second `cut` may cancel.
        task.add_done_callback(self._connections.discard)
        there = None
        try:
            back, there = await asyncio.open_connection(self._host, int(self._port))
            async with asyncio.TaskGroup() as group:
                group.create_task(self._copy(reader, there, lambda: self.carries_requests))
                group.create_task(self._copy(back, writer, lambda: self.carries_answers))
        except (OSError, ExceptionGroup, asyncio.CancelledError):
            pass  # either side may go at any time; that is what this class is for
        finally:
            for end in (writer, there):
                if end is not None:
                    end.transport.abort()

    async def _copy(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        carried: Callable[[], bool],
    ) -> None:
        while data := await source.read(65536):
            if self.delays_registration and data[4:5] == REGISTER:
                self.flowing.clear()
                self.registering.set()
            await self.flowing.wait()
            if carried():
                target.write(data)
                await target.drain()
        raise ConnectionResetError


@pytest.fixture
async def link(cql_server: Server) -> AsyncIterator[Link]:
    wire = Link(cql_server.hosts[0])
    await wire.open()
    yield wire
    await wire.close()


Open = Callable[[str], Awaitable[Store]]


@pytest.fixture
async def open_at() -> AsyncIterator[Open]:
    """Give a function that opens a store at a URL without a keyspace."""
    opened: list[Store] = []

    async def open_one(url: str) -> Store:
        opened.append(await open_store(f"{url}/integration"))
        return opened[-1]

    yield open_one
    for store in opened:
        await store.close()


@pytest.fixture
def partition() -> str:
    return uuid.uuid4().hex


async def _until(condition: Callable[[], Awaitable[bool]], deadline_s: float = 30) -> None:
    async with asyncio.timeout(deadline_s):
        while not await condition():  # noqa: ASYNC110 - the other side is a server
            await asyncio.sleep(0.02)


Until = Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]


@pytest.fixture
def until() -> Until:
    """Give a function that waits for a condition."""
    return _until
