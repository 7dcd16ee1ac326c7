"""Whoever makes a federated project may be killed at any step: the others bring it to an end."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import pytest

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
from tally.federation.events import Invite, Leave
from tally.federation.messages import Standing
from tally.federation.state import NodeState
from tally.federation.terms import Invitation, invitation
from tally.federation.transport import Transport
from tally.ids import NodeId
from tally.projects.peers import Entry, PeerIndex
from tally.projects.projects import new_project_uuid
from tally.routing.follow import Follower
from tally.routing.table import Table
from tally.store.sqlite import SqliteStore
from tally.wire.messages import Node
from tally.wire.projects import ProjectUuid
from tally.wire.status import Refused
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
    """How many calls a process makes before it is killed; None: it is not."""

    def __init__(self, left: int | None = None) -> None:
        self._left = left
        self.dead = asyncio.Event()

    def step(self) -> None:
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
                life.step()
                return await found(*args, **kwargs)

            return call

    return Mortal()


class Place:
    """A worker of one site."""

    def __init__(
        self, homes: Homes, store: SqliteStore, broker: InProcess, follower: Follower, life: Life
    ) -> None:
        homes.read_federated(reader(MASTER))
        opened = transports(broker)
        index = PeerIndex(store, homes.clock)

        def open_(seat: Seat) -> Transport:
            made: Transport = mortal(opened(seat), life)
            return made

        self.homes = homes
        self.peers = Peers(homes, MASTER, open_, OPTIONS, index)
        self.unmaking = Unmaking(homes, self.peers, index, MASTER)
        by_http = AdminByHttp(aiohttp.ClientSession.__new__(aiohttp.ClientSession), trust_all=False)
        self.making = Making(homes, self.peers, self.unmaking, MASTER, OPTIONS, by_http)
        node = next(iter(follower.table.nodes))
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
    async def place(self, site: str, life: Life | None = None) -> AsyncIterator[Place]:
        """Run a new worker of a site."""
        life = life or Life()
        self._count += 1
        name = NodeId(f"worker_{self._count}")
        follower = Follower(self._coordinator, self.clock, 0.0)
        follower.table = Table({name: Node("worker", self._count, 0)})
        opened = SqliteStore(self._folder / f"{site}.db")
        store = mortal(opened, life)
        async with worker(store, self.clock, Nodes(), name) as homes:
            yield Place(homes, store, self.broker, follower, life)
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


@pytest.fixture
def federations(
    tmp_path: Path, clock: ManualClock, coordinator: EmbeddedCoordinator
) -> Federations:
    return Federations(tmp_path, clock, coordinator)


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


async def test_of_a_federation_whose_maker_is_killed_there_is_all_or_nothing(
    federations: Federations,
) -> None:
    found = set()
    for steps in count():
        life, pid = Life(steps), f"m{steps}"
        async with federations.place("ann", life) as place:
            if not await killed(life, place.making.create(order(pid), TERMS)):
                break
        async with federations.place("ann") as place:
            await federations.settled(place)
            name = await place.homes.projects.names.find("c1", pid)
            if name is not None:
                running = await place.peers.ask(name.project)
                assert running.state.node is NodeState.IDLE
                await running.driver.tell(Leave(running.driver.now_ms()))
                await federations.gone(place, name.project)
            assert not any(broker.streams for broker in federations.broker.brokers.values())
            assert await place.entries() == {}
            found.add(name is not None)
    assert found == {False, True}


async def test_of_a_node_whose_maker_is_killed_the_federation_keeps_all_or_nothing(
    federations: Federations,
) -> None:
    found = set()
    async with federations.place("ann") as admin:
        await admin.making.create(order("m"), TERMS)
        (federation,) = await admin.entries()
        for steps in count():
            life, asked = Life(steps), order(f"m{steps}")
            terms = await invited(admin, federation)
            async with federations.place("bob", life) as place:
                if not await killed(life, place.making.join(asked, terms)):
                    break
            async with federations.place("bob") as place:
                await federations.settled(place)
                name = await place.homes.projects.names.find("c1", asked.pid)
                if name is not None:
                    running = await place.peers.ask(name.project)
                    assert member(admin, federation, asked) is Standing.ACTIVE
                    await running.driver.tell(Leave(running.driver.now_ms()))
                    await federations.gone(place, name.project)
                await eventually(partial(left, admin, federation, asked), "the admin lets it go")
                assert await place.entries() == {}
            (broker,) = federations.broker.brokers.values()
            assert broker.asked.keys() == {federation}
            errors = (await admin.peers.ask(federation)).state.errors.entries
            assert errors == ()  # nobody says goodbye who never came
            found.add(name is not None)
    assert found == {False, True}


async def test_a_federation_in_memory_ends_for_all_when_its_admins_worker_dies(
    federations: Federations,
) -> None:
    async with federations.place("bob") as other:
        async with federations.place("ann") as place:
            asked = order("m", persisted=False)
            await place.making.create(asked, TERMS)
            joined = order("m")
            await other.making.join(joined, await invited(place, asked.project))
        async with federations.place("ann") as place:
            await place.watch.walk()
            assert place.peers.running(asked.project) is None
            await federations.clock.advance(MAKING_S + 1)
            await place.watch.walk()

            async def detached() -> bool:
                return (await other.peers.ask(joined.project)).state.node is NodeState.DETACHED

            async def ended() -> bool:
                await federations.clock.advance(1.0)
                federations.wake()
                return await place.entries() == {}

            await eventually(detached, "the other one hears of the end")
            await eventually(ended, "nothing is left")


async def test_who_fails_undoes_at_once_and_who_cannot_is_helped(
    federations: Federations,
) -> None:
    async with federations.place("ann") as place:
        first = order("taken")
        await place.making.create(first, TERMS)
        with pytest.raises(Refused, match="already"):
            await place.making.create(order("taken"), TERMS)
        assert (await place.entries()).keys() == {first.project}
        assert sum(bool(broker.streams) for broker in federations.broker.brokers.values()) == 1
        terms = {**TERMS, "nats_hosts": "nats://127.0.0.1:1"}
        with pytest.raises(Refused, match="Cannot create federation"):
            await place.making.create(order("away"), terms)
        (entry,) = [one for one in (await place.entries()).values() if not one.made]
        assert len(entry.undo) == 1
        assert "127.0.0.1" not in repr(entry.undo[0].box)
        # After a day nobody tries any more.
        await federations.clock.advance(25 * 3600.0)
        await place.watch.walk()
        await federations.clock.advance(MAKING_S)
        await place.watch.walk()
        await eventually(lambda: only(place, first.project), "the other one is forgotten")


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


def member(place: Place, federation: ProjectUuid, asked: Order) -> Standing | None:
    """Return how the admin has another peer in its roster."""
    running = place.peers.running(federation)
    assert running is not None
    found = running.state.member(asked.project)
    return None if found is None else found.state


async def left(place: Place, federation: ProjectUuid, asked: Order) -> bool:
    return member(place, federation, asked) in (None, Standing.LEFT)


async def only(place: Place, project: ProjectUuid) -> bool:
    return (await place.entries()).keys() == {project}
