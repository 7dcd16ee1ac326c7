"""Reading the body of a broker's call."""

from __future__ import annotations

from typing import Any

import pytest

from model_api.projects.calls import read_body
from tally.errors import TooLarge
from tally.http_server import Receive, Scope

_SCOPE: Scope = {"headers": []}


def parts(*bodies: bytes, hung_up: bool = False) -> Receive:
    """Return what receives these, and after them the end or the caller's going away."""
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": body, "more_body": True} for body in bodies
    ]
    messages.append({"type": "http.disconnect"} if hung_up else {"type": "http.request"})

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    return receive


async def test_a_body_in_parts_is_whole_and_in_order() -> None:
    assert await read_body(_SCOPE, parts(b"ab", b"", b"cd"), limit=4) == b"abcd"
    assert await read_body(_SCOPE, parts(), limit=4) == b""


async def test_a_body_over_the_limit_is_refused() -> None:
    with pytest.raises(TooLarge):
        await read_body(_SCOPE, parts(b"ab", b"cde"), limit=4)


async def test_a_length_over_the_limit_is_refused_before_anything_is_read() -> None:
    async def receive() -> dict[str, Any]:
        raise AssertionError("read")

    with pytest.raises(TooLarge):
        await read_body({"headers": [(b"content-length", b"5")]}, receive, limit=4)


async def test_a_caller_who_hangs_up_has_no_body() -> None:
    assert await read_body(_SCOPE, parts(b"ab", hung_up=True), limit=4) is None
