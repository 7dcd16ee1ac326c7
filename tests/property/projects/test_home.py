"""Homes under every order of faults that hypothesis can think of: each change counts once.

Two workers share a store that loses answers, refuses commits, and does what nobody hears of. A
broker asks one or the other, repeats what was not acknowledged, and remembers what was.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from model_api.projects.changes import Freeze, Unload
from model_api.projects.homes import Homes
from tally.clock import ManualClock
from tally.codec.project import decode
from tally.errors import IdempotencyMismatch, OutcomeUnknown, StoreUnavailable
from tally.ids import NodeId
from tally.projects import held
from tally.projects.errors import NotHome
from tally.projects.records import SNAPSHOT, project_partition
from tests.unit.model_api.projects.acts import Nodes, Troubled, asked, create, rows, worker

NODES = (NodeId("a_1"), NodeId("b_1"))
TROUBLES = st.lists(st.sampled_from(["", "away", "unheard", "unsaid"]), min_size=1, max_size=12)


class Projects(RuleBasedStateMachine):
    """One project; `told` are the changes that were acknowledged, `maybe` the others."""

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._open = contextlib.AsyncExitStack()
        self._pause, held._LONGEST_PAUSE_S = held._LONGEST_PAUSE_S, 0.0
        self._count = 0
        self.told: set[str] = set()
        self.maybe: set[str] = set()
        self._runner.run(self._start())

    async def _start(self) -> None:
        folder = self._open.enter_context(tempfile.TemporaryDirectory())
        self.store = Troubled(Path(folder) / "store.db")
        self._open.push_async_callback(self.store.close)
        clock, nodes = ManualClock(), Nodes()
        self.homes = [
            await self._open.enter_async_context(worker(self.store, clock, nodes, name))
            for name in NODES
        ]
        self.project = await create(self.homes[0])

    def teardown(self) -> None:
        with self._runner:
            self._runner.run(self._open.aclose())
        held._LONGEST_PAUSE_S = self._pause

    @rule(troubles=TROUBLES)
    def trouble(self, troubles: list[str]) -> None:
        """The next commits do not go well."""
        self.store.troubles = list(troubles)

    @rule(which=st.integers(0, 1), count=st.integers(1, 4))
    def learn(self, which: int, count: int) -> None:
        """Some brokers ask for new changes at once."""
        new = [f"b{self._count + i}" for i in range(count)]
        self._count += count
        self._runner.run(self._learn(which, new))

    @rule(which=st.integers(0, 1))
    def repeat(self, which: int) -> None:
        """They ask again for all that was not acknowledged, and for some that was."""
        self._runner.run(self._learn(which, [*sorted(self.maybe), *sorted(self.told)[:2]]))

    @precondition(lambda self: self.told)
    @rule(which=st.integers(0, 1))
    def misuse(self, which: int) -> None:
        """Somebody uses an id for another change."""

        async def run() -> None:
            with contextlib.suppress(StoreUnavailable, NotHome, IdempotencyMismatch):
                await self._home(which).change(
                    self.project, rows("never"), min(self.told), {NODES[1 - which]}
                )
                raise AssertionError("an id was used for two changes")

        self._runner.run(run())

    @rule(which=st.integers(0, 1), frozen=st.booleans())
    def freeze(self, which: int, frozen: bool) -> None:
        """A change that comes with no new state. It is undone, so that rows are taken."""
        self._runner.run(self._try(which, Freeze(frozen), Freeze(False)))

    @rule(which=st.integers(0, 1))
    def unload(self, which: int) -> None:
        """Memory is emptied."""
        self._runner.run(self._try(which, Unload()))

    @invariant()
    def each_counts_once(self) -> None:
        """Whoever is asked tells every acknowledged change once, and no other one twice."""
        self._runner.run(self._check())

    async def _check(self) -> None:
        troubles, self.store.troubles = self.store.troubles, []
        counted = await self._asked()
        self.store.troubles = troubles
        assert set(counted) <= self.told | self.maybe
        assert all(counted.get(name) == 1 for name in self.told), counted
        assert all(count == 1 for count in counted.values()), counted
        assert counted == await self._stored(), "memory is not what the store has"

    async def _stored(self) -> dict[str, int]:
        head = await self.homes[0].projects.head(self.project)
        assert head is not None
        row = await self.store.get(project_partition(self.project), SNAPSHOT)
        if head.blob is not None:
            data = await self.store.get_blob(head.blob.blob())
        elif row is not None:
            data = row.value
        else:
            return {}
        summary = decode(data).summary
        found = zip(summary.schema.names, summary.counts().tolist(), strict=True)
        return {name: int(count) for name, count in found if count}

    async def _asked(self) -> dict[str, int]:
        """Ask the home, and if the other worker is it now, that one; never an old one's memory."""
        for homes in self.homes:
            with contextlib.suppress(NotHome):
                return await asked(homes, self.project)
        raise AssertionError("nobody is the home")

    async def _learn(self, which: int, names: list[str]) -> None:
        """Ask for changes, each named by its id."""
        self.maybe |= set(names) - self.told
        other = {NODES[1 - which]}
        outcomes = await asyncio.gather(
            *(self._home(which).change(self.project, rows(n), n, other) for n in names),
            return_exceptions=True,
        )
        for name, outcome in zip(names, outcomes, strict=True):
            if outcome is None:
                self.told.add(name)
                self.maybe.discard(name)
            else:
                assert isinstance(outcome, StoreUnavailable | OutcomeUnknown | NotHome), outcome

    async def _try(self, which: int, *changes: Freeze | Unload) -> None:
        for change in changes:
            with contextlib.suppress(StoreUnavailable, NotHome):
                await self._home(which).change(self.project, change, "", {NODES[1 - which]})
        self.store.troubles = []
        with contextlib.suppress(NotHome):
            await self._home(which).change(self.project, Freeze(False), "", {NODES[1 - which]})

    def _home(self, which: int) -> Homes:
        return self.homes[which]


Projects.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=30,
    suppress_health_check=[HealthCheck.too_slow],
)
TestProjects = Projects.TestCase
