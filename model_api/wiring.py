"""Puts a worker and a fit worker together; each runs until it is cancelled."""

from __future__ import annotations

import asyncio
import os
import socket
import uuid
from collections.abc import Callable

import msgspec

from model_api.app import WorkerApp
from model_api.children import Children
from model_api.fit_loop import FitLoop
from model_api.janitor import Janitor
from model_api.live import Live
from model_api.presence import Presence
from model_api.reconcile import Reconciler
from model_api.services.fit import FitService
from model_api.settings import WorkerSettings
from tally import backends
from tally.clock import SystemClock
from tally.forecast.families import FAMILIES
from tally.http_server import HttpServer
from tally.ids import DEFAULT_MODEL
from tally.internal_token import internal_token
from tally.ledger import Ledger
from tally.wire.messages import FITTERS, NODES, Fitter, Node, node_id


class Worker:
    """A forecast worker: loads what is published, answers brokers.

    Args:
        settings: ours.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings

    async def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until cancelled.

        Args:
            ready: called once the port is open.

        Raises:
            ConfigurationError: the settings do not allow to start.
        """
        settings = self._settings
        store = await backends.store(settings)
        coordinator = backends.coordinator(settings)
        live = Live(
            Ledger(store, SystemClock()),
            coordinator,
            grace_s=settings.swap_grace_s,
            extra=settings.extra_versions,
            changed=lambda: presence.changed(),
        )
        app = WorkerApp(live, internal_token(settings), lambda: _degraded(live, presence))
        server = HttpServer(app, settings.worker_host, settings.worker_port)
        host = settings.advertise_host or settings.worker_host

        def node() -> bytes:
            models = {serving.name: serving.version for serving in live.serving.values()}
            default = models.get(DEFAULT_MODEL, 0)
            return msgspec.json.encode(Node(host, server.port, default, dict(live.serving)))

        key = f"{NODES}{node_id(host, server.port)}"
        presence = Presence(coordinator, key, node, settings.lease_ttl_s)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(server.run())
                group.create_task(live.run())
                group.create_task(presence.run())
                ready()
        finally:
            await coordinator.close()
            await store.close()


class FitWorker:
    """A fit worker: takes fits from the queue, and keeps the ledger in order.

    Args:
        settings: ours.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings

    async def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Work until cancelled.

        Args:
            ready: called once it takes tickets.

        Raises:
            ConfigurationError: the settings do not allow to start.
        """
        settings, clock = self._settings, SystemClock()
        store = await backends.store(settings)
        coordinator = backends.coordinator(settings)
        queue = backends.queue(settings)
        ledger = Ledger(store, clock)
        children = Children()
        service = FitService(
            ledger,
            coordinator,
            children,
            timeout_s=settings.fit_timeout_s,
            beat_s=settings.claim_ttl_s / 4,
            max_tries=settings.fit_attempts,
        )
        host = settings.advertise_host or socket.gethostname()
        name = f"{host}_{os.getpid()}_{uuid.uuid4().hex[:8]}"
        loop = FitLoop(
            ledger, queue, service, worker=name, max_tries=settings.fit_attempts, renew_s=10.0
        )
        reconciler = Reconciler(
            ledger,
            queue,
            service,
            loop,
            clock,
            every_s=settings.reconcile_every_s,
            claim_ttl_s=settings.claim_ttl_s,
        )
        janitor = Janitor(
            ledger,
            clock,
            every_s=settings.reconcile_every_s,
            keep_versions=settings.keep_versions,
            keep_fits=settings.keep_fits,
            grace_s=settings.delete_grace_s,
        )
        algorithms = tuple(family.name for family in FAMILIES.values() if family.installed)
        value = msgspec.json.encode(Fitter(host, os.getpid(), algorithms))
        presence = Presence(coordinator, f"{FITTERS}{name}", lambda: value, settings.lease_ttl_s)
        try:
            children.warm()
            async with asyncio.TaskGroup() as group:
                group.create_task(loop.run())
                group.create_task(reconciler.run())
                group.create_task(janitor.run())
                group.create_task(presence.run())
                ready()
        finally:
            await children.close()
            await queue.close()
            await coordinator.close()
            await store.close()


def _degraded(live: Live, presence: Presence) -> dict[str, str]:
    wrong = {
        f"model {serving.name}": serving.degraded
        for serving in live.serving.values()
        if serving.degraded
    }
    if not presence.connected:
        wrong["coordination"] = "not registered"
    return wrong
