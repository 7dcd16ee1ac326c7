"""Models and their versions: listing, rolling back, deleting."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from broker.edge import docs
from broker.edge.bodies import whole
from broker.edge.replies import caller, json_reply, path_model
from broker.routing.choose import choose
from broker.services import Services
from tally.announce import announce_head, withdraw
from tally.errors import CoordinationUnavailable, NotFound
from tally.ids import ModelUuid
from tally.ledger.records import Head, Version

_MAX_LISTED = 1000


def routes(services: Services) -> APIRouter:
    """Return the routes about models."""
    router = APIRouter(tags=["models"])
    versions = services.ledger.versions

    @router.get("/api/models", **docs.MODELS)
    async def list_models(
        request: Request,
        after: str = "",
        limit: Annotated[int, Query(ge=1, le=_MAX_LISTED)] = _MAX_LISTED,
    ) -> Response:
        """List the models in the order of their names, each with the version that it serves.

        Where there are more, `next` is what to ask for as `after`.
        """
        caller(services, request)
        page = await services.ledger.names.page(after, limit)
        heads = await asyncio.gather(*(versions.head(record.model) for _, record in page))
        told: dict[str, object] = {
            "models": [
                _model(name, record.model, head)
                for (name, record), head in zip(page, heads, strict=True)
                if head is None or not head.deleted  # its name is about to be freed
            ]
        }
        if len(page) == limit:
            told["next"] = page[-1][0]
        return json_reply(told)

    @router.get("/api/models/{name}", **docs.MODEL)
    async def get_model(request: Request, name: str) -> Response:
        """Tell of a model: the version that it serves, how good that is, who moved the head."""
        caller(services, request)
        model = await services.ledger.names.find(path_model(name))
        head = await versions.head(model)
        told = _model(name, model, head)
        if head is not None and head.version:
            told["serving"] = _version(await versions.get(model, head.version), head)
        told["audits"] = await versions.audits(model)
        return json_reply(told)

    @router.get("/api/models/{name}/versions", **docs.VERSIONS)
    async def list_versions(request: Request, name: str) -> Response:
        """List the versions of a model, newest first."""
        caller(services, request)
        model = await services.ledger.names.find(path_model(name))
        head = await versions.head(model)
        return json_reply({"versions": [_version(v, head) for v in await versions.history(model)]})

    @router.get("/api/models/{name}/versions/{version}", **docs.VERSION)
    async def get_version(request: Request, name: str, version: str) -> Response:
        """Tell of one version: who, when, rows, algorithm, options, backtest, size, digest."""
        caller(services, request)
        number = whole("version", version, 1, 10**12 - 1)
        model = await services.ledger.names.find(path_model(name))
        return json_reply(_version(await versions.get(model, number), await versions.head(model)))

    @router.post("/api/models/{name}/rollback", **docs.ROLLBACK)
    async def rollback(request: Request, name: str, to: str) -> Response:
        """Serve an earlier version again; fits accepted before this will not replace it.

        Answers once it is served; 202 where that is decided, but no worker serves it yet.
        """
        who = caller(services, request)
        number = whole("to", to, 1, 10**12 - 1)
        model = await services.ledger.names.find(path_model(name))
        head = await versions.rollback(model, number, who)
        try:
            await announce_head(versions, services.coordinator, model)
        except CoordinationUnavailable:
            services.follower.announced.set()  # the announcer goes on trying
        served = await _served(services, model, head.generation)
        return json_reply(_model(name, model, head), 200 if served else 202)

    @router.delete("/api/models/{name}", status_code=204, **docs.DELETE)
    async def delete(request: Request, name: str) -> Response:
        """Delete a model with all its versions; the name may be used again at once."""
        who = caller(services, request)
        model = await versions.delete(path_model(name), who)
        try:
            await withdraw(services.coordinator, model, name)
        except CoordinationUnavailable:
            services.follower.announced.set()
        services.follower.forget(name, model)
        return Response(status_code=204)

    return router


async def _served(services: Services, model: ModelUuid, generation: int) -> bool:
    """Wait until this broker would serve a generation; false if that takes too long."""
    clock = services.clock
    deadline = clock.monotonic() + services.settings.forecast_wait_s
    while choose(services.follower.table, model, generation) is None:
        left = deadline - clock.monotonic()
        if left <= 0 or services.follower.ended:
            return False
        await services.follower.wait_changed(left)
    return True


def _model(name: str, model: ModelUuid, head: Head | None) -> dict[str, object]:
    if head is not None and head.deleted:
        raise NotFound(f"there is no model named {name!r}")
    return {
        "name": name,
        "uuid": model,
        "version": head.version if head else 0,
        "previous": head.previous if head else 0,
        "generation": head.generation if head else 0,
        "moved_at": head.moved_at if head else "",
    }


def _version(version: Version, head: Head | None) -> dict[str, object]:
    return {
        "version": version.version,
        "state": version.state,
        "serving": head is not None and head.version == version.version,
        "fit": version.fit,
        "algorithm": version.algorithm,
        "options": version.options,
        "period": version.period,
        "values": version.values,
        "start": version.start,
        "frequency": version.frequency,
        "who": version.who,
        "stored_at": version.stored_at,
        "published_at": version.published_at,
        "fit_seconds": version.fit_seconds,
        "backtest": version.backtest,
        "size_bytes": version.blob.size_bytes,
        "sha256": version.blob.sha256,
    }
