"""What workers and heads look like in the coordinator, in few words."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec
from aiohttp import web

from tally.ids import ModelUuid
from tally.routing.follow import Follower
from tally.wire.messages import Announcement, Node, Serving

UUID = ModelUuid("0a" * 16)


def announcement(
    version: int,
    generation: int | None = None,
    name: str = "m",
    model: ModelUuid = UUID,
    restored: int = 0,
) -> bytes:
    given = version if generation is None else generation
    return msgspec.json.encode(
        Announcement(
            version, "2026-01-01", name, model, max(0, version - 1), given, restored=restored
        )
    )


def node(
    port: int,
    version: int = 1,
    generation: int | None = None,
    name: str = "m",
    model: ModelUuid = UUID,
) -> bytes:
    given = version if generation is None else generation
    return serving_node(port, Serving(name, version, given), model)


def serving_node(port: int, serving: Serving, model: ModelUuid = UUID) -> bytes:
    return msgspec.json.encode(Node("127.0.0.1", port, 0, {model: serving}))


@asynccontextmanager
async def following(follower: Follower) -> AsyncIterator[None]:
    """Run a follower; it is ended with the block."""
    running = asyncio.create_task(follower.run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def listening(opened: AsyncExitStack, server: web.Server) -> int:
    """Have a server listen until a stack is closed; return its port."""
    runner = web.ServerRunner(server)
    await runner.setup()
    opened.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port: int = runner.addresses[0][1]
    return port


async def seen(follower: Follower, condition: Callable[[], object]) -> None:
    """Return when the follower's table fulfils a condition."""
    async with asyncio.timeout(10):
        while not condition():
            await follower.wait_changed(1)


def lose_history(file: Path) -> None:
    """Do what an operator does who moves the coordinator's data away."""
    # In one step: a database without its log would be a third history.
    file.parent.rename(file.parent.with_name(f"lost-{uuid.uuid4().hex}"))
