"""Whether this broker lives, whether it is ready, and what Prometheus wants to know."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from broker.edge import docs
from broker.edge.replies import json_reply
from broker.metrics import FITTERS, REGISTRY, WORKERS
from broker.services import Services
from tally.errors import TallyError

_PROBE_S = 1.0


def routes(services: Services) -> APIRouter:
    """Return the routes for operators."""
    router = APIRouter(tags=["operations"])

    @router.get("/health", **docs.HEALTH)
    async def health() -> Response:
        """Tell that the process lives."""
        return json_reply({"status": "alive"})

    @router.get("/ready", **docs.READY)
    async def ready() -> Response:
        """Tell whether requests can be answered, and which part is degraded."""
        table = services.follower.table
        store, queue = await asyncio.gather(
            _probe(services.ledger.store.ping()), _probe(services.queue.ping())
        )
        parts = {
            "coordination": "ok" if table.connected else "out of reach; the last table is used",
            "store": store,
            "queue": queue,
            "workers": "ok" if table.nodes else "none is there: forecasts wait",
            "fit_workers": "ok" if table.fitters else "none is there: fits wait",
        }
        for node in table.nodes.values():
            for serving in node.serving.values():
                if serving.degraded:
                    parts[f"worker {node.host}:{node.port}"] = serving.degraded
        wrong = [part for part, state in parts.items() if state != "ok"]
        # Forecasts go on without the store, the queue and the coordinator.
        able = bool(table.nodes) or store == "ok"
        status = "ready" if not wrong else "degraded" if able else "unable"
        body = {"status": status, "degraded": wrong, "parts": parts}
        return json_reply(body, 200 if able else 503)

    @router.get("/metrics", **docs.METRICS)
    async def metrics() -> Response:
        """Tell Prometheus."""
        WORKERS.set(len(services.follower.table.nodes))
        FITTERS.set(len(services.follower.table.fitters))
        return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)

    return router


async def _probe(ping: Awaitable[None]) -> str:
    try:
        async with asyncio.timeout(_PROBE_S):
            await ping
    except TimeoutError:
        return f"no answer within {_PROBE_S:g} s"
    except TallyError as error:
        return str(error)
    return "ok"
