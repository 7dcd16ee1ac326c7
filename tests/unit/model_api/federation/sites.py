"""Sites that meet in federations in this process, and whose workers may die at any step."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from model_api.federation.cells import Fusions
from model_api.federation.joining import AdminByHttp
from model_api.federation.making import Making, Order
from model_api.federation.options import FederationOptions
from model_api.federation.peers import Peers
from model_api.federation.secrets import reader
from model_api.federation.transports import InProcess, Seat, transports
from model_api.federation.unmaking import Unmaking
from model_api.federation.watching import MAKING_S, PeerWatch
from model_api.projects.homes import Homes
from tally.clock import ManualClock
from tally.coordination.embedded import EmbeddedCoordinator
from tally.federation.effects import Invited
from tally.federation.events import Invite
from tally.federation.terms import Invitation, invitation
from tally.federation.transport import Transport
from tally.ids import NodeId
from tally.master_key import MasterKey
from tally.networks import Networks
from tally.projects.peers import Entry, PeerIndex
from tally.projects.projects import new_project_uuid
from tally.routing.follow import Follower
from tally.routing.homes import Homes as Routing
from tally.routing.table import Table
from tally.store.sqlite import SqliteStore
from tally.wire.messages import Node
from tally.wire.projects import ProjectUuid
from tests.unit.model_api.acts import eventually
from tests.unit.model_api.federation.acts import MASTER
from tests.unit.model_api.projects.acts import Nodes, worker

TERMS = {
    "fed_name": "f",
    "sync_sched": "s1",
    "nats_hosts": "memory:",
    "fed_enforce_hipaa_compliance": "false",
}
OPTIONS = FederationOptions(allow_seconds=True, in_process=True)


class Killed(BaseException):
    """The process ends here; nothing of it goes on."""


class Life:
    """How many calls a process makes before it is killed; None: it is not.

    Attributes:
        dead: it was.
        away: what its calls of the store are answered with meanwhile; None: as they should be.
    """

    def __init__(self, left: int | None = None) -> None:
        self._left = left
        self.dead = asyncio.Event()
        self.away: Exception | None = None

    def step(self, *, stored: bool) -> None:
        if stored and self.away is not None:
            raise self.away
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                self.dead.set()
                raise Killed


def mortal(part: Any, life: Life) -> Any:
    """Return something whose calls are those of a life."""

    class Mortal:
        def __getattr__(self, name: str) -> Any:
            found = getattr(part, name)
            if not inspect.iscoroutinefunction(found):
                return found

            async def call(*args: object, **kwargs: object) -> object:
                life.step(stored=isinstance(part, SqliteStore))
                return await found(*args, **kwargs)

            return call

    return Mortal()


class Place:
    """A worker of one site."""

    def __init__(
        self,
        homes: Homes,
        store: SqliteStore,
        broker: InProcess,
        follower: Follower,
        life: Life,
        master: MasterKey,
    ) -> None:
        homes.read_federated(reader(master))
        opened = transports(broker, None, Networks())
        index = PeerIndex(store, homes.clock)

        def open_(seat: Seat) -> Transport:
            made: Transport = mortal(opened(seat), life)
            return made

        self.homes = homes
        fusions = Fusions(homes, Routing.__new__(Routing))  # no local project here is one
        self.peers = Peers(homes, master, open_, OPTIONS, index, fusions)
        self.unmaking = Unmaking(homes, self.peers, index, master)
        by_http = AdminByHttp(aiohttp.ClientSession.__new__(aiohttp.ClientSession), trust_all=False)
        self.making = Making(homes, self.peers, self.unmaking, master, OPTIONS, by_http)
        node = next(iter(follower.table.nodes))
        self.follower = follower
        self.watch = PeerWatch(
            homes, self.peers, index, self.unmaking, follower, lambda: node, every_s=1.0
        )

    async def entries(self) -> dict[ProjectUuid, Entry]:
        index = PeerIndex(self.homes.projects.store, self.homes.clock)
        return {project: entry async for project, entry in index.walk()}


class Federations:
    """Sites of one customer each, which meet at one broker."""

    def __init__(self, folder: Path, clock: ManualClock, coordinator: EmbeddedCoordinator) -> None:
        self.clock = clock
        self.broker = InProcess(clock)
        self._folder = folder
        self._coordinator = coordinator
        self._count = 0

    @asynccontextmanager
    async def place(
        self, site: str, life: Life | None = None, master: MasterKey = MASTER
    ) -> AsyncIterator[Place]:
        """Run a new worker of a site."""
        life = life or Life()
        self._count += 1
        name = NodeId(f"worker_{self._count}")
        follower = Follower(self._coordinator, self.clock, 0.0)
        follower.table = Table({name: Node("worker", self._count, 0)})
        opened = SqliteStore(self._folder / f"{site}.db")
        store = mortal(opened, life)
        async with worker(store, self.clock, Nodes(), name) as homes:
            yield Place(homes, store, self.broker, follower, life, master)
        await opened.close()

    async def settled(self, place: Place) -> None:
        """Return once nothing is to be undone any more at a site."""
        await place.watch.walk()
        await self.clock.advance(MAKING_S + 1)

        async def settled() -> bool:
            await place.watch.walk()
            await self.clock.advance(1.0)
            self.wake()
            return all(entry.made and not entry.undo for entry in (await place.entries()).values())

        await eventually(settled, "all is settled")

    def wake(self) -> None:
        """Have whoever waits for messages look at the clock."""
        for broker in self.broker.brokers.values():
            broker.woken()

    async def gone(self, place: Place, project: ProjectUuid) -> None:
        """Return once a peer that says goodbye has gone, and its project with it."""

        async def gone() -> bool:
            await self.clock.advance(1.0)
            self.wake()
            return place.peers.running(project) is None

        await eventually(gone, "the peer is gone")


def order(pid: str, *, persisted: bool = True) -> Order:
    return Order(new_project_uuid(), "c1", pid, persisted)


async def killed(life: Life, making: Coroutine[Any, Any, None]) -> bool:
    """Run something until its process is killed; return whether it was."""
    task, death = asyncio.create_task(making), asyncio.create_task(life.dead.wait())
    await asyncio.wait({task, death}, return_when=asyncio.FIRST_COMPLETED)
    for one in (task, death):
        one.cancel()
    await asyncio.gather(task, death, return_exceptions=True)
    return life.dead.is_set()


async def invited(place: Place, federation: ProjectUuid) -> dict[str, str]:
    """Return an invitation."""
    running = await place.peers.ask(federation)
    effects = await running.driver.tell(Invite(running.driver.now_ms(), 3_600_000))
    (token,) = (effect.token for effect in effects if isinstance(effect, Invited))
    settings, secrets = running.state.settings, running.secrets
    told = Invitation(
        secret=secrets.secret,
        token=token,
        admin=settings.admin,
        admin_public=settings.admin_public,
    )
    return invitation(secrets.terms, told)
