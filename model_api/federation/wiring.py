"""Puts together what a worker needs to run peers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import structlog

from model_api.federation.cells import Fusions
from model_api.federation.exploring import PeerExploration
from model_api.federation.gate import FederationGate, closed_gate
from model_api.federation.joining import AdminByHttp
from model_api.federation.making import Making
from model_api.federation.options import FederationOptions
from model_api.federation.peers import Peers
from model_api.federation.secrets import reader
from model_api.federation.transports import InProcess, transports
from model_api.federation.unmaking import Unmaking
from model_api.federation.verbs import FederationVerbs
from model_api.federation.watching import PeerWatch
from model_api.projects.homes import Homes
from model_api.settings import WorkerSettings
from tally.clock import Clock, SystemClock
from tally.ids import NodeId
from tally.master_key import master_key
from tally.networks import Networks
from tally.projects.peers import PeerIndex
from tally.routing.follow import Follower
from tally.routing.homes import Homes as Routing
from tally.user_keys import UserKeys
from tally.users import Users

_EVERY_S = 1.0
IN_PROCESS = InProcess(SystemClock())
"""One for all workers of a process, as a broker is."""
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Federation:
    """What a worker has of federations.

    Attributes:
        gate: stands before every call.
        run: takes up the peers that nobody runs, until cancelled.
    """

    gate: FederationGate
    run: Callable[[], Coroutine[Any, Any, None]]


def federation(
    settings: WorkerSettings,
    homes: Homes,
    routing: Routing,
    follower: Follower,
    node: Callable[[], NodeId],
    options: FederationOptions,
    by_http: AdminByHttp,
    networks: Networks,
    clock: Clock,
) -> Federation:
    """Return what runs the peers of federated projects.

    Args:
        settings: ours.
        homes: the projects at home here.
        routing: asks homes of this installation.
        follower: knows the workers.
        node: our id; asked for once there is one.
        options: of the installation.
        by_http: reaches admins that do not answer at the broker.
        networks: where brokers of federations may be.
        clock: of everything.

    Raises:
        ConfigurationError: the master key cannot be used.
    """
    given = settings.master_key.get_secret_value() or settings.master_key_file
    if not given and urlsplit(settings.store()).scheme != "sqlite":
        _log.info("federated projects are closed", reason="there is no master key")
        return Federation(closed_gate(homes), _rest)
    master, store = master_key(settings), homes.projects.store
    homes.read_federated(reader(master))
    index = PeerIndex(store, clock)
    in_process = IN_PROCESS if options.in_process else None
    opened = transports(in_process, settings.queue_ca, networks)
    peers = Peers(homes, master, opened, options, index, Fusions(homes, routing))
    unmaking = Unmaking(homes, peers, index, master)
    making = Making(homes, peers, unmaking, master, options, by_http)
    keys = UserKeys(Users(store, master, clock), clock)
    verbs = FederationVerbs(homes, peers, making, master, keys, options)
    exploration = PeerExploration(homes, peers)
    gate = FederationGate(homes, {**verbs.verbs, "fedExplore": exploration.explore})
    watch = PeerWatch(homes, peers, index, unmaking, follower, node, _EVERY_S)
    return Federation(gate, watch.run)


async def _rest() -> None:
    await asyncio.Event().wait()
