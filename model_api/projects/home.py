"""One project at home here: its state in memory, and the order of its changes.

Changes gather while a commit is being written; then they are folded into one new state, saved
by one commit together with their ids, and all acknowledged. What was not acknowledged may be
asked for again under the same id, here or at the next home, and counts once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from model_api.federation.state import Federated
from model_api.fusion.seen import Seen
from model_api.fusion.state import Fused
from model_api.projects.changes import Change, Unload
from model_api.projects.fold import Folded, fold
from model_api.projects.limits import Usage
from model_api.projects.metrics import GROUP
from model_api.projects.model_steps import ModelStep
from model_api.projects.queue import Queue, Sorted, Waiting
from model_api.projects.sharing import Shared, Spawn, Threads, stopping
from model_api.shards.agreement import is_shared
from model_api.shards.summed import Summed
from tally.clock import Clock
from tally.engine.project import Project
from tally.errors import NotFound, TooBusy, Unavailable
from tally.fusion.sources import Leaf
from tally.projects.batches import Counted
from tally.projects.beside import Beside, Planned
from tally.projects.errors import NotHome
from tally.projects.held import Held
from tally.projects.models import Models
from tally.projects.records import INLINE_BYTES, Batch, Head
from tally.projects.registry import now_ms
from tally.projects.shared_schema import SharedSchema
from tally.projects.uses import Uses
from tally.wire.status import Refused

_ROUNDS = 20  # of shards that learn new names at once; each round one of them comes through
_OVERHEAD_BYTES, _ID_BYTES = 16 * 1024, 300  # of what stands around the arrays


class Unloaded(NotHome):
    """The project is not in memory any more; whoever asks again has it loaded."""


class Home:
    """A project that this worker has claimed.

    Args:
        held: the claim.
        project: its state, as it was saved.
        counted, uses, models: its ids, its log and its models, as they were saved.
        clock: ours.
        threads: that fold.
        spawn: who owns the tasks.
        usage: of the worker, to which this project's is added until `leave`.
        fused: the cells of a fusion project, as they were saved; None: it is another kind.
        federated: the peer of a federated project, as it was saved; None: it is another kind.
        beside: what a federated project has beside its snapshot, as it was saved.
        shared: what the shards of its project know alike, if it is one of them.

    Attributes:
        models: those that were built from it.
        fused: what `project` is the sum of, if this is a fusion project.
        federated: the peer, if this is a federated project.
        seen: what is known of its cells in memory only.
        summed: of a sharded project, what its shards have; None: it is another kind.
        since_ms: when it came into memory here, since 1970.
        states: how many states it has had here; with the claim's epoch it names the newest one.
        size_bytes: of memory.
        dirty: it differs from what the store has.
        modified_ms: when rows were last learned, forgotten or merged.
        ended: it is not at home here any more.
    """

    def __init__(
        self,
        held: Held,
        project: Project,
        counted: Counted,
        uses: Uses,
        models: Models,
        clock: Clock,
        threads: Threads,
        spawn: Spawn,
        usage: Usage,
        fused: Fused | None = None,
        shared: SharedSchema | None = None,
        federated: Federated | None = None,
        beside: Beside | None = None,
    ) -> None:
        self.held = held
        self.fused = fused
        self.federated = federated
        self._beside = beside
        self.seen = Seen()
        self.models = models
        self.summed = Summed() if held.head.options.cells else None
        self._project = project
        self.since_ms = now_ms(clock)
        self.states = 1
        self.size_bytes = 0
        self.dirty = False
        self.modified_ms = held.head.modified_ms
        self.ended = False
        self._usage = usage
        self._left = False
        self._counted = counted
        self._uses = uses
        self.clock = clock
        self._threads = threads
        self._spawn = spawn
        self._shared = shared
        self._fence = None if shared is None else 0
        self._queue = Queue(usage)
        self._working = False
        self._deciding = asyncio.Lock()
        self.confirm = Shared(self._check, spawn)
        """Return if the project is still at home here, as the store says after the call."""
        self._measure()

    @property
    def head(self) -> Head:
        """What the store says of the project."""
        return self.held.head

    @property
    def project(self) -> Project:
        """The newest state that was acknowledged; immutable.

        That of a sharded project is the sum of its shards when they were last asked.

        Raises:
            Unavailable: they were not asked since the project came here.
        """
        if self.summed is None:
            return self._project
        if self.summed.total is None:
            raise Unavailable(f"project [{self.head.pid}] has come to another home: ask again")
        return self.summed.total

    def sum_changed(self) -> None:
        """Take notice of another sum of the shards."""
        assert self.summed is not None
        self.modified_ms = max(self.modified_ms, self.summed.modified_ms)
        self.states += 1
        self._measure()

    @property
    def merged(self) -> tuple[Leaf, ...] | None:
        """Whose rows a state counts that was merged of others; None: rows learned here."""
        if self.federated is not None and self.federated.view is not None:
            return self.federated.provenance
        return None if self.fused is None else self.fused.merged.provenance

    @property
    def local(self) -> Project:
        """What was learned here, whatever `project` is the sum of."""
        return self.project if self.federated is None else self.federated.local

    @property
    def busy(self) -> bool:
        """Whether changes wait or are being written."""
        return self._working or len(self._queue) > 0

    @property
    def waiting(self) -> int:
        """How many changes wait."""
        return len(self._queue)

    @property
    def uses(self) -> Uses:
        """Who sent which rows."""
        return self._uses

    @property
    def _is_even(self) -> bool:
        """Whether memory has nothing beyond the store, and can be loaded again from there.

        Only then may ids and log go to the store without a state: they say what is in it. And what
        they are after a commit that nobody heard of, only loading tells.
        """
        return self.head.persisted and not self.dirty

    async def change(self, change: Change, batch: Batch | None) -> None:
        """Make a change; once this returns it counts, and is on disk if the project saves itself.

        Args:
            change: what.
            batch: its id; None: it may be made again by whoever does not know that it was.

        Raises:
            Refused: the change is not possible; nothing was changed.
            IdempotencyMismatch: the id was used for another one.
            NotHome, Unavailable: it may or may not have been made: ask again with the same id.
        """
        if self.ended:
            raise Unloaded(self.head.node)
        done = self._queue.put(change, batch)
        if not self._working:
            self._working = True
            self._spawn(self._work())
        await asyncio.shield(done)

    def has_counted(self, batch: Batch) -> bool:
        """Tell whether a change was made already.

        Raises:
            IdempotencyMismatch: the id was used for another one.
        """
        return bool(batch.id) and self._counted.seen(batch)

    def leave(self) -> None:
        """Give back the memory; nothing can be asked of this project here any more."""
        self.ended = self._left = True
        self._usage.memory_bytes -= self.size_bytes
        self.size_bytes = 0

    def _measure(self) -> None:
        if self._left:
            return  # a commit that was under way when a question found the project taken over
        size = _OVERHEAD_BYTES + self._project.size_bytes + self._uses.size_bytes
        size += 0 if self.fused is None else self.fused.size_bytes
        size += 0 if self.federated is None else self.federated.size_bytes
        size += 0 if self.summed is None else self.summed.size_bytes
        size += _ID_BYTES * len(self._counted)
        self._usage.memory_bytes += size - self.size_bytes
        self.size_bytes = size

    async def _check(self) -> None:
        if self.ended:
            raise Unloaded(self.head.node)
        try:
            await self._decide()
            await self.held.check()
        except (NotHome, NotFound):
            self.ended = True
            raise

    async def _decide(self) -> None:
        """Find out what came of a commit of unknown outcome, if there is one.

        Raises:
            Unloaded: it brought a state to the store that is newer than memory.
        """
        async with self._deciding:
            if not self.held.unsure:
                return
            if await self.held.decide():
                self.ended = True
                raise Unloaded(self.head.node)
            # The commit may have been of a model.
            await self.models.load()
            await self._counted.load(self.held.store, self.held.project)
            if self._beside is not None:
                await self._beside.read()

    async def _work(self) -> None:
        """Write group after group until nothing waits."""
        group: list[Waiting] = []
        try:
            while self._queue and not self.ended:
                group = self._queue.take()
                await self._answer(group)
        except asyncio.CancelledError:
            for one in group:
                one.settle(stopping())
            self._queue.refuse(stopping())
            raise
        finally:
            self._working = False
        self._queue.refuse(Unloaded(self.head.node))

    async def _answer(self, group: Sequence[Waiting]) -> None:
        """Make the changes of a group, and tell each caller what came of his."""
        try:
            outcomes = await self._make(group)
        except Exception as error:
            # What is in memory only waits for the decision; all else is loaded again.
            unsure = self.held.unsure and self._is_even
            if self.held.lost or unsure or isinstance(error, NotFound):
                self.ended = True
            for one in group:
                one.settle(error)
        else:
            for one, outcome in zip(group, outcomes, strict=True):
                one.settle(outcome)

    async def _make(self, group: Sequence[Waiting]) -> Sequence[Exception | None]:
        await self._decide()
        sorted_ = Sorted.of(group, self._counted)
        if sorted_.new and group[sorted_.new[0]].ends:
            await self._end(group[sorted_.new[0]])
            return sorted_.outcomes({})
        if sorted_.new and isinstance(step := group[sorted_.new[0]].change, ModelStep):
            await self._step(step, group[sorted_.new[0]].batch)
            return sorted_.outcomes({})
        folded = await self._fold([group[place].change for place in sorted_.new])
        made = dict(zip(sorted_.new, folded.refusals, strict=True))
        batches = (group[place].batch for place, refusal in made.items() if refusal is None)
        await self._write(folded, [batch for batch in batches if batch is not None])
        return sorted_.outcomes(made)

    async def _fold(self, changes: Sequence[Change]) -> Folded:
        """Return what comes of changes; of a shard, once all shards know what it then knows."""
        for _ in range(_ROUNDS):
            folded = await self._threads.run(
                fold,
                self._project,
                self.head,
                changes,
                dirty=self.dirty,
                autosave=self.head.options.autosave,
                fused=self.fused,
                federated=self.federated,
                known=None if self._shared is None else self._shared.known,
                fence=self._fence,
            )
            if self._shared is None or await is_shared(folded, self._shared):
                return folded
        raise TooBusy(f"Too many new attributes at once in project [{self.head.pid}]")

    async def _write(self, folded: Folded, taken: Sequence[Batch]) -> None:
        """Bring a new state to the store and then, as what is told from now on, into memory."""
        draft, planned = folded.draft, await self._planned(folded)
        modified_ms = now_ms(self.clock) if draft.learned else self.modified_ms
        head = msgspec.structs.replace(
            self.head, frozen=draft.frozen, persisted=draft.persisted, pid=draft.pid
        )
        saved = folded.snapshot is not None or folded.beside is not None
        whole = saved or (self._is_even and not draft.changed)
        if folded.snapshot is not None:
            head = msgspec.structs.replace(head, modified_ms=modified_ms)
        if not saved and head == self.head:
            await self._check()
            whole = False
        else:
            await self._commit(head, folded, planned, taken if whole else None)
        if not whole:
            self._counted.note(taken)
            self._uses.note(draft.uses)
        self.dirty = not saved and (self.dirty or draft.changed)
        self.modified_ms = modified_ms
        self.states += folded.project is not self._project
        self._project = folded.project
        self.fused, self.federated = draft.fused, draft.federated
        self._fence = draft.fence
        self._measure()
        GROUP.observe(len(taken))

    async def _planned(self, folded: Folded) -> Planned:
        """Write what is to stand beside the snapshot, but for what the commit itself writes."""
        if folded.beside is None:
            return Planned()
        assert self._beside is not None, "only a federated project has anything beside it"
        alone = len(folded.snapshot or b"") <= INLINE_BYTES
        return await self._beside.plan(folded.beside, self.held, alone=alone)

    async def _commit(
        self, head: Head, folded: Folded, planned: Planned, taken: Sequence[Batch] | None
    ) -> None:
        """Commit; with the ids of what was taken, and the log, unless None is given."""
        if taken is None:
            await self.held.commit(head)
            return
        generation = self.head.generation + 1
        uses = self._uses.with_(folded.draft.uses)
        rows = self._counted.writes(head.owner, generation, taken) + self._uses.writes(uses)
        rows += planned.writes
        tokens = await self.held.commit(head, rows, folded.snapshot, put=planned.put)
        if self._beside is not None:
            self._beside.committed(planned, tokens)
        self.held.retired += planned.retired
        self._counted.committed(generation, taken, tokens)
        self._uses.committed(uses, tokens)

    async def _step(self, step: ModelStep, batch: Batch | None) -> None:
        """Change the models."""
        try:
            planned = await step.plan(self.models, self.held.put)
        except Refused:
            await self._check()  # a home that was taken over refuses nothing on old grounds
            raise
        taken = [batch] if batch else []
        if not planned.writes and not step.only_id:
            await self._check()
            self._counted.note(taken)
            return
        generation, counted = self.head.generation + 1, self._counted
        # Its own id is always true of the store; the unsaved ones are not, without the state.
        is_even = self._is_even
        ids = counted.writes if is_even else counted.writes_beside
        rows = [*planned.writes, *ids(self.head.owner, generation, taken)]
        tokens = await self.held.commit(self.head, rows, put=planned.put)
        self.models.committed(planned, tokens)
        self.held.retired += planned.retired
        (counted.committed if is_even else counted.committed_beside)(generation, taken, tokens)
        self._measure()

    async def _end(self, one: Waiting) -> None:
        """Delete the project, or only forget what is in memory; one that was never saved ends."""
        if isinstance(one.change, Unload) and self.head.persisted:
            await self._check()
        else:
            last = one.batch.id if one.batch else ""
            await self.held.commit(
                msgspec.structs.replace(self.head, deleted=True, blob=None, last=last)
            )
        self.ended = True
