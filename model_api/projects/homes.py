"""All projects at home on this worker: claimed when asked for, in memory while there is room."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Any
from weakref import WeakValueDictionary

from model_api.federation.secrets import Open
from model_api.projects.changes import Change, Delete, Rename, batch
from model_api.projects.home import Home, Unloaded
from model_api.projects.limits import HomeLimits, Usage
from model_api.projects.loading import Loader
from model_api.projects.model_steps import ModelStep
from model_api.projects.retired import Retired
from model_api.projects.sharing import Joined, Threads, quiet, settle, stopping
from tally.clock import Clock
from tally.codec.project import encode
from tally.errors import NotFound, TooBusy, Unavailable
from tally.ids import NodeId
from tally.projects.errors import NotHome
from tally.projects.projects import Projects
from tally.projects.records import Batch, Head, Options
from tally.wire.projects import ProjectUuid

_TRIES = 3  # a project that was unloaded, or pushed out of memory, is loaded again
_MIN_BODY_IN_THREAD = 2**20
_MOST_KNOWN = 10_000  # projects whose options are remembered


class Homes:
    """The projects that are at home here. Use it while `run` is awaited.

    Args:
        projects: the store's.
        node: our id; asked for once there is a call, so that the port is known.
        alive: tells whether a node's lease stands, as far as anybody knows.
        clock: ours.
        limits: of everything.
        moved: told of projects whose models were changed here.
    """

    def __init__(
        self,
        projects: Projects,
        node: Callable[[], NodeId],
        alive: Callable[[NodeId], Awaitable[bool]],
        clock: Clock,
        limits: HomeLimits,
        moved: Callable[[ProjectUuid], None] = lambda _project: None,
    ) -> None:
        self.limits = limits
        self.clock = clock
        self.projects = projects
        self.usage = Usage()
        self.threads = Threads(limits.threads)
        """Those that compute answers."""
        self.long_thread = Threads(1)
        """Computes what may take minutes, so that no short question waits behind it."""
        self._node = node
        self._moved = moved
        self._loader = Loader(
            projects, node, alive, clock, Threads(limits.threads), self.usage, limits.versions
        )
        self._homes: OrderedDict[ProjectUuid, Home] = OrderedDict()
        self._options: OrderedDict[ProjectUuid, Options] = OrderedDict()
        self._loading = Joined[Home](self._spawn)
        self._renaming: WeakValueDictionary[ProjectUuid, asyncio.Lock] = WeakValueDictionary()
        self._tasks: asyncio.TaskGroup | None = None
        self._retired = Retired(projects.store, clock, limits.grace_s)

    def read_federated(self, read: Open) -> None:
        """Have federated projects loaded, too, by what opens their keys."""
        self._loader.open_federated = read

    async def run(self) -> None:
        """Own what goes on in the background, until cancelled."""
        async with asyncio.TaskGroup() as self._tasks:
            try:
                await self._retired.run()
            finally:
                self._tasks = None

    @property
    def running(self) -> bool:
        """Whether anything can still be brought to an end here."""
        return self._tasks is not None

    def start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Start something that goes on whoever waits for it; it raises nothing."""
        self._spawn(coroutine)

    @property
    def loaded(self) -> Collection[Home]:
        """The projects in memory, those used last at the end."""
        return self._homes.values()

    def has(self, project: ProjectUuid) -> bool:
        """Tell whether a project is in memory."""
        return project in self._homes

    async def change(
        self,
        project: ProjectUuid,
        change: Change,
        batch_id: str,
        suspects: Collection[NodeId] = (),
    ) -> None:
        """Make a change of a project; see `Home.change`.

        Raises:
            NotFound: there is no such project.
            NotHome: it is at home elsewhere.
            TooBusy: too much is waiting already.
        """
        if change.size_bytes >= _MIN_BODY_IN_THREAD:
            known = await asyncio.to_thread(batch, batch_id, change)
        else:
            known = batch(batch_id, change)
        await self._with(project, suspects, lambda home: self._queue(home, change, known))

    async def ask(self, project: ProjectUuid, suspects: Collection[NodeId] = ()) -> Home:
        """Return a project at home here, with all that was acknowledged before this call.

        Raises:
            NotFound: there is no such project.
            NotHome: it is at home elsewhere.
        """
        return await self._with(project, suspects, _confirmed)

    async def kind(self, project: ProjectUuid) -> str:
        """Return what kind of project one is; empty if there is none. It is not loaded for that."""
        options = await self._created_with(project)
        return "" if options is None else options.kind

    async def cells(self, project: ProjectUuid) -> int:
        """Return how many shards a project has; 0 if it is none of that kind. It is not loaded."""
        options = await self._created_with(project)
        return 0 if options is None else options.cells

    async def _created_with(self, project: ProjectUuid) -> Options | None:
        """Return what a project was created with, which never changes; None: there is none."""
        if (home := self._homes.get(project)) is not None:
            return home.head.options
        if (known := self._options.get(project)) is not None:
            self._options.move_to_end(project)
            return known
        head = await self.projects.head(project)
        if head is None:
            return None
        self._options[project] = head.options
        if len(self._options) > _MOST_KNOWN:
            self._options.popitem(last=False)
        return head.options

    async def head(self, project: ProjectUuid) -> Head | None:
        """Return what is told of a project; None: there is none. It is not loaded for that."""
        home = self._homes.get(project)
        return await self.projects.head(project) if home is None else home.head

    async def rename(
        self, project: ProjectUuid, new: str, batch_id: str, suspects: Collection[NodeId] = ()
    ) -> None:
        """Give a project another name.

        Raises:
            Refused: the name is another project's, or none that a project may have.
        """
        self._check_running()
        renaming = quiet(asyncio.get_running_loop().create_future())
        self._spawn(settle(renaming, self._rename(project, new, batch_id, suspects)))
        # Shielded: a caller who goes away must not leave the head behind the name.
        await asyncio.shield(renaming)

    async def _rename(
        self, project: ProjectUuid, new: str, batch_id: str, suspects: Collection[NodeId]
    ) -> None:
        # One at a time: each starts from the name that the one before has left.
        async with self._renaming.setdefault(project, asyncio.Lock()):
            home = await self.ask(project, suspects)
            head, names, change = home.head, self.projects.names, Rename(new)
            # One that was counted is not made again: the project may have another name by now.
            named = head.shard is None
            if named and head.pid != new and not home.has_counted(batch(batch_id, change)):
                # An earlier renaming may have come no further than to the name.
                pid = await names.of(head.customer, project, head.pid) or head.pid
                await names.rename(head.customer, project, pid, new)
            await self.change(project, change, batch_id, suspects)

    async def delete(
        self, project: ProjectUuid, batch_id: str, suspects: Collection[NodeId] = ()
    ) -> None:
        """Delete a project; its name is free then, and the sweep removes what is left.

        Raises:
            NotFound: it is gone already, not by this same call.
        """
        try:
            await self.change(project, Delete(), batch_id, suspects)
        except NotFound:
            head = await self.projects.head(project, fresh=True)
            if head is None or not batch_id or head.last != batch_id:
                raise
        head = await self.projects.head(project)
        if head is not None:
            await self.projects.names.release(head.customer, head.pid, project)
            await self.projects.delete_shards(project, head)

    async def _queue(self, home: Home, change: Change, known: Batch) -> None:
        waiting_bytes = self.usage.waiting_bytes
        if home.waiting >= self.limits.waiting or (
            waiting_bytes and waiting_bytes + change.size_bytes > self.limits.waiting_bytes
        ):
            raise TooBusy(f"Too many changes are waiting for project [{home.head.pid}]")
        try:
            await home.change(change, known if known.id else None)
        finally:
            self._retired.add(home.held.retired)
            home.held.retired.clear()
        if isinstance(change, ModelStep):
            self._moved(home.held.project)
        self.make_room(home)

    async def _with(
        self,
        project: ProjectUuid,
        suspects: Collection[NodeId],
        do: Callable[[Home], Coroutine[Any, Any, None]],
    ) -> Home:
        """Do something with a project at home here, again if it left memory meanwhile."""
        for try_ in range(_TRIES):
            self._check_running()
            home = await self._home(project, suspects)
            try:
                await do(home)
            except NotHome as error:
                ours = isinstance(error, Unloaded) or error.owner == self._node()
                if not ours or try_ == _TRIES - 1:
                    raise
            else:
                return home
            finally:
                if home.ended:
                    self._drop(project, home)
        raise AssertionError("unreachable")

    async def _home(self, project: ProjectUuid, suspects: Collection[NodeId]) -> Home:
        home = self._homes.get(project)
        if home is not None and not home.ended:
            self._homes.move_to_end(project)
            return home
        return await self._loading(project, lambda: self._load(project, frozenset(suspects)))

    async def _load(self, project: ProjectUuid, suspects: Collection[NodeId]) -> Home:
        self._check_room()
        home = await self._loader.load(project, suspects, self._spawn)
        self._homes[project] = home
        self.make_room(home)
        return home

    def _check_running(self) -> None:
        if self._tasks is None:
            raise stopping()

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        if self._tasks is None:
            coroutine.close()
            raise stopping()
        return self._tasks.create_task(coroutine)

    def _drop(self, project: ProjectUuid, home: Home) -> None:
        if self._homes.get(project) is home:
            del self._homes[project]
            home.leave()

    def _check_room(self) -> None:
        """Refuse to load a project where nothing can make room for it.

        Raises:
            Unavailable: memory is full of what was never saved.
        """
        kept = sum(home.size_bytes for home in self._homes.values() if not _evictable(home))
        if kept > self.limits.memory_bytes:
            raise Unavailable(
                f"{kept} bytes of projects are in use or were never saved, more than "
                f"{self.limits.memory_bytes}: save or unload some"
            )

    def make_room(self, newest: Home) -> None:
        """Let go of the projects used least recently, but for those that would lose something."""
        if self.usage.memory_bytes <= self.limits.memory_bytes:
            return
        for project, home in list(self._homes.items()):
            if home is not newest and _evictable(home):
                self._drop(project, home)
                if self.usage.memory_bytes <= self.limits.memory_bytes:
                    return


async def _confirmed(home: Home) -> None:
    await home.confirm()


def _evictable(home: Home) -> bool:
    # A peer runs, and would be loaded again at once.
    idle = home.federated is None and not home.busy
    return home.head.persisted and not home.dirty and idle


def snapshot(home: Home) -> bytes:
    """Return a project's bytes as they are in memory."""
    return encode(home.project)
