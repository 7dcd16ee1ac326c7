"""Puts a worker and a fit worker together; each runs until it is cancelled."""

from __future__ import annotations

import asyncio
import os
import socket
import uuid
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager

import aiohttp
import msgspec
from prometheus_client import start_http_server

from model_api.app import WorkerApp
from model_api.children import Children
from model_api.federation.gate import Gates
from model_api.federation.joining import AdminByHttp
from model_api.federation.options import FederationOptions
from model_api.federation.wiring import federation
from model_api.fit_loop import FitLoop
from model_api.fusion.limits import FusionLimits
from model_api.fusion.remote import remote_session
from model_api.fusion.wiring import fusion_gate
from model_api.heads import Heads
from model_api.janitor import Janitor, Keep
from model_api.live import Live
from model_api.metrics import REGISTRY
from model_api.presence import Presence
from model_api.projects.endpoints import ProjectsApp
from model_api.projects.homes import Homes
from model_api.projects.limits import home_limits
from model_api.projects.liveness import Liveness
from model_api.projects.model_moves import MovesElsewhere, MovesHere
from model_api.reconcile import Reconciler
from model_api.services.fit import FitService
from model_api.settings import WorkerSettings
from model_api.shards.asking import Asking
from model_api.shards.desk import Desk
from model_api.sweep import Sweep
from tally.backends import Backends, shared_or_own
from tally.clock import SystemClock
from tally.codec.frame import load_libraries
from tally.errors import ConfigurationError
from tally.forecast.families import FAMILIES
from tally.http_server import HttpServer
from tally.ids import DEFAULT_MODEL
from tally.internal_token import internal_token
from tally.ledger import Ledger
from tally.ledger import references as ledger_references
from tally.networks import Networks
from tally.options import Options
from tally.projects import references as project_references
from tally.projects.graves import Graves
from tally.projects.projects import Projects
from tally.routing.follow import Follower
from tally.routing.home_call import HomeCaller
from tally.routing.homes import Homes as Routing
from tally.wire.messages import FITTERS, MOVES, NODES, Fitter, Node, node_id

# Whatever writes blobs has its function here, or its bytes are taken for nobody's.
_REFERENCES = (ledger_references.referenced, project_references.referenced)
_SHORTEST_ORPHAN_AGE_S = 3600.0
_BEATS_PER_TTL = 4
_TICKET_RENEWAL_S = 10.0


