"""How much memory all bodies together may take, and reading one of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from tally.http_server import Receive
from tally.wire.status import Refused, StatusCode


class Room:
    """Memory for bodies that are being read, verified, passed on, or wait in a job.

    Args:
        size_bytes: of all together.
    """

    def __init__(self, size_bytes: int) -> None:
        self._free_bytes = size_bytes

    @contextmanager
    def place(self, size_bytes: int = 0) -> Iterator[Place]:
        """Give a place for one body, free again after the block.

        Raises:
            Refused: 429, there is no room for a body of this size now.
        """
        place = Place(self)
        try:
            place.grow(size_bytes)
            yield place
        finally:
            place.leave()

    def take(self, size_bytes: int) -> None:
        """Take some of the room.

        Raises:
            Refused: 429, there is not enough now.
        """
        if size_bytes > self._free_bytes:
            raise Refused(
                "Too many bodies are being received; try again", StatusCode.TOO_MANY_REQUESTS
            )
        self._free_bytes -= size_bytes

    def give(self, size_bytes: int) -> None:
        """Give back what was taken."""
        self._free_bytes += size_bytes


class Place:
    """The part of the room that one body has."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._size_bytes = 0

    def grow(self, size_bytes: int) -> None:
        """Take some more; see `Room.take`."""
        self._room.take(size_bytes)
        self._size_bytes += size_bytes

    def leave(self) -> None:
        """Give everything back."""
        self._room.give(self._size_bytes)
        self._size_bytes = 0


class HungUp(Exception):
    """The client went away before the body came to an end."""


async def read_body(
    receive: Receive, place: Place, *, announced_bytes: int, limit_bytes: int, wait_s: float
) -> bytes:
    """Return a whole body.

    Args:
        receive: of ASGI.
        place: where its memory is counted.
        announced_bytes: its Content-Length; over the limit, nothing is read. It takes no room:
            whoever only announces a body would take that of others.
        limit_bytes: how long it may be.
        wait_s: how long it may take.

    Raises:
        Refused: 413, 429, or 400 where it takes too long.
        HungUp: nobody will read an answer.
    """
    _check(announced_bytes, limit_bytes)
    chunks: list[bytes] = []
    size_bytes = 0
    try:
        async with asyncio.timeout(wait_s):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise HungUp
                chunk: bytes = message.get("body", b"")
                if chunk:
                    chunks.append(chunk)
                    size_bytes += len(chunk)
                    _check(size_bytes, limit_bytes)
                    place.grow(len(chunk))
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        raise Refused(f"The body did not come to an end within {wait_s:g} s") from None
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _check(size_bytes: int, limit_bytes: int) -> None:
    if size_bytes > limit_bytes:
        raise Refused(
            f"The body has more than {limit_bytes} bytes", StatusCode.REQUEST_ENTITY_TOO_LARGE
        )
