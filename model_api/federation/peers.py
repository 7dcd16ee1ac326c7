"""The peers that run on this worker: one driver for each federated project at home here.

A peer runs as long as its project is at home here: it answers joiners and hears others also while
it does not pulse. What it knows is the project's state, saved by the home before anything is
sent; so a driver that ends, for whatever reason, is followed by another from that state.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from functools import partial

import structlog

from model_api.federation.cells import Fusions
from model_api.federation.metrics import ENDED, PEERS, PULSING, REMOTE, UNCONNECTED, WITHHOLDING
from model_api.federation.options import FederationOptions
from model_api.federation.secrets import Secrets, opened
from model_api.federation.site import Site
from model_api.federation.state import Federated
from model_api.federation.transports import OpenTransport, Seat
from model_api.projects.home import Home
from model_api.projects.homes import Homes
from tally.errors import NotFound, TallyError, Unavailable
from tally.federation import persistence
from tally.federation.driver import Driver
from tally.federation.peer import Peer
from tally.federation.ports import Journal
from tally.federation.state import NodeState, PeerState, PeerStatus
from tally.federation.statistics import StatisticsRules
from tally.federation.transport import Transport
from tally.ids import NodeId
from tally.master_key import MasterKey
from tally.projects.errors import NotHome
from tally.projects.peers import PeerIndex
from tally.wire import texts
from tally.wire.projects import ProjectUuid
from tally.wire.status import Refused

_START_S = 20.0
_FIRST_BACKOFF_S, _MAX_BACKOFF_S = 1.0, 60.0
_log = structlog.get_logger()


@dataclass(slots=True)
class Running:
    """A peer that runs here.

    Attributes:
        project: whose.
        secrets: its keys.
        transport: its way to the others.
        started: set once it has taken up its state, or raises why it could not.
        feeding: its driver; None until it has read its state.
    """

    project: ProjectUuid
    secrets: Secrets
    transport: Transport
    started: asyncio.Future[None] = field(repr=False)
    feeding: Driver | None = field(default=None, repr=False)

    @property
    def driver(self) -> Driver:
        """What feeds it, once it has started."""
        assert self.feeding is not None, f"peer of project {self.project} has not started"
        return self.feeding

    @property
    def state(self) -> PeerState:
        """What it knows."""
        return self.driver.state


@dataclass(slots=True)
class _Failed:
    """When a peer whose driver has failed is started again."""

    backoff_s: float
    not_before_s: float


class Peers:
    """Runs them.

    Args:
        homes: the projects at home here; it owns the tasks.
        master: opens the peers' keys.
        open_transport: by a peer's terms.
        options: of the installation.
        index: of all federated projects.
        fusions: those that are local projects.
    """

    def __init__(
        self,
        homes: Homes,
        master: MasterKey,
        open_transport: OpenTransport,
        options: FederationOptions,
        index: PeerIndex,
        fusions: Fusions,
    ) -> None:
        self._homes = homes
        self._master = master
        self.open_transport = open_transport
        self._options = options
        self._index = index
        self.fusions = fusions
        self._running: dict[ProjectUuid, Running] = {}
        self._failed: dict[ProjectUuid, _Failed] = {}
        PEERS.set_function(lambda: len(self._running))
        PULSING.set_function(lambda: self._count(_pulses))
        UNCONNECTED.set_function(lambda: self._count(lambda one: not one.connected))
        WITHHOLDING.set_function(lambda: self._count(lambda one: bool(one.state.not_shared)))
        for status in PeerStatus:
            REMOTE.labels(status.value).set_function(partial(self._remote, status))

    def running(self, project: ProjectUuid) -> Running | None:
        """Return a peer that runs here, or is being started; None: it does not."""
        return self._running.get(project)

    def rests(self, project: ProjectUuid) -> bool:
        """Tell whether a peer has failed so shortly ago that it is left alone for now."""
        failed = self._failed.get(project)
        return failed is not None and self._homes.clock.monotonic() < failed.not_before_s

    async def ask(self, project: ProjectUuid, suspects: Collection[NodeId] = ()) -> Running:
        """Return a peer that runs here, started if need be.

        Raises:
            Refused: the project is not a federated one.
            NotFound, NotHome: it is not here.
            Unavailable: its peer could not be started in time.
        """
        running = await self.take(project, suspects)
        try:
            async with asyncio.timeout(_START_S):
                await asyncio.shield(running.started)
        except TimeoutError:
            raise Unavailable("the peer is still starting") from None
        return running

    async def take(self, project: ProjectUuid, suspects: Collection[NodeId] = ()) -> Running:
        """Return a peer that runs here, or is being started.

        Raises:
            Refused: the project is not a federated one.
            NotFound, NotHome: it is not here.
        """
        home = await self._homes.ask(project, suspects)
        if home.federated is None:
            raise Refused(texts.not_federated(home.head.pid))
        return self._running.get(project) or self._start(home, home.federated)

    def site(self, project: ProjectUuid) -> Site:
        """Return what a peer's projects do for it."""
        return Site(self._homes, project, self._options, self.fusions)

    def driver(
        self,
        project: ProjectUuid,
        secrets: Secrets,
        state: PeerState,
        transport: Transport,
        journal: Journal | None = None,
    ) -> Driver:
        """Return what drives a peer from a state.

        Args:
            project, secrets, state, transport: of the peer.
            journal: keeps its state; None: the project does.
        """
        terms, options = secrets.terms, self._options
        rules = StatisticsRules(
            secrets.patients_key, options.percent, terms.partition, strict=options.strict
        )
        site = self.site(project)
        keys, identity = secrets.keys(), secrets.identity(project)
        return Driver(
            Peer(keys, identity, rules),
            keys,
            state,
            transport,
            site,
            journal or site,
            self._homes.clock,
            self._homes.threads.run,
        )

    def _start(self, home: Home, federated: Federated) -> Running:
        project = home.held.project
        secrets = opened(self._master, federated.secrets, project)
        transport = self.open_transport(
            Seat(
                secrets.terms.nats,
                secrets.keys(),
                secrets.identity(project),
                federated.told["fed_is_admin"] == "true",
            )
        )
        running = Running(
            project,
            secrets,
            transport,
            asyncio.get_running_loop().create_future(),
        )
        running.started.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._running[project] = running
        self._homes.start(self._run(running, federated))
        return running

    async def _run(self, running: Running, federated: Federated) -> None:
        project, reason = running.project, "failed"
        try:
            state = await self._homes.threads.run(persistence.load, federated.peer, federated.blobs)
            state = self._options.held_by(state)
            driver = self.driver(project, running.secrets, state, running.transport)
            # Whoever ran it before may not know yet that it no longer does.
            await driver.resume(takeover=True)
            running.feeding = driver
            running.started.set_result(None)
            self._failed.pop(project, None)
            _log.info("peer runs", project=project, node=running.state.node)
            await running.driver.run()
            await self._homes.delete(project, "")
            await self._index.remove(project)
            reason = "gone"
        except (NotHome, NotFound) as error:
            reason = "moved"
            self._tell(running, error)
        except TallyError as error:
            self.put_off(project)
            _log.warning("peer stopped", project=project, code=error.code, reason=str(error))
            self._tell(running, error)
        except Exception as error:
            # A defect, or a broker's client that raises what it should not: the others go on.
            self.put_off(project)
            _log.error("peer failed", project=project, exc_info=error)
            self._tell(running, Unavailable("the peer failed; its worker's log tells more"))
        finally:
            self._tell(running, Unavailable("this worker is stopping"))
            self._running.pop(project, None)
            ENDED.labels(reason).inc()
            await _close(running.transport)

    def _tell(self, running: Running, error: TallyError) -> None:
        if not running.started.done():
            running.started.set_exception(error)

    def put_off(self, project: ProjectUuid) -> None:
        """Leave a peer alone that could not be run, longer each time."""
        failed = self._failed.get(project)
        backoff_s = (
            _FIRST_BACKOFF_S if failed is None else min(2 * failed.backoff_s, _MAX_BACKOFF_S)
        )
        self._failed[project] = _Failed(backoff_s, self._homes.clock.monotonic() + backoff_s)

    def _count(self, condition: Callable[[Driver], bool]) -> int:
        return sum(map(condition, self._drivers()))

    def _remote(self, status: PeerStatus) -> int:
        states = [driver.state for driver in self._drivers()]
        return sum(
            state.status_of(member.uuid) is status
            for state in states
            for member in state.roster.peers
            if member.uuid != state.settings.uuid
        )

    def _drivers(self) -> Iterator[Driver]:
        for running in tuple(self._running.values()):
            if running.feeding is not None:
                yield running.feeding


async def _close(transport: Transport) -> None:
    try:
        async with asyncio.timeout(_START_S):
            await transport.close()
    except (TallyError, TimeoutError) as error:
        _log.warning("transport not closed", reason=str(error))


def _pulses(driver: Driver) -> bool:
    return driver.state.node is NodeState.PULSING