class Worker:
    """A forecast worker: loads what is published, answers brokers.

    Args:
        settings: ours.
        shared: the backends of other services in this process; None: it opens its own.
    """

    def __init__(self, settings: WorkerSettings, shared: Backends | None = None) -> None:
        self._settings = settings
        self._shared = shared

    async def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until cancelled.

        Args:
            ready: called once the port is open.

        Raises:
            ConfigurationError: the settings do not allow to start.
        """
        settings, clock = self._settings, SystemClock()
        async with AsyncExitStack() as opened:
            own = shared_or_own(self._shared, settings)
            backends = await opened.enter_async_context(own)
            store, coordinator = await backends.store(), backends.coordinator()
            ledger = Ledger(store, clock)
            live = Live(
                ledger,
                clock,
                grace_s=settings.swap_grace_s,
                extra=settings.extra_versions,
                changed=lambda: presence.changed(),
            )
            heads = Heads(ledger, coordinator, live, clock)
            homes = Homes(
                Projects(store, clock),
                lambda: node_id(host, server.port),
                Liveness(coordinator),
                clock,
                home_limits(settings),
                moved=lambda project: moves.add(project),
            )
            token = internal_token(settings)
            # A fusion project's home asks the homes of its cells, which may be this one.
            follower = Follower(coordinator, clock, grace_s=2 * settings.lease_ttl_s)
            calls = await opened.enter_async_context(_session())
            caller = HomeCaller(follower, calls, token, settings.project_body_bytes)
            options = Options.read(settings.options_file)
            limits = FusionLimits.of(
                options, settings.project_body_bytes, Networks.parse(settings.outbound_networks)
            )
            remote = await opened.enter_async_context(remote_session(limits))
            routing = Routing(follower, caller, clock)
            gate = await fusion_gate(settings, homes, routing, remote, limits, clock)
            peers = federation(
                settings,
                homes,
                routing,
                follower,
                lambda: node_id(host, server.port),
                FederationOptions.of(options),
                AdminByHttp(remote, trust_all=limits.trust_all),
                limits.networks,
                clock,
            )
            desk = Desk(homes, Asking(routing, settings.project_wait_s / 2))
            projects = ProjectsApp(homes, Gates((gate, peers.gate)), desk)
            app = WorkerApp(
                live,
                token,
                lambda: _degraded(live, heads, presence),
                projects,
            )
            # Before anybody knows of us: the first learn would wait seconds for it.
            await asyncio.to_thread(load_libraries)
            # Listening from here on, so that the address is only told once it answers.
            server = HttpServer(app, settings.worker_host, settings.worker_port)
            host = settings.advertise_host or settings.worker_host

            def node() -> bytes:
                models = {serving.name: serving.version for serving in live.serving.values()}
                default = models.get(DEFAULT_MODEL, 0)
                return msgspec.json.encode(Node(host, server.port, default, dict(live.serving)))

            key = f"{NODES}{node_id(host, server.port)}"
            presence = Presence(coordinator, key, node, settings.lease_ttl_s, clock)
            moves = MovesHere(lambda: telling.changed())
            key = f"{MOVES}{node_id(host, server.port)}"
            telling = Presence(coordinator, key, moves.value, settings.lease_ttl_s, clock)
            hearing = MovesElsewhere(coordinator, projects.served.moved)
            async with asyncio.TaskGroup() as group:
                loops = (server.run, live.run, heads.run, presence.run, homes.run, follower.run)
                for loop in (*loops, peers.run):
                    group.create_task(loop())
                group.create_task(telling.run())
                group.create_task(hearing.run())
                ready()


def _session() -> aiohttp.ClientSession:
    # A call that waited for a connection would make its worker look dead.
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
    return aiohttp.ClientSession(connector=connector, auto_decompress=False)


class FitWorker:
    """A fit worker: takes fits from the queue, and keeps the ledger in order.

    Args:
        settings: ours.
        shared: the backends of other services in this process; None: it opens its own.
    """

    def __init__(self, settings: WorkerSettings, shared: Backends | None = None) -> None:
        self._settings = settings
        self._shared = shared

    async def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Work until cancelled.

        Args:
            ready: called once it takes tickets.

        Raises:
            ConfigurationError: the settings do not allow to start.
        """
        settings, clock = self._settings, SystemClock()
        async with AsyncExitStack() as opened:
            own = shared_or_own(self._shared, settings)
            backends = await opened.enter_async_context(own)
            store = await backends.store()
            coordinator, queue = backends.coordinator(), backends.queue()
            opened.enter_context(_metrics(settings))
            children = Children()
            opened.push_async_callback(children.close)

            host = settings.advertise_host or socket.gethostname()
            name = f"{host}_{os.getpid()}_{uuid.uuid4().hex[:8]}"
            algorithms = tuple(family.name for family in FAMILIES.values() if family.installed)
            value = msgspec.json.encode(Fitter(host, os.getpid(), algorithms))
            presence = Presence(
                coordinator, f"{FITTERS}{name}", lambda: value, settings.lease_ttl_s, clock
            )
            ledger = Ledger(store, clock)
            service = FitService(
                ledger,
                coordinator,
                children,
                timeout_s=settings.fit_timeout_s,
                store_wait_s=settings.store_wait_s,
                beat_s=settings.claim_ttl_s / _BEATS_PER_TTL,
                max_tries=settings.fit_attempts,
            )
            loop = FitLoop(
                ledger,
                queue,
                service,
                clock,
                worker=name,
                max_tries=settings.fit_attempts,
                renew_s=_TICKET_RENEWAL_S,
            )
            reconciler = Reconciler(
                ledger,
                queue,
                service,
                loop,
                clock,
                every_s=settings.reconcile_every_s,
                claim_ttl_s=settings.claim_ttl_s,
                settled=lambda: presence.settled,
            )
            keep = Keep(settings.keep_versions, settings.keep_fits, settings.delete_grace_s)
            janitor = Janitor(ledger, coordinator, clock, keep, every_s=settings.tidy_every_s)
            sweep = Sweep(store, _REFERENCES, clock, _orphan_age_s(settings))
            graves = Graves(Projects(store, clock), clock, settings.delete_grace_s)
            children.warm()
            async with asyncio.TaskGroup() as group:
                for each in (loop.run, reconciler.run, janitor.run, sweep.run, presence.run):
                    group.create_task(each())
                every_s = max(settings.tidy_every_s, settings.delete_grace_s / 2)
                group.create_task(graves.run(every_s))
                ready()


def _orphan_age_s(settings: WorkerSettings) -> float:
    """Return how long bytes may be nobody's: twice what the longest fit takes, and a grace."""
    longest_s = settings.fit_timeout_s + settings.store_wait_s + settings.delete_grace_s
    return max(_SHORTEST_ORPHAN_AGE_S, 2 * longest_s)


@contextmanager
def _metrics(settings: WorkerSettings) -> Iterator[None]:
    """Show a fit worker's metrics, which has no other port, if the settings say where."""
    if not settings.fit_metrics_port:
        yield
        return
    host, port = settings.worker_host, settings.fit_metrics_port
    try:
        server, thread = start_http_server(port, host, REGISTRY)
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _degraded(live: Live, heads: Heads, presence: Presence) -> dict[str, str]:
    wrong = {
        f"model {serving.name}": serving.degraded
        for serving in live.serving.values()
        if serving.degraded
    }
    if not presence.connected:
        wrong["coordination"] = "not registered"
    elif not heads.connected:
        wrong["coordination"] = "out of reach"
    return wrong
