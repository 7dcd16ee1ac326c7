"""The ASGI application under `/symetry`: raw, since what is signed are the bytes as they came."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from broker.edge.symetry.call import JSON, Call, Outcome
from broker.edge.symetry.errors import DEFECT, refused, retry_after
from broker.edge.symetry.gate import Gate
from broker.edge.symetry.handlers import Handlers
from broker.edge.symetry.job_desk import JobDesk
from broker.edge.symetry.jobs import JobRunner
from broker.edge.symetry.paths import Found, find
from broker.edge.symetry.query import Query
from broker.edge.symetry.room import HungUp, Place, Room, read_body
from broker.edge.symetry.routes import REST, Action, Route, Runs
from broker.metrics import REQUESTS, SECONDS
from tally.errors import TallyError
from tally.http_server import Receive, Scope, Send
from tally.wire import texts
from tally.wire.envelope import raw_envelope, refusal
from tally.wire.projects import CLIENT, FUSION_DEADLINE, FUSION_PATH
from tally.wire.signing import SignedRequest
from tally.wire.status import Refused, StatusCode

_NO_CLIENT = "default-rest-client"
_MAX_CLIENT = 200
_MAX_SHOWN = 140
_BATCH_ID = re.compile(r"[!-~]{1,200}", re.ASCII)
_PASSED_ON = ("content-type", "content-encoding", FUSION_PATH, FUSION_DEADLINE)
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much and how long.

    Attributes:
        body_bytes: of one request.
        body_wait_s: until it has come in.
        home_wait_s, job_wait_s: how long homes are asked for a request, and for a job.
    """

    body_bytes: int
    body_wait_s: float
    home_wait_s: float
    job_wait_s: float


