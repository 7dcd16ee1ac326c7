from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from broker.edge.symetry.room import HungUp, Room, read_body
from tally.http_server import Receive
from tally.wire.status import Refused, StatusCode


def sending(*chunks: bytes, hang_up: bool = False) -> Receive:
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks
    ]
    messages.append({"type": "http.disconnect"} if hang_up else {"type": "http.request"})
    rest = iter(messages)

    async def receive() -> dict[str, Any]:
        return next(rest)

    return receive


async def read(room: Room, chunks: Sequence[bytes], announced: int = 0, limit: int = 100) -> bytes:
    with room.place() as place:
        return await read_body(
            sending(*chunks), place, announced_bytes=announced, limit_bytes=limit, wait_s=5
        )


@pytest.mark.parametrize("chunks", [(), (b"abc",), (b"a", b"", b"bc"), (b"a" * 100,)])
async def test_a_body_is_read_whole(chunks: Sequence[bytes]) -> None:
    assert await read(Room(100), chunks) == b"".join(chunks)


async def test_a_body_over_the_limit_is_refused_as_soon_as_it_is_known() -> None:
    for chunks, announced in (((), 101), ((b"x" * 60, b"x" * 60), 0)):
        with pytest.raises(Refused, match="more than 100 bytes") as refused:
            await read(Room(1000), chunks, announced)
        assert refused.value.status is StatusCode.REQUEST_ENTITY_TOO_LARGE


async def test_bodies_that_do_not_fit_together_are_told_to_come_again() -> None:
    room = Room(150)
    with room.place(100):
        with pytest.raises(Refused) as refused:
            await read(room, (b"x" * 30, b"x" * 30), 60)
        assert refused.value.status is StatusCode.TOO_MANY_REQUESTS
        # Only what was received counts, not what was announced.
        assert await read(room, (b"x",), 100) == b"x"
        assert await read(room, (b"x" * 50,)) == b"x" * 50
    # All of it is free again, whatever was refused meanwhile.
    assert await read(room, (b"x" * 100,), 100) == b"x" * 100
    with room.place(150):
        pass


async def test_a_body_that_never_ends_is_refused() -> None:
    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    with Room(10).place() as place, pytest.raises(Refused, match="did not come to an end"):
        await read_body(receive, place, announced_bytes=5, limit_bytes=10, wait_s=0.01)


async def test_a_client_that_goes_away_gets_no_answer() -> None:
    with Room(10).place() as place, pytest.raises(HungUp):
        await read_body(
            sending(b"x", hang_up=True), place, announced_bytes=5, limit_bytes=10, wait_s=5
        )
