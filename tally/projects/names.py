"""Which project a customer's name means. Everything else goes by uuid."""

from __future__ import annotations

import re

from tally.errors import CorruptState
from tally.ledger.transact import Plan, Read, decode, read, transact
from tally.projects.records import HEAD, Head, Name, names_partition, project_partition
from tally.store.base import Store
from tally.wire import texts
from tally.wire.projects import ProjectUuid
from tally.wire.status import Refused, StatusCode

_PID = re.compile(r"[A-Za-z0-9_.-]{1,128}", re.ASCII)
_DOTS = (".", "..")  # HTTP clients take them for steps in the path, and ask for something else
_PAGE = 500

RESERVED = frozenset(
    {
        "list",
        "info",
        "dataDrift",
        "fusion",
        "dsbrowse",
        "create",
        "createJoin",
        "awsinfo",
        "rolling_window_embedded_project",
    }
)
"""Words that mean something else where a project's name may stand."""


def check_pid(pid: str) -> str:
    """Return a project's name if it may be one.

    Raises:
        Refused: it may not.

    Example:
        >>> check_pid("loans-24.b")
        'loans-24.b'
    """
    if not is_pid(pid):
        raise Refused(texts.bad_project_id(pid[:140]))
    return pid


def is_pid(pid: str) -> bool:
    """Tell whether a project may have a name; older ones may have got others.

    Example:
        >>> is_pid("loans-24.b"), is_pid("list"), is_pid("..")
        (True, False, False)
    """
    return _PID.fullmatch(pid) is not None and pid not in RESERVED and pid not in _DOTS


class Names:
    """The names of each customer's projects."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(self, customer: str, pid: str) -> Name | None:
        """Return what a name means; None: nothing."""
        return (await self._name(customer, pid, fresh=False)).record

    async def all(self, customer: str) -> list[tuple[str, Name]]:
        """Return the names of a customer's projects, in order, each with what it means."""
        found: list[tuple[str, Name]] = []
        after = ""
        partition = names_partition(customer)
        while rows := await self._store.scan(partition, after=after, limit=_PAGE):
            found += [(row.key, decode(row, Name)) for row in rows]
            after = rows[-1].key
        return found

    async def of(self, customer: str, project: ProjectUuid, likely: str) -> str | None:
        """Return the name of a project; None: it has none.

        Args:
            customer, project: whose, and which.
            likely: what it was called when somebody last looked.
        """
        found = await self.find(customer, likely)
        if found is not None and found.project == project:
            return likely
        names = await self.all(customer)
        return next((pid for pid, name in names if name.project == project), None)

    async def take(self, customer: str, pid: str, name: Name) -> None:
        """Give a name to a project; giving it again changes nothing.

        A name that means a project which was deleted, or never came to be, is free.

        Raises:
            Refused: it is another project's name (409), or none that a project may have.
        """
        check_pid(pid)

        async def plan(fresh: bool) -> Plan[None]:
            row = await self._name(customer, pid, fresh=fresh)
            if row.record is not None and row.record.project == name.project:
                return Plan(None)
            await self._check_free(row.record, customer, pid)
            return Plan(None, [row.write(name)])

        await transact(self._store, names_partition(customer), plan)

    async def rename(self, customer: str, project: ProjectUuid, pid: str, new: str) -> None:
        """Move a project from one name to another; doing so again changes nothing.

        Raises:
            Refused: the new name is another project's (409), or none that a project may have.
            CorruptState: the old name is not the project's.
        """
        check_pid(new)

        async def plan(fresh: bool) -> Plan[None]:
            row = await self._name(customer, pid, fresh=fresh)
            target = await self._name(customer, new, fresh=fresh)
            if target.record is not None and target.record.project == project:
                return Plan(None)
            if row.record is None or row.record.project != project:
                raise CorruptState(f"project {project} of {customer!r} is not named {pid!r}")
            await self._check_free(target.record, customer, new)
            return Plan(None, [row.write(None), target.write(row.record)])

        await transact(self._store, names_partition(customer), plan)

    async def release(self, customer: str, pid: str, project: ProjectUuid) -> None:
        """Free a name, if it still means this project."""

        async def plan(fresh: bool) -> Plan[None]:
            row = await self._name(customer, pid, fresh=fresh)
            if row.record is None or row.record.project != project:
                return Plan(None)
            return Plan(None, [row.write(None)])

        await transact(self._store, names_partition(customer), plan)

    async def _check_free(self, taken: Name | None, customer: str, pid: str) -> None:
        if taken is None:
            return
        partition = project_partition(taken.project)
        head = await read(self._store, partition, HEAD, Head, fresh=True)
        if head.record is not None and not head.record.deleted:
            raise Refused(texts.project_exists(pid, customer), StatusCode.CONFLICT)

    async def _name(self, customer: str, pid: str, *, fresh: bool) -> Read[Name]:
        return await read(self._store, names_partition(customer), pid, Name, fresh=fresh)
