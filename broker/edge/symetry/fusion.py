"""Calls that only fusion projects know: their bodies are opened, and cells' keys sealed, here."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from broker.edge.symetry.at_home import AtHome
from broker.edge.symetry.beside import beside
from broker.edge.symetry.call import Call, Outcome
from broker.edge.symetry.rate import AtOnce
from broker.edge.symetry.routes import CELLS_STATUS, Action
from tally.master_key import MasterKey
from tally.projects.cells import encode_cells, seal_cell
from tally.projects.names import check_pid
from tally.projects.projects import Projects, new_project_uuid
from tally.user_keys import UserKeys
from tally.wire import texts
from tally.wire.fusion import FusionCellInfo, FusionCellStatus, read_cells, seal_statuses
from tally.wire.projects import ProjectUuid
from tally.wire.secret_key import SecretKey
from tally.wire.status import Refused, StatusCode

_ASKED_AT_ONCE = 4  # by one customer: each call asks many servers, and they may all keep us waiting


class _Statuses(msgspec.Struct):
    fusionStatus: tuple[FusionCellStatus, ...] = ()  # noqa: N815 - as it is on the wire


class FusionHandlers:
    """Answers them.

    Args:
        projects: which there are.
        home: asks their homes.
        keys: of customers, with which bodies are encrypted.
        master: seals the keys of cells, so that no message to a home has one.
    """

    def __init__(self, projects: Projects, home: AtHome, keys: UserKeys, master: MasterKey) -> None:
        self._projects = projects
        self._home = home
        self._keys = keys
        self._master = master
        self._asking = AtOnce(_ASKED_AT_ONCE)
        self.by_action: Mapping[Action, Callable[[Call, float], Awaitable[Outcome]]] = {
            Action.FUSION_CREATE: self._create,
            Action.FUSION_STATUS: self._status,
            Action.FUSION_UPDATE: self._update,
        }

    async def _create(self, call: Call, wait_s: float) -> Outcome:
        pid = check_pid(call.query.needed("pid"))
        cells = await self._cells(call)
        persist = call.query.flag("persist", default=True)
        if await self._projects.names.find(call.cid, pid) is not None:
            raise Refused(texts.project_exists(pid, call.cid), StatusCode.CONFLICT)
        made = new_project_uuid()
        query = {"cid": call.cid, "pid": pid, "persist": str(persist).lower()}
        await self._home.ask(
            call,
            pid,
            wait_s,
            project=made,
            verb="fusionCreate",
            query=query,
            body=self._sealed(cells, made),
        )
        return Outcome(status=StatusCode.CREATED, text=texts.fusion_created(pid))

    async def _update(self, call: Call, wait_s: float) -> Outcome:
        project = await self._home.project(call, call.pid)
        cells = await self._cells(call)
        await self._home.ask(
            call,
            call.pid,
            wait_s,
            project=project,
            verb="fusionUpdate",
            query={"digest": _digest(cells)},
            body=self._sealed(cells, project),
        )
        return Outcome()

    async def _status(self, call: Call, wait_s: float) -> Outcome:
        pid = call.values.get("pid", "")
        project = await self._home.project(call, pid) if pid else new_project_uuid()
        own = bool(pid) and not call.body.strip()
        cells = () if own else await self._cells(call)
        with self._asking.call(call.cid):
            told = await self._home.ask(
                call,
                pid,
                wait_s,
                project=project,
                verb="fusionStatus" if pid else "fusionProbe",
                query={},
                body=self._sealed(cells, project),
            )
        statuses = msgspec.json.decode(told.body, type=_Statuses).fusionStatus
        text = seal_statuses(await self._key(call), statuses)
        return Outcome(msgspec.json.encode(dict.fromkeys(CELLS_STATUS, text)))

    async def _cells(self, call: Call) -> tuple[FusionCellInfo, ...]:
        """Return the cells in a body.

        Raises:
            Refused, InvalidInput: it is not encrypted with the customer's key, or no such list.
        """
        return await beside(len(call.body), read_cells, await self._key(call), call.body)

    async def _key(self, call: Call) -> SecretKey:
        if (key := await self._keys.get(call.cid)) is None:
            raise Refused("Invalid User", StatusCode.UNAUTHORIZED)  # deleted since it signed
        return key

    def _sealed(self, cells: Sequence[FusionCellInfo], project: ProjectUuid) -> bytes:
        sealed = (seal_cell(self._master, info.cell, info.key, project) for info in cells)
        return encode_cells(tuple(sealed))


def _digest(cells: Sequence[FusionCellInfo]) -> str:
    """Return what tells a list of cells from another; sealed, the same list differs each time."""
    # One way, and a key has 128 random bits, so nobody finds one by its digest.
    told = [(str(info.cell), info.cell.scope, info.sk.strip()) for info in cells]
    return hashlib.sha256(msgspec.json.encode(told)).hexdigest()
