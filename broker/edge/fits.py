"""Accepting fits, and telling how they go."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
import structlog
from fastapi import APIRouter, Query, Request, Response

from broker.edge import docs
from broker.edge.bodies import CheckedFit, parse_fit, read_body
from broker.edge.errors import problem
from broker.edge.prefer import preferences
from broker.edge.replies import caller, fit_url, json_reply, path_model
from broker.metrics import ACCEPTED
from broker.routing.choose import choose
from broker.services import Services
from tally.errors import (
    AlgorithmUnavailable,
    Conflict,
    FitFailed,
    InvalidInput,
    NotFound,
    StoreUnavailable,
)
from tally.forecast.families import AUTO, family
from tally.ids import DEFAULT_MODEL, FitId
from tally.ledger.records import Fit, FitState

_FIRST_LOOK_S, _LAST_LOOK_S = 0.02, 0.5
_MAX_KEY = 255
_MAX_LISTED = 1000
_MODELS_AT_ONCE = 16
_BODY_S = 60.0
_SMALL_BODY = 20_000
_log = structlog.get_logger()


def routes(services: Services) -> APIRouter:
    """Return the routes about fits."""
    router = APIRouter(tags=["fits"])

    async def fit(request: Request, name: str, asynchronous: bool) -> Response:
        who = caller(services, request)
        key = _idempotency(request)
        body = await _body(services, request)
        # Megabytes of JSON take long enough to be felt by others on this loop.
        checked = await _off_loop(body, services.settings.max_values)
        _refuse_unfittable(services, checked)
        accepted = await services.ledger.fits.accept(
            name,
            checked.request,
            checked.payload,
            who=who,
            idempotency=key,
            request_id=structlog.contextvars.get_contextvars().get("request_id", ""),
        )
        ACCEPTED.inc()
        _log.info("fit accepted", fit=accepted.id, model=name, values=checked.request.values)
        if accepted.state is FitState.QUEUED:
            services.hints.give(accepted)
        preferred = preferences(request.headers.getlist("prefer"))
        patience_s = preferred.patience_s(services.settings.fit_wait_s)
        if asynchronous or not patience_s:
            response = _accepted(accepted)
        else:
            response = await _ended(services, accepted, patience_s)
        if applied := preferred.applied():
            response.headers["Preference-Applied"] = applied
        return response

    @router.post("/api/fit_model", **docs.FIT)
    async def fit_default(
        request: Request, asynchronous: Annotated[bool, Query(alias="async")] = False
    ) -> Response:
        """Fit the default model; answers when the new version is stored and served."""
        return await fit(request, DEFAULT_MODEL, asynchronous)

    @router.post("/api/models/{name}/fit", **docs.FIT)
    async def fit_named(
        request: Request, name: str, asynchronous: Annotated[bool, Query(alias="async")] = False
    ) -> Response:
        """Fit a model by name, made if there is none; answers when it is stored and served."""
        return await fit(request, path_model(name), asynchronous)

    @router.get("/api/fits", **docs.FITS)
    async def list_fits(
        request: Request,
        state: str | None = None,
        model: str | None = None,
        limit: Annotated[int, Query(ge=1, le=_MAX_LISTED)] = 100,
    ) -> Response:
        """List fits, newest first; `?state=FAILED` is the dead-letter list."""
        caller(services, request)
        wanted = None if state is None else _state(state)
        if model is not None:
            uuid = await services.ledger.names.find(path_model(model))
            fits = await services.ledger.fits.newest(uuid, state=wanted, limit=limit)
        else:
            fits = await _newest(services, wanted, limit)
        return json_reply({"fits": [describe(fit) for fit in fits]})

    @router.get("/api/fits/{fit_id}", **docs.ONE_FIT)
    async def get_fit(request: Request, fit_id: str) -> Response:
        """Tell how a fit goes: state, attempts, reason, progress."""
        caller(services, request)
        known = await services.ledger.fits.get(_fit_id(fit_id))
        told = describe(known)
        if known.state is FitState.RUNNING:
            seen = await services.ledger.fits.beat(known.id)
            if seen is not None:
                told |= {"progress": seen.beat.progress, "doing": seen.beat.doing}
        return json_reply(told)

    @router.post("/api/fits/{fit_id}/retry", **docs.RETRY)
    async def retry(request: Request, fit_id: str) -> Response:
        """Queue a failed fit again, as if it had been asked for now; safe to repeat."""
        caller(services, request)
        queued = await services.ledger.fits.retry(_fit_id(fit_id))
        if queued.state is FitState.QUEUED:
            services.hints.give(queued)
        return _accepted(queued)

    @router.delete("/api/fits/{fit_id}", **docs.CANCEL)
    async def cancel(request: Request, fit_id: str) -> Response:
        """Cancel a fit that has not been stored yet."""
        who = caller(services, request)
        cancelled = await services.ledger.fits.cancel(_fit_id(fit_id), who)
        return json_reply(describe(cancelled))

    return router


def describe(fit: Fit) -> dict[str, object]:
    """Return a fit as clients see it."""
    told: dict[str, object] = {
        "fit": fit.id,
        "model": fit.name,
        "state": fit.state,
        "algorithm": fit.request.algorithm,
        "values": fit.request.values,
        "attempts": fit.attempt,
        "who": fit.who,
        "accepted_at": fit.accepted_at,
        "changed_at": fit.changed_at,
        "url": fit_url(fit.id),
    }
    if fit.reason:
        told["reason"] = fit.reason
    if fit.version:
        told["version"] = fit.version
    return told


async def _newest(services: Services, state: FitState | None, limit: int) -> list[Fit]:
    """Return the newest fits of all models, the models read a few at a time."""
    ledger = services.ledger
    fits: list[Fit] = []
    after = ""
    while page := await ledger.names.page(after, _MODELS_AT_ONCE):
        found = await asyncio.gather(
            *(ledger.fits.newest(name.model, state=state, limit=limit) for _, name in page)
        )
        fits += [fit for some in found for fit in some]
        fits = sorted(fits, key=lambda fit: fit.accepted_at, reverse=True)[:limit]
        after = page[-1][0]
    return fits


async def _body(services: Services, request: Request) -> bytes:
    announced = request.headers.get("content-length", "")
    try:
        async with asyncio.timeout(_BODY_S):
            return await read_body(
                request.stream(),
                services.settings.max_body_bytes,
                int(announced) if announced.isdecimal() else 0,
            )
    except TimeoutError:
        raise InvalidInput("body", f"it did not come in within {_BODY_S:g} s") from None


async def _off_loop(body: bytes, max_values: int) -> CheckedFit:
    if len(body) < _SMALL_BODY:
        return parse_fit(body, max_values)
    return await asyncio.to_thread(parse_fit, body, max_values)


def _refuse_unfittable(services: Services, checked: CheckedFit) -> None:
    """Refuse an algorithm that no fit worker alive could fit."""
    algorithm = checked.request.algorithm
    fitters = services.follower.table.fitters.values()
    if algorithm == AUTO or not fitters:
        return
    if not any(algorithm in fitter.algorithms for fitter in fitters):
        raise AlgorithmUnavailable(
            "algorithm",
            f"{algorithm!r} is not installed on any fit worker; install it there with: "
            f"pip install 'tally[{family(algorithm).extra}]'",
        )


def _idempotency(request: Request) -> str:
    key = request.headers.get("idempotency-key", "")
    if len(key) > _MAX_KEY:
        raise InvalidInput("Idempotency-Key", f"it has {len(key)} of at most {_MAX_KEY} characters")
    return key


def _accepted(fit: Fit) -> Response:
    return json_reply(describe(fit), 202, {"Location": fit_url(fit.id)})


async def _ended(services: Services, fit: Fit, patience_s: float) -> Response:
    """Wait until a fit has ended and its version is served through this broker, or too long."""
    clock = services.clock
    deadline = clock.monotonic() + patience_s
    look_s = _FIRST_LOOK_S
    while True:
        try:
            fit = await services.ledger.fits.get(fit.id)
            if fit.state.ended and not fit.state.published:
                return await _other_end(services, fit)
            if fit.state.published:
                target = choose(services.follower.table, fit.model)
                if target is not None and target.version == fit.version:
                    # Seen before the worker that serves it has written that down.
                    served = msgspec.structs.replace(fit, state=FitState.SERVED)
                    return await _made(services, served)
                if (await services.ledger.fits.replaced(fit.id)).state is not fit.state:
                    continue
                head = await services.ledger.versions.head(fit.model)
                if head is None or head.deleted:
                    raise NotFound("deleted")
                if head.version != fit.version and fit.state is FitState.SERVED:
                    return await _made(services, fit)  # something newer took its place since
        except NotFound:
            raise Conflict("the model was deleted while it was being fitted") from None
        except StoreUnavailable as error:
            # It is accepted; only how it stands cannot be told now.
            _log.warning("store away while waiting", fit=fit.id, reason=str(error))
        left = deadline - clock.monotonic()
        if left <= 0 or services.follower.ended:
            return _accepted(fit)
        await services.follower.wait_changed(min(look_s, left))
        look_s = min(1.3 * look_s, _LAST_LOOK_S)


async def _made(services: Services, fit: Fit) -> Response:
    version = await services.ledger.versions.get(fit.model, fit.version)
    location = f"/api/models/{fit.name}/versions/{version.version}"
    told = {
        **describe(fit),
        "algorithm": version.algorithm,
        "options": version.options,
        "period": version.period,
        "backtest": version.backtest,
    }
    headers = {"Location": location, "X-Model-Version": str(version.version)}
    return json_reply(told, 201, headers)


async def _other_end(services: Services, fit: Fit) -> Response:
    if fit.state is FitState.SUPERSEDED:
        return json_reply(describe(fit))
    error: FitFailed | Conflict
    if fit.state is FitState.FAILED:
        error = FitFailed(fit.reason)
    else:  # REJECTED by its own min_skill, or CANCELLED
        error = Conflict(f"the fit is {fit.state}: {fit.reason}")
    status, headers, body = problem(error, fit=fit.id, state=fit.state, url=fit_url(fit.id))
    return Response(body, status, headers)


def _fit_id(text: str) -> FitId:
    model, _, rest = text.partition(".")
    try:
        int(model + rest, 16)
    except ValueError:
        model = ""
    if len(model) != 32 or len(rest) != 16:
        raise NotFound(f"there is no fit {text[:80]!r}")
    return FitId(text)


def _state(text: str) -> FitState:
    try:
        return FitState(text.upper())
    except ValueError:
        known = ", ".join(state for state in FitState if state is not FitState.ABANDONED)
        raise InvalidInput("state", f"{text[:40]!r} is not one of {known}") from None
