"""What happens to a simulated federation: rows come and go while everything fails; then it heals.

All of it is drawn from the world's seed, so that a story is told again by its seed.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from tally.errors import TallyError
from tally.federation.events import (
    Event,
    Leave,
    NewContract,
    NewSchedule,
    StopPulse,
)
from tally.federation.simulation.world import Crash, Node, Site, World
from tally.federation.state import NodeState

ROUND_MS = 60_000
HEALING_MS = 16 * ROUND_MS
MAX_LATE_JOINERS = 2
_MAX_SKEW_MS = 20 * ROUND_MS
_MANY_DELIVERIES = 1000


class Learner(Site, Protocol):
    """A site whose rows come and go."""

    def learn(self, count: int) -> None:
        """Learn new rows."""
        ...

    def forget(self, count: int) -> None:
        """Forget old rows."""
        ...

    def finish(self) -> None:
        """Change for the last time, by so much that all changes so far may be shared."""
        ...


L = TypeVar("L", bound=Learner)


@dataclass(frozen=True, slots=True)
class Chances:
    """How likely each thing is in a round; of peers, for each of them."""

    learn: float = 0.5
    forget: float = 0.2
    cut_off: float = 0.08
    reach_again: float = 0.4
    crash: float = 0.06
    crash_while_saving: float = 0.01
    skew: float = 0.04
    right_again: float = 0.3
    pause: float = 0.03
    leave: float = 0.02
    join: float = 0.15
    restart_broker: float = 0.08
    new_schedule: float = 0.05
    new_contract: float = 0.08


class Story(Generic[L]):
    """A federation's life.

    Args:
        world: in which nobody pulses yet.
        least: so many rows may be shared, added or forgotten at once.
        contracts: of which the admin chooses now and then.
        chances: of what may happen.

    Attributes:
        left: the peers that have gone.
    """

    def __init__(
        self,
        world: World[L],
        least: int,
        contracts: tuple[tuple[str, ...], ...] = (),
        chances: Chances | None = None,
    ) -> None:
        self._world = world
        self._rng = world.rng
        self._least = least
        self._contracts = contracts
        self._chances = chances or Chances()
        self._tokens: dict[str, str] = {}
        self._events: Counter[str] = Counter()
        self.left: set[str] = set()

    @property
    def happened(self) -> dict[str, int]:
        """How often each thing happened, in words; what did not is left out."""
        world = self._world
        return dict(self._events + world.faults.happened + Counter(crashes=world.crashes))

    async def suffer(self, rounds: int) -> None:
        """Let everything go wrong for so many rounds."""
        world, faults, rng = self._world, self._world.faults, self._rng
        for node in world.nodes:
            node.site.learn(rng.randint(0, 4 * self._least))
        await world.start_all()
        faults.drop, faults.miss = rng.random() * 0.3, rng.random() * 0.3
        faults.repeat, faults.delay_ms = rng.random(), rng.randint(0, 2 * ROUND_MS)
        # Whoever fails for long enough loses control messages for ever: a promise of the broker
        # that is not the protocol's to keep.
        faults.max_deliver = _MANY_DELIVERIES
        for _ in range(rounds):
            await self._federation_round()
            for node in [node for node in world.nodes if node.uuid not in self.left]:
                await self._peer_round(node)
                await world.run_for(rng.randint(0, ROUND_MS) // len(world.nodes))

    async def heal(self) -> None:
        """Put everything right, change every local project once more, and wait."""
        world = self._world
        world.faults.heal()
        for node in world.nodes:
            node.clock.skew_ms = 0
            node.journal.dies = lambda: False
            if node.restart_ms is not None:
                node.restart_ms = min(node.restart_ms, world.timeline.now_ms)
        await world.run_for(ROUND_MS)
        await self._command(world.admin, NewContract(world.timeline.now_ms, ()))
        for node in [node for node in world.nodes if node.uuid not in self.left]:
            await self._finish_joining(node)
            await self._guarded(node, node.up.start_pulse())
            node.site.finish()
        await world.run_for(HEALING_MS)

    @property
    def living(self) -> list[Node[L]]:
        """The peers that have not gone."""
        return [node for node in self._world.nodes if node.uuid not in self.left]

    async def _federation_round(self) -> None:
        world, chances = self._world, self._chances
        if self._happens(chances.restart_broker):
            self._events["restarts of the broker"] += 1
            world.restart_broker()
        if self._happens(chances.join) and len(self._tokens) < MAX_LATE_JOINERS:
            await self._join_late()
        if self._happens(chances.new_schedule):
            sched = self._rng.choice(("m1", "m2"))
            await self._command(world.admin, NewSchedule(world.timeline.now_ms, sched))
        if self._contracts and self._happens(chances.new_contract):
            rules = self._rng.choice(self._contracts)
            await self._command(world.admin, NewContract(world.timeline.now_ms, rules))

    async def _peer_round(self, node: Node[L]) -> None:
        world, chances, rng = self._world, self._chances, self._rng
        if self._happens(chances.learn):
            node.site.learn(rng.randint(1, 2 * self._least))
        if self._happens(chances.forget):
            node.site.forget(rng.randint(1, self._least))
        if self._happens(chances.cut_off):
            self._events["peers cut off"] += 1
            world.faults.cut_off.add(node.uuid)
        elif self._happens(chances.reach_again):
            world.faults.cut_off.discard(node.uuid)
        if self._happens(chances.skew):
            self._events["clocks put wrong"] += 1
            node.clock.skew_ms = rng.randint(-_MAX_SKEW_MS, _MAX_SKEW_MS)
        elif self._happens(chances.right_again):
            node.clock.skew_ms = 0
        node.journal.dies = lambda: self._happens(chances.crash_while_saving)
        await self._finish_joining(node)
        if node.driver is None:
            return
        if self._happens(chances.crash):
            world.crash(node, rng.randint(1000, 4 * ROUND_MS))
        elif self._happens(chances.pause):
            await self._command(node, StopPulse())
        elif node.state.node is NodeState.IDLE:
            await self._guarded(node, node.up.start_pulse())
        elif self._happens(chances.pause):
            await self._guarded(node, node.up.request_sync())
        elif node is not world.admin and self._happens(chances.leave):
            self.left.add(node.uuid)
            node.journal.dies = lambda: False
            # Nobody takes a goodbye whose time is wrong; its sender would stay as STALE.
            node.clock.skew_ms = 0
            await self._command(node, Leave(node.up.now_ms()))

    async def _join_late(self) -> None:
        world = self._world
        if world.admin.driver is None:
            return
        try:
            token = await world.invite()
        except Crash:
            world.crash(world.admin, ROUND_MS)
            return
        node = await world.add_joiner()
        self._tokens[node.uuid] = token
        node.site.learn(self._rng.randint(0, 4 * self._least))

    async def _finish_joining(self, node: Node[L]) -> None:
        """Ask again, by the same token, until the admin has answered."""
        running = node.driver is not None and node.driver.connected
        if running and node.state.node is NodeState.JOINING:
            asking = self._world.ask_to_join(node, self._tokens[node.uuid])
            await self._guarded(node, asking)  # refused, if a clock is wrong

    async def _command(self, node: Node[L], event: Event) -> None:
        """Tell a peer something, if it runs; it may refuse."""
        if node.driver is not None:
            await self._guarded(node, node.driver.tell(event))

    async def _guarded(self, node: Node[L], call: Coroutine[Any, Any, object]) -> None:
        with contextlib.suppress(TallyError):
            await self._world.guarded(node, call)

    def _happens(self, chance: float) -> bool:
        return self._rng.random() < chance
