"""Removing what is left of projects that were deleted, or that never came to be."""

from __future__ import annotations

import msgspec
import structlog

from tally.clock import Clock
from tally.errors import CorruptState, TallyError
from tally.ids import BlobId
from tally.ledger.transact import Plan, read, transact
from tally.projects.beside import part_blobs
from tally.projects.models import model_blobs
from tally.projects.projects import Projects
from tally.projects.records import HEAD, Head, Options, project_partition
from tally.store.base import Store, Write
from tally.wire.projects import ProjectUuid

_log = structlog.get_logger()
_PAGE = 50  # rows that one commit deletes


class Graves:
    """Finds dead projects, and removes them once they have been seen dead for a grace.

    Several may run side by side. Nothing rests on another machine's clock.

    Args:
        projects: the store's.
        clock: ours.
        grace_s: longer than anybody takes who still works on a project that was deleted, or
            that he is making.
    """

    def __init__(self, projects: Projects, clock: Clock, grace_s: float) -> None:
        self._projects = projects
        self._store = projects.store
        self._clock = clock
        self._grace_s = grace_s
        self._seen: dict[ProjectUuid, float] = {}

    async def run(self, every_s: float) -> None:
        """Tidy until cancelled."""
        while True:
            try:
                if removed := await self.tidy():
                    _log.info("removed what was left of deleted projects", projects=removed)
            except TallyError as error:
                _log.warning("removing put off", code=error.code, reason=str(error))
            await self._clock.sleep(every_s)

    async def tidy(self) -> int:
        """Look at every project once; return how many were removed."""
        now = self._clock.monotonic()
        dead = {
            project: entry.blob
            async for project, entry in self._projects.registry.walk()
            if await is_dead(self._projects, project)
        }
        self._seen = {project: self._seen.get(project, now) for project in dead}
        due = [project for project in dead if now - self._seen[project] >= self._grace_s]
        for project in due:
            await self._remove(project, dead[project])
            del self._seen[project]
        return len(due)

    async def _remove(self, project: ProjectUuid, first: BlobId) -> None:
        head = await self._projects.head(project)
        if head is not None and head.shard is not None:
            await self._projects.delete(project)  # its home may not know that it is dead
        head = await bury(self._store, project)
        if head is None:
            return
        if head.customer:
            for pid, name in await self._projects.names.all(head.customer):
                if name.project == project:
                    await self._projects.names.release(head.customer, pid, project)
        named = {first, head.next, head.blob.id if head.blob else first}
        for found in (model_blobs, part_blobs):
            named |= {blob async for blob in found(self._store, project)}
        for blob in named - {BlobId("")}:
            await self._store.delete_blob(blob)
        await self._delete_rows(project)
        await self._projects.registry.remove(project)

    async def _delete_rows(self, project: ProjectUuid) -> None:
        """Delete all rows of a buried project, the head last.

        Where there never was one, what stands in its place stays: a maker who wakes up after a
        very long sleep must not find the place free.
        """
        partition = project_partition(project)
        while rows := [
            row for row in await self._store.scan(partition, limit=_PAGE) if row.key != HEAD
        ]:
            # Refused: another one is removing them, too; what is left is seen by the next look.
            await self._store.commit(partition, [Write(row.key, row.token, None) for row in rows])
        head = await read(self._store, partition, HEAD, Head)
        if head.record is not None and head.record.customer:
            await self._store.commit(partition, [head.write(None)])


async def is_dead(projects: Projects, project: ProjectUuid) -> bool:
    """Tell whether a project was deleted, or never was anybody's.

    Without a claim nobody has used it, so if no name means it, its maker has died. A shard
    dies with its project.
    """
    try:
        head = await projects.head(project)
    except CorruptState as error:
        _log.error("project left alone", project=project, reason=str(error))
        return False
    if head is None or head.deleted:
        return True
    if head.shard is not None:
        # It was made after the head of its project, which goes before it.
        whole = await projects.head(head.shard.of)
        return whole is None or whole.deleted
    if head.owner:
        return False
    names = await projects.names.all(head.customer)
    return all(name.project != project for _, name in names)


async def bury(store: Store, project: ProjectUuid) -> Head | None:
    """Have a project that nobody has claimed never be there.

    Returns:
        The head, which nobody can change any more; None: the project lives after all.
    """

    async def plan(fresh: bool) -> Plan[Head | None]:
        row = await read(store, project_partition(project), HEAD, Head, fresh=fresh)
        head = row.record
        if head is not None and head.deleted:
            return Plan(head)
        if head is not None and head.owner:
            return Plan(None)
        # In the place of a head that never was, so that a maker who only slept finds it.
        gone = msgspec.structs.replace(head or _NEVER, deleted=True)
        return Plan(gone, [row.write(gone)])

    return await transact(store, project_partition(project), plan)


_NEVER = Head(customer="", pid="", options=Options(), created_ms=0)
