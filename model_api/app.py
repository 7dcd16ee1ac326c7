"""The worker's HTTP side, for brokers only. Raw ASGI: one hop must cost little."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs

import structlog
from prometheus_client import generate_latest

from model_api.live import Live
from model_api.metrics import FORECASTS, LOADED, REGISTRY
from model_api.services.forecast import Question, answer
from tally.errors import (
    AlgorithmUnavailable,
    CorruptState,
    FitFailed,
    InvalidInput,
    NotFound,
    StoreUnavailable,
    TallyError,
)
from tally.http_server import AsgiApp, Receive, Scope, Send
from tally.ids import ModelUuid
from tally.internal_token import authorized
from tally.wire.messages import MODEL_VERSION, REQUEST_ID
from tally.wire.projects import PREFIX

_MAX_STEPS = (
    10_000_000  # far above what brokers let through; keeps a mistake from taking all memory
)
_FORECAST = re.compile(
    r"/internal/models/([0-9a-f]{32})/versions/(\d{1,12})/forecast/(\d{1,9})", re.ASCII
)
_INLINE_STEPS = 2000  # below it the work is shorter than handing it to a thread
# In this order: the first class that fits counts. 409 sends the broker to the next worker.
_STATUS: dict[type[TallyError], int] = {
    AlgorithmUnavailable: 409,
    InvalidInput: 400,
    NotFound: 404,
    CorruptState: 409,
    FitFailed: 422,
    StoreUnavailable: 503,
    TallyError: 409,
}
_REQUEST_ID = REQUEST_ID.lower().encode()
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes
    content_type: bytes = b"application/json"
    version: int = 0


class WorkerApp:
    """The ASGI application.

    Args:
        live: the loaded versions.
        token: that brokers show.
        degraded: tells what is wrong with this worker, for `/ready`.
        projects: answers calls about projects.
    """

    def __init__(
        self,
        live: Live,
        token: str,
        degraded: Callable[[], dict[str, str]],
        projects: AsgiApp | None = None,
    ) -> None:
        self._live = live
        self._token = token
        self._degraded = degraded
        self._projects = projects

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        if self._projects and scope["path"].startswith(PREFIX) and self._knows(scope):
            await self._projects(scope, receive, send)
            return
        given = await self._respond(scope)
        headers = [
            (b"content-type", given.content_type),
            (b"content-length", str(len(given.body)).encode()),
        ]
        if given.version:
            headers.append((MODEL_VERSION.lower().encode(), str(given.version).encode()))
        start = {"type": "http.response.start", "status": given.status, "headers": headers}
        await send(start)
        await send({"type": "http.response.body", "body": given.body})

    def _knows(self, scope: Scope) -> bool:
        given: bytes = dict(scope["headers"]).get(b"authorization", b"")
        return authorized(given.decode("latin-1"), self._token)

    async def _respond(self, scope: Scope) -> _Answer:
        path: str = scope["path"]
        if scope["method"] != "GET":
            return _problem(405, "this worker answers GET only")
        if path == "/health":
            return _Answer(200, b'{"status":"alive"}')
        if path == "/ready":
            wrong = self._degraded()
            text = "; ".join(f"{part}: {reason}" for part, reason in wrong.items())
            return _problem(503, text) if wrong else _Answer(200, b'{"status":"ready"}')
        if not self._knows(scope):
            return _problem(401, "workers answer their brokers only")
        headers = dict(scope["headers"])
        if path == "/metrics":
            LOADED.set(len(self._live.loaded))
            return _Answer(200, generate_latest(REGISTRY), b"text/plain; version=0.0.4")
        if (match := _FORECAST.fullmatch(path)) is None:
            return _problem(404, "there is nothing at this path")
        model, version, steps = ModelUuid(match[1]), int(match[2]), int(match[3])
        given = await self._forecast(model, version, steps, scope["query_string"])
        FORECASTS.labels(str(given.status)).inc()
        # Below the level that is shown, as it is by default, this costs next to nothing.
        tell = _log.debug if given.status < 500 else _log.warning
        tell(
            "forecast",
            request_id=headers.get(_REQUEST_ID, b"").decode("latin-1"),
            model=model,
            version=version,
            steps=steps,
            status=given.status,
        )
        return given

    async def _forecast(self, model: ModelUuid, version: int, steps: int, query: bytes) -> _Answer:
        try:
            question, restored = _question(steps, query)
            loaded = await self._live.get(model, version, restored)
            if question.steps <= _INLINE_STEPS:
                body = answer(loaded, question)
            else:
                body = await asyncio.to_thread(answer, loaded, question)
        except TallyError as error:
            status = next(s for kind, s in _STATUS.items() if isinstance(error, kind))
            return _problem(status, str(error))
        return _Answer(200, body, version=version)


def _question(steps: int, query: bytes) -> tuple[Question, int]:
    """Return what is asked, and how often the store was restored as far as the broker knows."""
    if not 1 <= steps <= _MAX_STEPS:
        raise InvalidInput("steps", f"{steps} is not between 1 and {_MAX_STEPS}")
    if not query:
        return Question(steps), 0
    given = parse_qs(query.decode("latin-1"))
    levels = given.get("level", [""])[0]
    restored = given.get("restored", ["0"])[0]
    if not re.fullmatch(r"\d{1,9}", restored, re.ASCII):
        raise InvalidInput("restored", f"{restored[:40]!r} is not a count")
    question = Question(
        steps,
        levels=tuple(_level(level) for level in levels.split(",") if level),
        timestamps="timestamps" in given,
        include_version="include" in given,
    )
    return question, int(restored)


def _level(text: str) -> float:
    try:
        level = float(text)
    except ValueError:
        level = 0.0
    if not 0 < level < 100:
        raise InvalidInput("level", f"{text[:40]!r} is not a number between 0 and 100")
    return level


def _problem(status: int, detail: str) -> _Answer:
    # The broker wraps it for the client; here a sentence is enough.
    return _Answer(status, detail.encode(), b"text/plain; charset=utf-8")
