"""Peers and their broker in virtual time: whoever is due next acts, until a moment has come."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Generic, Protocol, TypeVar

from tally.federation import persistence
from tally.federation.driver import Driver
from tally.federation.effects import Invited
from tally.federation.events import Invite
from tally.federation.faults import Faults
from tally.federation.keys import Identity
from tally.federation.memory import MemoryBroker, MemoryTransport
from tally.federation.peer import Peer
from tally.federation.ports import Home
from tally.federation.rules import Rules
from tally.federation.simulation.clocks import NodeClock, Timeline
from tally.federation.simulation.signatures import RememberingKeys
from tally.federation.state import NodeState, PeerState, Settings, created, joining
from tally.federation.transport import TransportUnavailable

RECONNECT_MS = 1000
MAX_TURNS = 1000
INVITATION_MS = 2 * 3600 * 1000
_SECRET = bytes(range(16))


class Site(Home, Protocol):
    """A peer's projects, as a simulation needs them."""

    def crash(self) -> None:
        """Lose what is only in memory."""
        ...


S = TypeVar("S", bound=Site)
T = TypeVar("T")


class Standstill(Exception):
    """Virtual time does not go on any more."""


class Crash(Exception):
    """The node ended here, in the middle of what it did."""


class MemoryJournal:
    """A disk: it keeps what was saved, also when its node ends while saving.

    Attributes:
        dies: asked before and after each save, whether the node ends there.
    """

    def __init__(self) -> None:
        self.saved: tuple[bytes, Mapping[str, bytes]] | None = None
        self.dies: Callable[[], bool] = lambda: False

    async def load(self) -> tuple[bytes, Mapping[str, bytes]] | None:
        """See `Journal`."""
        return self.saved

    async def save(self, record: bytes, snapshots: Mapping[str, bytes]) -> None:
        """See `Journal`."""
        if self.dies():
            raise Crash
        self.saved = (record, dict(snapshots))
        if self.dies():
            raise Crash


class Node(Generic[S]):
    """One peer's machine: what survives on it, and the driver while it runs.

    Attributes:
        driver: None while it is down.
        restart_ms: when it comes up again.
    """

    def __init__(self, number: int, site: S, world: World[S]) -> None:
        self.uuid = f"{number:032x}"
        self.name = f"peer {number}"
        self.site = site
        self.clock = NodeClock(world.timeline)
        self.journal = MemoryJournal()
        self.identity = Identity(self.uuid, world.rng.randbytes(32))
        self.transport = MemoryTransport(world.broker, self.uuid)
        self.driver: Driver | None = None
        self.restart_ms: int | None = None
        self.reconnect_ms = 0

    @property
    def state(self) -> PeerState:
        """What the peer knows, running or not."""
        if self.driver is not None:
            return self.driver.state
        assert self.journal.saved is not None, "a node is saved before it is seen"
        return persistence.load(*self.journal.saved)

    @property
    def up(self) -> Driver:
        """The driver of a node that runs."""
        assert self.driver is not None, f"{self.name} is down"
        return self.driver