class RestApp:
    """Answers requests.

    Args:
        gate: checks signatures.
        handlers: answer.
        runner, desk: run jobs, and tell of them.
        room: for bodies.
        bounds: of one request.
        public_origin: scheme and authority that clients reach us by; empty: as the Host says.
    """

    def __init__(
        self,
        gate: Gate,
        handlers: Handlers,
        runner: JobRunner,
        desk: JobDesk,
        room: Room,
        bounds: Bounds,
        public_origin: str,
    ) -> None:
        self._gate = gate
        self._handlers = handlers
        self._runner = runner
        self._desk = desk
        self._room = room
        self._bounds = bounds
        self._public_origin = public_origin

    async def answer(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        """Answer one request.

        Args:
            scope, receive, send: of ASGI.
            request_id: for the logs and the answer.
        """
        started, method = time.perf_counter(), scope["method"]
        found = find(scope["raw_path"])
        headers: dict[str, str]
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                with self._room.place() as place:
                    outcome = await self._outcome(scope, receive, found, place, request_id)
                status, headers = outcome.status, {"content-type": JSON, **outcome.headers}
                body = outcome.bare
                if body is None:
                    body = raw_envelope(outcome.values, status=status, text=outcome.text)
            except HungUp:
                return
            except TallyError as error:
                told = refused(error)
                status, body = told.status, refusal(told)
                headers = {"content-type": JSON, **retry_after(error)}
            except Exception:
                _log.exception("defect", method=method, path=scope["path"])
                status, headers, body = DEFECT.status, {"content-type": JSON}, refusal(DEFECT)
            headers |= {"content-length": str(len(body)), "x-request-id": request_id}
            pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
            await send({"type": "http.response.start", "status": status.http, "headers": pairs})
            content = b"" if method == "HEAD" else body
            await send({"type": "http.response.body", "body": content})
            self._measure(scope, found.route(method), status.http, time.perf_counter() - started)

    def _measure(self, scope: Scope, route: Route | None, status: int, seconds: float) -> None:
        # The route's pattern, not the path: a label for each project has no bound.
        label = f"{REST}{{cid}}/{route.path}" if route else f"{REST}?"
        REQUESTS.labels(label, status).inc()
        SECONDS.labels(label).observe(seconds)
        _log.info(
            "request",
            method=scope["method"],
            path=scope["path"],
            status=status,
            ms=round(1000 * seconds, 1),
        )

    async def _outcome(
        self, scope: Scope, receive: Receive, found: Found, place: Place, request_id: str
    ) -> Outcome:
        method: str = scope["method"]
        if not found.routes:
            path = scope["path"][:_MAX_SHOWN]
            raise Refused(f"There is nothing at [{path}]", StatusCode.NOT_FOUND)
        allow = {"allow": ", ".join(found.methods)}
        if method == "OPTIONS":
            return Outcome(headers=allow)
        route = found.route(method)
        if route is None:
            return Outcome(
                status=StatusCode.METHOD_NOT_ALLOWED,
                text=f"This path answers {allow['allow']}, not {method[:_MAX_SHOWN]}",
                headers=allow,
            )
        call = await self._signed(scope, receive, found, route, place, request_id)
        match route.action:
            case Action.JOBS:
                return await self._desk.list(call)
            case Action.JOB:
                return await self._desk.tell(call)
            case Action.CANCEL:
                return await self._desk.cancel(call)
        if _as_job(call):
            return await self._job(call)
        return await self._handlers.answer(call, self._bounds.home_wait_s)

    async def _signed(
        self,
        scope: Scope,
        receive: Receive,
        found: Found,
        route: Route,
        place: Place,
        request_id: str,
    ) -> Call:
        """Return a request whose signature holds.

        Raises:
            Refused: it does not, or the request is too large or too slow.
        """
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        credentials = self._gate.credentials(headers)
        length = headers.get("content-length", "")
        body = await read_body(
            receive,
            place,
            announced_bytes=int(length) if length.isdecimal() else 0,
            limit_bytes=self._bounds.body_bytes,
            wait_s=self._bounds.body_wait_s,
        )
        host = headers.get("host", "")
        request = SignedRequest(
            scope["method"], found.cid, scope["raw_path"], scope["query_string"], host, body
        )
        await self._gate.check(request, credentials)
        passed_on = {name: headers[name] for name in _PASSED_ON if name in headers}
        client = headers.get("sym-client", "").strip()[:_MAX_CLIENT] or _NO_CLIENT
        return Call(
            route,
            found.cid,
            found.values,
            Query(scope["query_string"]),
            body,
            _batch_id(headers.get("idempotency-key")),
            {**passed_on, CLIENT: client},
            self._public_origin or f"{scope['scheme']}://{host}",
            request_id,
        )

    async def _job(self, call: Call) -> Outcome:
        # Asked at once, so that a wrong name is told at once.
        several = call.route.action is Action.INFO_ALL
        project = None if several else await self._handlers.project(call)
        details: Mapping[str, str] = {}
        if project is not None:
            details = await self._handlers.check(call, project, self._bounds.home_wait_s)
        job_id = await self._runner.start(
            call,
            project,
            lambda told: self._handlers.answer(call, self._bounds.job_wait_s, told),
            details,
        )
        headers = {"location": call.job_url(job_id), "sym-job-id": str(job_id)}
        reduces = call.route.verb == "reduce"
        text = texts.REDUCE_JOB_CREATED if reduces else texts.JOB_CREATED
        return Outcome(status=StatusCode.ACCEPTED, text=text, headers=headers)


def _as_job(call: Call) -> bool:
    match call.route.runs:
        case Runs.JOB:
            return True
        case Runs.AT_ONCE_OR_JOB:
            return call.query.flag("async", default=False)
        case Runs.JOB_OR_AT_ONCE:
            return call.query.flag("async", default=True)
        case Runs.AT_ONCE:
            return False


def _batch_id(given: str | None) -> str:
    if given is None:
        return uuid.uuid4().hex
    if not _BATCH_ID.fullmatch(given):
        raise Refused("Idempotency-Key is not 1 to 200 visible ASCII characters")
    return given
