"""The ASGI application: forecasts on a short path of their own, everything else by FastAPI."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Sequence
from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Match, Route

from broker.edge import docs, fits, health, models
from broker.edge.errors import DEFECT, http_problem, problem
from broker.edge.forecast import ForecastRoute
from broker.edge.symetry.wiring import PREFIX, Signed
from broker.metrics import REQUESTS, SECONDS
from broker.services import Services
from tally.errors import InvalidInput, TallyError
from tally.http_server import AsgiApp, Receive, Scope, Send

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_log = structlog.get_logger()


def create_app(services: Services) -> AsgiApp:
    """Return the whole public side of a broker."""
    forecasts = ForecastRoute(services.forwarder, services.tokens, services.settings.max_steps)
    return Edge(forecasts, services.signed, create_api(services))


def create_api(services: Services) -> FastAPI:
    """Return the FastAPI part; it documents the forecasts too."""
    api = FastAPI(
        title="Tally",
        version="1",
        description="Fit a series, get a version, forecast from it.",
        docs_url="/docs",
        redoc_url=None,
    )
    api.openapi = lambda: docs.schema(api)  # type: ignore[method-assign]
    routers = (fits.routes(services), models.routes(services), health.routes(services))
    for router in routers:
        api.include_router(router)
    _document_forecasts(api)
    # The application itself would show the routers, not what is in them.
    routes = [*api.routes, *(route for router in routers for route in router.routes)]

    async def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, TallyError)
        status, headers, body = problem(error)
        return Response(body, status, headers)

    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"][1:]) or "request"
        given = f"; given: {str(first['input'])[:60]!r}" if "input" in first else ""
        status, headers, body = problem(InvalidInput(field, f"{first['msg']}{given}"))
        return Response(body, status, headers)

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        more = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            more["Allow"] = _allowed(routes, request)
        detail = f"{request.method} {request.url.path}: {error.detail}"
        status, headers, body = http_problem(error.status_code, detail)
        return Response(body, status, {**more, **headers})

    async def hung_up(_: Request, error: Exception) -> Response:
        # Nobody reads this; without it, a client that goes away would look like a defect.
        status, headers, body = http_problem(
            HTTPStatus.BAD_REQUEST, "the body never came to an end"
        )
        return Response(body, status, headers)

    async def defect(_: Request, error: Exception) -> Response:
        status, headers, body = http_problem(HTTPStatus.INTERNAL_SERVER_ERROR, DEFECT)
        return Response(body, status, headers)

    api.add_exception_handler(TallyError, refused)
    api.add_exception_handler(RequestValidationError, invalid)
    api.add_exception_handler(HTTPException, http_error)
    api.add_exception_handler(ClientDisconnect, hung_up)
    api.add_exception_handler(Exception, defect)
    return api


def _allowed(routes: Sequence[BaseRoute], request: Request) -> str:
    """Return the methods of a path; the framework names those of its first route only."""
    methods: set[str] = set()
    for route in routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))


def _document_forecasts(api: FastAPI) -> None:
    """Add the forecast calls to the OpenAPI; `Edge` answers them before they come here."""

    @api.get("/api/forecast/{steps}", tags=["forecasts"], **docs.FORECAST)
    async def forecast(
        steps: int,
        level: str | None = None,
        timestamps: bool = False,
        version: int | None = None,
        include: str | None = None,
    ) -> None:
        """Forecast the default model."""

    @api.get("/api/models/{name}/forecast/{steps}", tags=["forecasts"], **docs.FORECAST)
    async def forecast_named(
        name: str,
        steps: int,
        level: str | None = None,
        timestamps: bool = False,
        version: int | None = None,
        include: str | None = None,
    ) -> None:
        """Forecast a model by name."""


class Edge:
    """Gives each request its id, and sends it the short or the long way.

    Args:
        forecasts: the short way.
        signed: answers under `/symetry`, where bytes are signed as they come.
        api: the long way.
    """

    def __init__(self, forecasts: ForecastRoute, signed: Signed, api: AsgiApp) -> None:
        self._forecasts = forecasts
        self._signed = signed
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request_id = _request_id(scope)
        if scope["path"].startswith(PREFIX):
            await self._signed.answer(scope, receive, send, request_id)
            return
        if scope["type"] != "http":
            await self._api(scope, receive, send)
            return
        if (match := self._forecasts.matches(scope)) is not None:
            status = await self._forecasts.answer(scope, send, match, request_id)
            if status >= 500:
                _log.warning("request", request_id=request_id, path=scope["path"], status=status)
            return
        await self._long_way(scope, receive, send, request_id)

    async def _long_way(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        started, method = time.perf_counter(), scope["method"]
        status = 500

        async def marked(message: Scope) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", request_id.encode()),
                ]
            await send(message)

        if scope["method"] == "HEAD":
            # Whatever can be got can be asked for its head; the server leaves out the body.
            scope = {**scope, "method": "GET"}
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._api(scope, receive, marked)
            except Exception:
                # Answered already by `defect`; here the request id is still in the log's context.
                _log.exception("defect", method=method, path=scope["path"])
            finally:
                seconds = time.perf_counter() - started
                # The route's template, not the path: a label for each model has no bound.
                route = getattr(scope.get("route"), "path", "none")
                REQUESTS.labels(route, status).inc()
                SECONDS.labels(route).observe(seconds)
                _log.info(
                    "request",
                    method=method,
                    path=scope["path"],
                    status=status,
                    ms=round(1000 * seconds, 1),
                )


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return str(value.decode())
    return uuid.uuid4().hex
