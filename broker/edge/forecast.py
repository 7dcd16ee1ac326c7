"""`GET /api/forecast/{steps}` as raw ASGI: routing by a framework would cost more than the rest."""

from __future__ import annotations

import re
import time
from urllib.parse import parse_qs

import structlog

from broker.edge.auth import Tokens
from broker.edge.bodies import whole
from broker.edge.errors import DEFECT, http_problem, problem
from broker.metrics import REQUESTS, SECONDS
from broker.routing.forward import Forwarder, Question
from tally.errors import InvalidInput, TallyError
from tally.http_server import Scope, Send
from tally.ids import DEFAULT_MODEL
from tally.ledger.names import check_name
from tally.wire.messages import MODEL_VERSION

_PATH = re.compile(r"/api/(?:models/([^/]+)/)?forecast/([^/]+)")
_MAX_LEVELS = 10
_MIN_VERSION = b"x-min-model-version"
_log = structlog.get_logger()


class ForecastRoute:
    """Answers forecasts.

    Args:
        forwarder: whom it asks.
        tokens: who may call.
        max_steps: bound of a forecast.
    """

    def __init__(self, forwarder: Forwarder, tokens: Tokens, max_steps: int) -> None:
        self._forwarder = forwarder
        self._tokens = tokens
        self._max_steps = max_steps

    def matches(self, scope: Scope) -> re.Match[str] | None:
        """Return the match if this is a forecast call."""
        if scope["method"] not in ("GET", "HEAD"):
            return None
        return _PATH.fullmatch(scope["path"])

    async def answer(self, scope: Scope, send: Send, match: re.Match[str], request_id: str) -> int:
        """Answer one call; return the status."""
        started = time.perf_counter()
        headers = dict(scope["headers"])
        out: dict[str, str]
        try:
            self._tokens.who(headers.get(b"authorization", b"").decode("latin-1"))
            question = self._question(match, scope["query_string"], headers.get(_MIN_VERSION))
            found = await self._forwarder.ask(question, request_id)
            status, body = 200, found.body
            out = {"content-type": "application/json", MODEL_VERSION.lower(): str(found.version)}
        except TallyError as error:
            status, out, body = problem(error)
        except Exception:
            _log.exception("defect", request_id=request_id, path=scope["path"])
            status, out, body = http_problem(500, DEFECT)
        out["content-length"] = str(len(body))
        out["x-request-id"] = request_id
        pairs = [(name.encode(), value.encode("latin-1")) for name, value in out.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        content = b"" if scope["method"] == "HEAD" else body
        await send({"type": "http.response.body", "body": content})
        REQUESTS.labels("forecast", status).inc()
        SECONDS.labels("forecast").observe(time.perf_counter() - started)
        return status

    def _question(self, match: re.Match[str], query: bytes, at_least: bytes | None) -> Question:
        name = check_name(match[1]) if match[1] else DEFAULT_MODEL
        steps = whole("steps", match[2], 1, self._max_steps)
        least = 0
        if at_least is not None:
            least = whole("X-Min-Model-Version", at_least.decode("latin-1"), 1, 10**12 - 1)
        if not query:
            return Question(name, steps, at_least=least)
        given = parse_qs(query.decode("latin-1"), keep_blank_values=True)
        version = given.get("version")
        return Question(
            name,
            steps,
            levels=_levels(given["level"][-1]) if "level" in given else (),
            timestamps=_flag("timestamps", given.get("timestamps", ["false"])[-1]),
            include_version=_include(given.get("include", [""])[-1]),
            version=whole("version", version[-1], 1, 10**12 - 1) if version else None,
            at_least=least,
        )


def _levels(text: str) -> tuple[float, ...]:
    levels = []
    for part in text.split(","):
        try:
            level = float(part)
        except ValueError:
            level = 0.0
        # Six digits are what the worker is asked with, and what names an interval in the answer.
        if not 0 < level < 100 or float(f"{level:g}") != level:
            raise InvalidInput(
                "level",
                f"{part[:40]!r} is not a percentage between 0 and 100 of at most six digits",
            )
        levels.append(level)
    if len(levels) > _MAX_LEVELS:
        raise InvalidInput("level", f"{len(levels)} levels are more than {_MAX_LEVELS}")
    return tuple(sorted(set(levels)))


def _flag(field: str, text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise InvalidInput(field, f"{text[:40]!r} is not true or false")
    return text.lower() in ("true", "1")


def _include(text: str) -> bool:
    if text not in ("", "version"):
        raise InvalidInput("include", f"{text[:40]!r} is not 'version'")
    return text == "version"
