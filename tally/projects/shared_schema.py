"""What the shards of a project know alike: one row that only grows, in the project's partition.

A shard writes a new name there before any of its rows with that name count. So a name means the
same in all shards, and the order of the attributes is that in which they came to the row.
"""

from __future__ import annotations

import msgspec

from tally.engine.part import Known
from tally.engine.project import Project
from tally.engine.schema import Schema
from tally.errors import NotFound
from tally.ledger.transact import Plan, read, transact
from tally.projects.records import HEAD, Head, project_partition
from tally.store.base import Store
from tally.wire.projects import ProjectUuid

SCHEMA = "schema"


class _Record(msgspec.Struct, frozen=True):
    """Row `schema` of a sharded project.

    Attributes:
        names, types, bases: of the attributes, in index order; see `tally.engine.schema`.
        columns: the letter of each column.
    """

    names: tuple[str, ...] = ()
    types: str = ""
    bases: tuple[str | None, ...] = ()
    columns: dict[str, str] = {}

    @classmethod
    def of(cls, known: Known) -> _Record:
        schema = known.schema
        return cls(schema.names, schema.types, schema.bases, dict(known.types))

    @property
    def known(self) -> Known:
        groups = (0,) * len(self.names)
        return Known(Schema(self.names, self.types, self.bases, groups), self.columns)


class SharedSchema:
    """The row, as one reader has seen it last.

    Args:
        store: where it is.
        project: whose, not its shards'.
    """

    def __init__(self, store: Store, project: ProjectUuid) -> None:
        self.known = Known()
        self._store = store
        self._project = project
        self._partition = project_partition(project)
        self._seen = _Record()

    async def refresh(self) -> bool:
        """Read the row; return whether it differs from what was seen last."""
        row = await read(self._store, self._partition, SCHEMA, _Record)
        return self._see(row.record or _Record())

    async def extend(self, part: Project) -> bool:
        """Add the names of a part that are not in the row.

        Returns:
            Whether they are in the row now; False: somebody has written another one since it was
            last read here, which was read for that, and the part has to be made again by it.

        Raises:
            NotFound: the project was deleted.
            InvalidInput: a name is known as something else.
            TooLarge: there would be too many attributes.
        """
        wanted, before = _Record.of(self.known.with_(part)), self._seen
        found = before

        async def plan(fresh: bool) -> Plan[bool]:
            nonlocal found
            row = await read(self._store, self._partition, SCHEMA, _Record, fresh=fresh)
            found = row.record or _Record()
            if found == wanted:
                return Plan(True)
            if found != before:
                return Plan(False)
            # With the last rows of a deleted project this one would be left for ever.
            head = await read(self._store, self._partition, HEAD, Head, fresh=fresh)
            if head.record is None or head.record.deleted:
                raise NotFound(f"project {self._project} was deleted")
            return Plan(True, [row.write(wanted)], [head.check()])

        done = await transact(self._store, self._partition, plan)
        self._see(wanted if done else found)
        return done

    def _see(self, record: _Record) -> bool:
        if record == self._seen:
            return False
        self._seen, self.known = record, record.known
        return True
