"""Workers that say what they are told to, and questions to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from aiohttp import web

from broker.routing.cache import Answer
from broker.routing.forward import Forwarder, Question
from tally.coordination.embedded import EmbeddedCoordinator
from tally.ids import ModelUuid
from tally.routing.follow import Follower
from tests.unit.broker.acts import (
    UUID,
    node,
)

TOKEN = "between us"
WAIT_S = 0.4


class ScriptedWorker:
    """A real HTTP server that answers as it is told; the last answer is given for ever.

    Attributes:
        answers: status, body, and the version that it says made the body.
        asked: path and query of each request.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.answers: list[tuple[int, bytes, str]] = [(200, b'{"data":[1.0]}', "1")]
        self.asked: list[str] = []
        self.headers: list[Mapping[str, str]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def answer(self, request: web.BaseRequest) -> web.Response:
        self.asked.append(request.raw_path)
        self.headers.append(request.headers)
        await self.gate.wait()
        status, body, version = self.answers[0]
        if len(self.answers) > 1:
            self.answers.pop(0)
        return web.Response(status=status, body=body, headers={"X-Model-Version": version})


async def register(
    coordinator: EmbeddedCoordinator,
    port: int,
    version: int = 1,
    generation: int | None = None,
    model: ModelUuid = UUID,
) -> None:
    await coordinator.put(f"nodes/127.0.0.1_{port}", node(port, version, generation, model=model))


async def ask(forwarder: Forwarder, **changes: object) -> Answer:
    question: dict[str, object] = {"name": "m", "steps": 3}
    return await forwarder.ask(Question(**(question | changes)), "r-1")  # type: ignore[arg-type]


def served(follower: Follower, version: int) -> Callable[[], bool]:
    return lambda: any(
        serving.version == version
        for known in follower.table.nodes.values()
        for serving in known.serving.values()
    )
