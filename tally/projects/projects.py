"""Making, finding, claiming and removing projects."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable

import msgspec

from tally.clock import Clock
from tally.errors import NotFound
from tally.ids import BlobId, NodeId, new_blob_id
from tally.ledger.records import BlobRef
from tally.ledger.transact import Plan, Read, read, transact
from tally.projects.errors import NotHome
from tally.projects.held import Held
from tally.projects.names import Names, check_pid
from tally.projects.records import (
    HEAD,
    INLINE_BYTES,
    SNAPSHOT,
    Head,
    Name,
    Options,
    Shard,
    project_partition,
)
from tally.projects.registry import NOTHING, Registry, now_ms
from tally.projects.shards import shards
from tally.store.base import Store, Write
from tally.wire.projects import ProjectUuid


def new_project_uuid() -> ProjectUuid:
    """Return an id that no other project has."""
    return ProjectUuid(uuid.uuid4().hex)


class Projects:
    """All projects of one store."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.names = Names(store)
        self.registry = Registry(store, clock)
        self._clock = clock

    async def create(
        self,
        customer: str,
        pid: str,
        options: Options,
        *,
        persisted: bool = True,
        project: ProjectUuid | None = None,
        snapshot: bytes | None = None,
        begin: Callable[[], Awaitable[None]] | None = None,
    ) -> ProjectUuid:
        """Make a project; making the same one again changes nothing.

        Args:
            customer, pid: its name.
            options: checked by the caller.
            persisted: false: it will live in its home's memory only.
            project: its id, never used before unless for this same project; None: any.
            snapshot: what it starts with; None: nothing.
            begin: what is done before the project has its name, so that nobody asks for it too
                early; if that fails there is no project.

        Raises:
            Refused: the name is taken (409), or none that a project may have.
        """
        check_pid(pid)
        project = project or new_project_uuid()
        now = now_ms(self._clock)
        head = Head(
            customer=customer,
            pid=pid,
            options=options,
            created_ms=now,
            modified_ms=now,
            persisted=persisted,
        )
        large = snapshot is not None and len(snapshot) > INLINE_BYTES
        blob = await self.registry.add(project, new_blob_id() if large else NOTHING)
        await self._insert(project, head, snapshot, blob)
        name = Name(project, options.kind, now, options.cells)
        try:
            await self._make_shards(project, head)
            if begin is not None:
                await begin()
            await self.names.take(customer, pid, name)
        except BaseException:
            # Also when cancelled: without its name nobody would find it. If this fails, too,
            # the sweep finds a project whose name is not its own.
            await self.delete(project)
            raise
        return project

    async def _make_shards(self, project: ProjectUuid, head: Head) -> None:
        """Make the shards of a project that is there already: they end with it."""
        options = msgspec.structs.replace(head.options, cells=0)
        for number, shard in enumerate(shards(project, head.options.cells)):
            part = msgspec.structs.replace(head, options=options, shard=Shard(project, number))
            await self.registry.add(shard)
            await self._insert(shard, part, None, NOTHING)

    async def _insert(
        self, project: ProjectUuid, head: Head, snapshot: bytes | None, blob: BlobId
    ) -> None:
        """Write the rows that a project begins with; a large snapshot as the registered blob.

        Raises:
            NotFound: it was given up, or deleted, while it was being made.
        """
        inline = []
        if snapshot is not None and blob:
            reference = BlobRef.of(await self.store.put_blob(blob, snapshot))
            head = msgspec.structs.replace(head, blob=reference)
        elif snapshot is not None:
            inline = [Write(SNAPSHOT, None, snapshot)]

        async def plan(fresh: bool) -> Plan[Head]:
            row = await self._head(project, fresh=fresh)
            if row.record is not None:
                return Plan(row.record)
            return Plan(head, [row.write(head), *inline])

        made = await transact(self.store, project_partition(project), plan)
        if made.deleted:
            raise NotFound(f"project {project} was deleted while it was being made")

    async def head(self, project: ProjectUuid, *, fresh: bool = False) -> Head | None:
        """Return the head of a project, None if there is none; it may be a deleted one's."""
        return (await self._head(project, fresh=fresh)).record

    async def claim(
        self,
        project: ProjectUuid,
        node: NodeId,
        may_take: Callable[[Head], Awaitable[bool]],
    ) -> Held:
        """Become a project's home.

        Args:
            project: which.
            node: who.
            may_take: asked about a head that somebody has claimed before, perhaps more than once.

        Raises:
            NotHome: it may not be taken from its home.
            NotFound: there is no such project, or it was in the memory of its home only.
        """
        owner = uuid.uuid4().hex
        await self.registry.add(project)  # before any blob: see `tally.projects.references`

        async def plan(fresh: bool) -> Plan[Head | None]:
            row = await self._head(project, fresh=fresh)
            head = row.record
            if head is None or head.deleted:
                return Plan(None)
            if head.owner == owner:
                return Plan(head)
            if head.owner and not await may_take(head):
                raise NotHome(head.node)
            if head.owner and not head.persisted:
                gone = msgspec.structs.replace(
                    head, deleted=True, generation=head.generation + 1, epoch=head.epoch + 1
                )
                return Plan(None, [row.write(gone)])
            claimed = msgspec.structs.replace(
                head,
                epoch=head.epoch + 1,
                owner=owner,
                node=node,
                generation=head.generation + 1,
                next=new_blob_id(),
            )
            return Plan(claimed, [row.write(claimed)])

        claimed = await transact(self.store, project_partition(project), plan)
        found = await self._head(project, fresh=False)
        if claimed is None:
            if found.record is not None:
                await self.names.release(found.record.customer, found.record.pid, project)
            raise NotFound("there is no such project")
        if found.record is None or found.token is None or found.record.owner != owner:
            raise NotHome.of(found.record)
        return Held(self.store, project, found.record, found.token)

    async def delete(self, project: ProjectUuid) -> None:
        """Delete a project from outside of its home, whose next commit then fails.

        Its shards are deleted too, if it has any; deleting it again goes on with that.
        """

        async def plan(fresh: bool) -> Plan[Head | None]:
            row = await self._head(project, fresh=fresh)
            if row.record is None or row.record.deleted:
                return Plan(row.record)
            gone = msgspec.structs.replace(
                row.record, deleted=True, generation=row.record.generation + 1
            )
            return Plan(gone, [row.write(gone)])

        head = await transact(self.store, project_partition(project), plan)
        if head is None:
            return
        await self.names.release(head.customer, head.pid, project)
        await self.delete_shards(project, head)

    async def delete_shards(self, project: ProjectUuid, head: Head) -> None:
        """Delete the shards of a project that was deleted, if it has any."""
        for shard in shards(project, head.options.cells):
            await self.delete(shard)

    async def _head(self, project: ProjectUuid, *, fresh: bool) -> Read[Head]:
        return await read(self.store, project_partition(project), HEAD, Head, fresh=fresh)
