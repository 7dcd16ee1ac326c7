"""All projects at home on this worker: claimed when asked for, kept in memory while there is room.

A project stays with its home as long as that one lives. Another worker takes it over when the
home's lease has ended, when the home is an earlier life of its own address, or when a broker
cannot reach the home; a takeover is always safe, since every commit depends on the claim. Where
it would lose what was never saved, a broker's word is not enough.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Any

import msgspec
import structlog

from model_api.projects.changes import Change, Delete, Rename, batch
from model_api.projects.home import Home, Unloaded
from model_api.projects.limits import HomeLimits, Usage
from model_api.projects.sharing import Threads, quiet, settle
from tally.clock import Clock
from tally.codec.project import decode, encode
from tally.engine.options import Options
from tally.engine.project import Project
from tally.errors import CorruptState, NotFound, StoreUnavailable, TooBusy, Unavailable
from tally.ids import BlobId, NodeId
from tally.projects import records
from tally.projects.batches import Counted
from tally.projects.errors import NotHome
from tally.projects.held import Held
from tally.projects.projects import Projects
from tally.projects.records import Batch, Head
from tally.projects.uses import Uses
from tally.wire.projects import ProjectUuid

_TRIES = 3  # a project that was unloaded, or pushed out of memory, is loaded again
_MIN_BODY_IN_THREAD = 2**20
_STOPPING = "this worker is stopping"
_log = structlog.get_logger()


class Homes:
    """The projects that are at home here. Use it while `run` is awaited.

    Args:
        projects: the store's.
        node: our id; asked for once there is a call, so that the port is known.
        alive: tells whether a node's lease stands, as far as anybody knows.
        clock: ours.
        limits: of everything.
    """

    def __init__(
        self,
        projects: Projects,
        node: Callable[[], NodeId],
        alive: Callable[[NodeId], Awaitable[bool]],
        clock: Clock,
        limits: HomeLimits,
    ) -> None:
        self.limits = limits
        self.projects = projects
        self.usage = Usage()
        self.threads = Threads(limits.threads)
        """Those that compute answers."""
        self._node = node
        self._alive = alive
        self._clock = clock
        self._folding = Threads(limits.threads)
        self._homes: OrderedDict[ProjectUuid, Home] = OrderedDict()
        self._loading: dict[ProjectUuid, asyncio.Future[Home]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._retired: list[tuple[float, BlobId]] = []
        self._retire = asyncio.Event()

    async def run(self) -> None:
        """Own what goes on in the background, until cancelled."""
        async with asyncio.TaskGroup() as self._tasks:
            try:
                await self._delete_retired()
            finally:
                self._tasks = None

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
        head = (await self.ask(project, suspects)).head
        if head.pid != new:
            await self.projects.names.rename(head.customer, project, head.pid, new)
        await self.change(project, Rename(new), batch_id, suspects)

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

    async def _queue(self, home: Home, change: Change, known: Batch) -> None:
        waiting_bytes = self.usage.waiting_bytes
        if home.waiting >= self.limits.waiting or (
            waiting_bytes and waiting_bytes + change.size_bytes > self.limits.waiting_bytes
        ):
            raise TooBusy(f"Too many changes are waiting for project [{home.head.pid}]")
        try:
            await home.change(change, known if known.id else None)
        finally:
            self._retire_of(home)
        self._make_room(home)

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
        loading = self._loading.get(project)
        if loading is None:
            loading = quiet(asyncio.get_running_loop().create_future())
            self._loading[project] = loading
            loading.add_done_callback(lambda _: self._loading.pop(project, None))
            self._spawn(settle(loading, self._load(project, frozenset(suspects))))
        return await asyncio.shield(loading)

    async def _load(self, project: ProjectUuid, suspects: Collection[NodeId]) -> Home:
        self._check_room()

        async def may_take(head: Head) -> bool:
            if head.node == self._node():
                return True  # an earlier life, or an earlier load, of this worker
            if head.node in suspects and head.persisted and head.options.autosave:
                return True
            return not await self._alive(head.node)

        held = await self.projects.claim(project, self._node(), may_take)
        await self._correct_name(held)
        counted, uses = Counted(self._clock), Uses()
        try:
            data = await held.load()
        except NotFound as error:
            await held.check()  # if it was replaced by the next home's, that one is the answer
            raise CorruptState(f"project {project} misses its snapshot: {error}") from error
        await counted.load(self.projects.store, project)
        await uses.load(self.projects.store, project)
        state = await self._folding.run(_state, data, held.head.options)
        home = Home(held, state, counted, uses, self._clock, self._folding, self._spawn, self.usage)
        self._homes[project] = home
        _log.info("project came home", project=project, epoch=held.head.epoch)
        self._make_room(home)
        return home

    async def _correct_name(self, held: Held) -> None:
        """Have the head say the project's name, where a renaming did not come to its end."""
        head = held.head
        pid = await self.projects.names.of(head.customer, held.project, head.pid)
        if pid not in (None, head.pid):
            await held.commit(msgspec.structs.replace(head, pid=pid))

    def _check_running(self) -> None:
        if self._tasks is None:
            raise Unavailable(_STOPPING)

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        if self._tasks is None:
            coroutine.close()
            raise Unavailable(_STOPPING)
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

    def _make_room(self, newest: Home) -> None:
        """Let go of the projects used least recently, but for those that would lose something."""
        if self.usage.memory_bytes <= self.limits.memory_bytes:
            return
        for project, home in list(self._homes.items()):
            if home is not newest and _evictable(home):
                self._drop(project, home)
                if self.usage.memory_bytes <= self.limits.memory_bytes:
                    return

    def _retire_of(self, home: Home) -> None:
        due_s = self._clock.monotonic() + self.limits.grace_s
        self._retired += [(due_s, blob) for blob in home.held.retired]
        home.held.retired.clear()
        if self._retired:
            self._retire.set()

    async def _delete_retired(self) -> None:
        """Delete replaced snapshots once nobody can be reading them; a crash leaves them behind."""
        while True:
            if not self._retired:
                self._retire.clear()
                await self._retire.wait()
            due_s, blob = self._retired.pop(0)
            if (left_s := due_s - self._clock.monotonic()) > 0:
                await self._clock.sleep(left_s)
            try:
                await self.projects.store.delete_blob(blob)
            except StoreUnavailable as error:
                _log.warning("replaced snapshot left to the sweep", blob=blob, reason=str(error))


async def _confirmed(home: Home) -> None:
    await home.confirm()


def _evictable(home: Home) -> bool:
    return home.head.persisted and not home.dirty and not home.busy


def _state(data: bytes | None, options: records.Options) -> Project:
    if data is None:
        return Project.empty(Options(options.kind, options.params, options.histogram))
    return decode(data)


def snapshot(home: Home) -> bytes:
    """Return a project's bytes as they are in memory."""
    return encode(home.project)