class World(Generic[S]):
    """A federation.

    Args:
        seed: of everything that is random.
        site: makes a peer's projects from its uuid.
        rules: of privacy and contract, the same for all.
        sync_sched: the schedule.
        settings: of every peer, beside those that tell who it is.

    Attributes:
        nodes: the first is the admin.
        crashes: of nodes, so far.
    """

    def __init__(
        self,
        seed: int,
        site: Callable[[str], S],
        rules: Rules,
        *,
        sync_sched: str = "m1",
        **settings: Any,
    ) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - replayed
        self.timeline = Timeline()
        self.faults = Faults(self.rng)
        self.broker = MemoryBroker(lambda: self.timeline.now_ms, self.faults)
        self.keys = RememberingKeys("simulated", _SECRET)
        self.nodes: list[Node[S]] = []
        self.crashes = 0
        self._site = site
        self._rules = rules
        self._sync_sched = sync_sched
        self._settings = settings

    @property
    def admin(self) -> Node[S]:
        """The first peer."""
        return self.nodes[0]

    async def create(self, peers: int) -> None:
        """Begin a federation of so many, none of which pulses yet."""
        admin = self._add()
        admin.driver = self._driver(admin, self._created(admin))
        await admin.driver.begin()
        await admin.transport.create()
        await admin.driver.connect()
        for _ in range(peers - 1):
            await self.join()

    async def join(self) -> Node[S]:
        """Add a peer by an invitation."""
        token = await self.invite()
        node = await self.add_joiner()
        await node.up.connect()
        await self.ask_to_join(node, token)
        return node

    async def add_joiner(self) -> Node[S]:
        """Add a node that is about to ask for its way in."""
        node = self._add()
        node.driver = self._driver(node, self._joining(node))
        await node.driver.begin()
        return node

    async def invite(self) -> str:
        """Return a token."""
        effects = await self.admin.up.tell(Invite(self._now_ms, INVITATION_MS))
        return next(effect.token for effect in effects if isinstance(effect, Invited))

    async def ask_to_join(self, node: Node[S], token: str) -> None:
        """Ask the admin to let a node in."""
        await self.served(node.up.join(token), self.admin)

    async def served(self, call: Coroutine[Any, Any, T], by: Node[S]) -> T:
        """Return what a call returns that asks another node, which answers meanwhile."""
        task = asyncio.ensure_future(call)
        try:
            for _ in range(100):
                await asyncio.sleep(0)
                if task.done():
                    break
                if by.driver is not None:
                    await self.guarded(by, by.driver.drain())
            else:
                raise TransportUnavailable(f"{by.name} does not answer")
            return task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def start(self, node: Node[S]) -> None:
        """Let a peer pulse."""
        await self.guarded(node, node.up.start_pulse())

    async def start_all(self) -> None:
        """Let every peer that runs pulse."""
        for node in self.nodes:
            await self.start(node)

    def crash(self, node: Node[S], restart_ms: int) -> None:
        """End a node, which comes up again after so long with what it has saved."""
        self.crashes += 1
        node.driver = None
        node.site.crash()
        node.restart_ms = self._now_ms + restart_ms

    def restart_broker(self) -> None:
        """End the broker and begin it again, without what it held in memory."""
        self.broker.restart()

    async def guarded(self, node: Node[S], call: Coroutine[Any, Any, object]) -> bool:
        """Tell whether a call came to its end; a crash of the node, or a lost broker, ends it."""
        try:
            await call
        except Crash:
            self.crash(node, self.rng.randint(1_000, 200_000))
            return False
        except TransportUnavailable:
            if node.driver is not None:
                node.driver.connected = False
                node.reconnect_ms = self._now_ms + RECONNECT_MS
            return False
        return True

    async def run_for(self, duration_ms: int) -> None:
        """Let so much time pass.

        Raises:
            Standstill: it does not, for somebody has something to do again and again.
        """
        end_ms, turns = self._now_ms + duration_ms, 0
        while (moment_ms := self._next_moment()) <= end_ms:
            turns = turns + 1 if moment_ms == self._now_ms else 0
            if turns > MAX_TURNS:
                busy = [node.name for node in self.nodes if self._next_of(node) <= moment_ms]
                raise Standstill(f"always busy at {moment_ms}: {busy}")
            await self.timeline.move_to(moment_ms)
            for node in self.nodes:
                await self._act(node)
        await self.timeline.move_to(end_ms)

    @property
    def _now_ms(self) -> int:
        return self.timeline.now_ms

    def _next_moment(self) -> int:
        moments = [self._next_of(node) for node in self.nodes]
        return max(self._now_ms, min(moments))

    def _next_of(self, node: Node[S]) -> int:
        """Return when a node has something to do; far away if never."""
        never = 2**62
        if node.driver is None:
            return node.restart_ms if node.restart_ms is not None else never
        if node.driver.state.node is NodeState.GONE:
            return never
        wake_ms = node.driver.wake_ms
        moments = [never if wake_ms is None else wake_ms - node.clock.skew_ms]
        if not node.driver.connected:
            moments.append(node.reconnect_ms)
        else:
            due_ms = node.transport.next_due_ms
            moments.append(never if due_ms is None else due_ms)
        return min(moments)

    async def _act(self, node: Node[S]) -> None:
        if self._next_of(node) > self._now_ms:
            return
        if node.driver is None:
            await self._bring_up(node)
            return
        driver = node.driver
        if not driver.connected:
            if self._now_ms >= node.reconnect_ms:
                node.reconnect_ms = self._now_ms + RECONNECT_MS
                await self.guarded(node, driver.connect())
        elif (due_ms := node.transport.next_due_ms) is not None and due_ms <= self._now_ms:
            await self.guarded(node, driver.drain())
        due = driver.wake_ms is not None and driver.now_ms() >= driver.wake_ms
        if due and node.driver is driver:
            await self.guarded(node, driver.wake())

    async def _bring_up(self, node: Node[S]) -> None:
        node.restart_ms = None
        node.transport = MemoryTransport(self.broker, node.uuid)
        node.driver = self._driver(node, node.state)
        # Every other time by another worker, which knows the record only.
        takeover = self.rng.random() < 0.5
        await self.guarded(node, node.driver.resume(takeover=takeover))

    def _add(self) -> Node[S]:
        number = len(self.nodes) + 1
        node = Node(number, self._site(f"{number:032x}"), self)
        self.nodes.append(node)
        return node

    def _created(self, node: Node[S]) -> PeerState:
        return created(self._terms(node), sync_sched=self._sync_sched, now_ms=self._now_ms)

    def _joining(self, node: Node[S]) -> PeerState:
        return joining(self._terms(node), sync_sched=self._sync_sched, now_ms=self._now_ms)

    def _terms(self, node: Node[S]) -> Settings:
        return Settings(
            uuid=node.uuid,
            name=node.name,
            federation="simulated",
            admin=self.admin.uuid,
            admin_public=self.admin.identity.public,
            **self._settings,
        )

    def _driver(self, node: Node[S], state: PeerState) -> Driver:
        peer = Peer(self.keys, node.identity, self._rules, self.rng.randbytes)
        return Driver(
            peer,
            self.keys,
            state,
            node.transport,
            node.site,
            node.journal,
            node.clock,
            _inline,
        )


async def _inline(call: Callable[..., Any], /, *args: Any) -> Any:
    return call(*args)
