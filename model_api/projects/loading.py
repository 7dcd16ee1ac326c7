"""Bringing a project home: the claim, and what the store has of it into memory.

A project stays with its home as long as that one lives. Another worker takes it over when the
home's lease has ended, when the home is an earlier life of its own address, or when a broker
cannot reach the home; a takeover is always safe, since every commit depends on the claim. Where
it would lose what was never saved, a broker's word is not enough.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping

import msgspec
import structlog

from model_api.federation.secrets import Open
from model_api.federation.state import Federated
from model_api.fusion.state import Fused
from model_api.projects.home import Home
from model_api.projects.limits import Usage
from model_api.projects.sharing import Spawn, Threads
from tally.clock import Clock
from tally.codec.project import decode
from tally.engine.options import Options
from tally.engine.project import Project
from tally.errors import CorruptState, NotFound, Unavailable
from tally.ids import NodeId
from tally.projects.batches import Counted
from tally.projects.beside import Beside
from tally.projects.cells import FUSION
from tally.projects.federated import FEDERATED
from tally.projects.held import Held
from tally.projects.models import Models
from tally.projects.projects import Projects
from tally.projects.records import Head
from tally.projects.shared_schema import SharedSchema
from tally.projects.uses import Uses
from tally.wire import texts
from tally.wire.projects import ProjectUuid

_log = structlog.get_logger()


class Loader:
    """Claims projects for one worker.

    Args:
        projects: the store's.
        node: the worker's id; asked for once there is a call, so that the port is known.
        alive: tells whether a node's lease stands, as far as anybody knows.
        clock: ours.
        threads: that decode here, and fold later.
        usage: of the worker.
        versions: of a model that are kept.
    """

    def __init__(
        self,
        projects: Projects,
        node: Callable[[], NodeId],
        alive: Callable[[NodeId], Awaitable[bool]],
        clock: Clock,
        threads: Threads,
        usage: Usage,
        versions: int,
    ) -> None:
        self._projects = projects
        self._node = node
        self._alive = alive
        self._clock = clock
        self._threads = threads
        self._usage = usage
        self._versions = versions
        self.open_federated: Open | None = None
        """Reads federated projects, whose keys only a master key opens."""

    async def load(self, project: ProjectUuid, suspects: Collection[NodeId], spawn: Spawn) -> Home:
        """Return a project that is at home here from now on.

        Args:
            project: which.
            suspects: nodes that a broker cannot reach.
            spawn: who will own its tasks.

        Raises:
            NotFound: there is no such project.
            NotHome: it is at home elsewhere.
            CorruptState: its snapshot is damaged or gone.
        """

        async def may_take(head: Head) -> bool:
            if head.node == self._node():
                return True  # an earlier life, or an earlier load, of this worker
            if head.node in suspects and head.persisted and head.options.autosave:
                return True
            return not await self._alive(head.node)

        held = await self._projects.claim(project, self._node(), may_take)
        await self._correct_name(held)
        beside = Beside(self._projects.store, project)
        row: bytes | None = None
        parts: Mapping[str, bytes] = {}
        try:
            data = await held.load()
            if held.head.options.kind == FEDERATED:
                row, parts = await beside.load()
        except NotFound as error:
            await held.check()  # if it was replaced by the next home's, that one is the answer
            raise CorruptState(f"project {project} misses its snapshot: {error}") from error
        counted, uses = Counted(self._clock), Uses()
        await counted.load(self._projects.store, project)
        await uses.load(self._projects.store, project)
        models = Models(self._projects.store, project, self._versions)
        await models.load()
        shard = held.head.shard
        shared = None if shard is None else SharedSchema(self._projects.store, shard.of)
        if shared is not None:
            await shared.refresh()
        federated: Federated | None = None
        fused: Fused | None = None
        if held.head.options.kind == FEDERATED and data is not None:
            if self.open_federated is None:
                raise Unavailable(texts.FEDERATION_CLOSED)
            federated = await self._threads.run(self.open_federated, project, data, row, parts)
            state = federated.project
        else:
            state, fused = await self._threads.run(_state, data, held.head)
        _log.info("project came home", project=project, epoch=held.head.epoch)
        return Home(
            held,
            state,
            counted,
            uses,
            models,
            self._clock,
            self._threads,
            spawn,
            self._usage,
            fused,
            shared,
            federated,
            beside,
        )

    async def _correct_name(self, held: Held) -> None:
        """Have the head say the project's name, where a renaming did not come to its end."""
        head = held.head
        pid = await self._projects.names.of(head.customer, held.project, head.pid)
        if pid not in (None, head.pid):
            await held.commit(msgspec.structs.replace(head, pid=pid))


def _state(data: bytes | None, head: Head) -> tuple[Project, Fused | None]:
    options = head.options
    if options.kind == FUSION:
        fused = Fused.of(()) if data is None else Fused.decode(data)
        return fused.project, fused
    if options.kind == FEDERATED:
        return Project.empty(Options()), None  # of one that lives in memory only, as it begins
    if data is None:
        made = Options(options.kind, options.params, options.histogram)
        return (Project.empty(made) if head.shard is None else Project.part(made)), None
    return decode(data), None
