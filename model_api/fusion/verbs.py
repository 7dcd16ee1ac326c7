"""The home's side of the calls that only fusion projects answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

import msgspec

from model_api.fusion.changes import SetCells
from model_api.fusion.cycles import Cycles
from model_api.fusion.refreshing import Refresher
from model_api.fusion.state import Fused
from model_api.fusion.told import cell_status
from model_api.fusion.trail import Trail
from model_api.projects.calls import Answer, Call
from model_api.projects.home import Home
from model_api.projects.homes import Homes
from tally.errors import InvalidInput
from tally.fusion.cells import Cell, CellState
from tally.master_key import MasterKey
from tally.projects.cells import FUSION, SealedCell, cell_key, decode_cells
from tally.projects.records import Options
from tally.projects.registry import now_ms
from tally.user_keys import UserKeys
from tally.wire import texts
from tally.wire.fusion import FusionCellInfo, FusionCellStatus, seal_cells
from tally.wire.projects import FUSION_PLACES, FUSION_STATUS, ProjectUuid
from tally.wire.status import Refused


class FusionVerbs:
    """Answers them.

    Args:
        homes: the projects at home here.
        refresher: fetches cells.
        cycles: finds projects that are cells of themselves.
        master, keys: of cells, and of customers.
    """

    def __init__(
        self,
        homes: Homes,
        refresher: Refresher,
        cycles: Cycles,
        master: MasterKey,
        keys: UserKeys,
    ) -> None:
        self._homes = homes
        self._refresher = refresher
        self._cycles = cycles
        self._master = master
        self._keys = keys
        self.verbs: Mapping[str, Callable[[Call], Awaitable[Answer]]] = {
            "fusionCreate": self._create,
            "fusionUpdate": self._update,
            "fusionStatus": self._status,
            "fusionProbe": self._probe,
            FUSION_PLACES: self._places,
        }

    async def encrypt_cells(self, home: Home) -> None:
        """Have the project tell its cells to its customer, keys included, and to nobody else."""
        key = await self._keys.get(home.head.customer)
        if home.fused is None or key is None:
            home.seen.cell_info = ""
            return
        cells = [
            FusionCellInfo(
                host=one.host,
                cid=one.cid,
                sk=cell_key(self._master, one, home.held.project).text,
                pid=one.pid,
                scope=one.scope,
            )
            for one in home.fused.cells
        ]
        home.seen.cell_info = seal_cells(key, cells)

    async def _create(self, call: Call) -> Answer:
        for name in ("cid", "pid"):
            if not call.query.get(name):
                raise Refused(texts.missing_parameter(name))
        cid, pid = call.query["cid"], call.query["pid"]
        cells = _cells(call)
        persisted = call.flag("persist", default=True)
        await self._check_cycles(cid, pid, cells, call.project)
        await self._homes.projects.create(
            cid,
            pid,
            Options(kind=FUSION),
            persisted=persisted,
            project=call.project,
            snapshot=Fused.of(cells).encode() if persisted else None,
        )
        if not persisted:
            await self._homes.change(call.project, SetCells(cells, ""), "", call.suspects)
        home = await self._homes.ask(call.project, call.suspects)
        await self._refresher.refresh_if_stale(home, Trail())
        return Answer()

    async def _update(self, call: Call) -> Answer:
        home, cells = await self._fusion(call), _cells(call)
        await self._check_cycles(home.head.customer, home.head.pid, cells, call.project)
        change = SetCells(cells, call.query.get("digest", ""))
        await self._homes.change(call.project, change, call.batch_id, call.suspects)
        (await self._fusion(call)).seen.stale()
        return Answer()

    async def _status(self, call: Call) -> Answer:
        home = await self._fusion(call)
        assert home.fused is not None
        trail = Trail((self._refresher.name(home),))
        cells = decode_cells(call.body) or home.fused.cells
        return await self._asked(cells, call.project, trail, home)

    async def _probe(self, call: Call) -> Answer:
        return await self._asked(_cells(call), call.project, Trail())

    async def _asked(
        self,
        cells: Sequence[SealedCell],
        project: ProjectUuid,
        trail: Trail,
        home: Home | None = None,
    ) -> Answer:
        fused = home.fused if home else None
        known = dict(fused.snapshots) if fused else {}
        asked = await self._refresher.probe(
            project,
            {one: known.get(one.cell) for one in cells},
            trail,
        )
        now = now_ms(self._homes.clock)
        told = []
        for cell, (report, snapshot) in asked.items():
            confirmed_ms = home.seen.confirmed_ms.get(cell, 0) if home else 0
            if report.status.state is CellState.NOT_MODIFIED:
                confirmed_ms = now
                if fused and (refused := fused.refused.get(cell)):
                    # What it gave is its newest, and does not fit to the others.
                    report = replace(report, status=refused)
            kept = snapshot or known.get(cell)
            told.append(cell_status(cell, report, kept, confirmed_ms, now))
        return _told(FUSION_STATUS, told)

    async def _places(self, call: Call) -> Answer:
        home = await self._homes.ask(call.project, call.suspects)
        cells = home.fused.cells if home.fused else ()
        told = [
            FusionCellStatus(host=one.host, cid=one.cid, pid=one.pid, scope=one.scope, status="")
            for one in cells
        ]
        return _told(FUSION_PLACES, told)

    async def _fusion(self, call: Call) -> Home:
        home = await self._homes.ask(call.project, call.suspects)
        if home.fused is None:
            raise Refused(texts.not_fusion(home.head.pid))
        return home

    async def _check_cycles(
        self, cid: str, pid: str, cells: Sequence[SealedCell], project: ProjectUuid
    ) -> None:
        """Refuse a cycle; who does not have a cell's key learns nothing of what is behind it."""
        known: list[Cell] = []
        for one in cells:
            if await self._keys.get(one.cid) == cell_key(self._master, one, project):
                known.append(one.cell)
        await self._cycles.check(cid, pid, known)


def _cells(call: Call) -> tuple[SealedCell, ...]:
    if not (cells := decode_cells(call.body)):
        raise InvalidInput("cells", "there is none")
    return cells


def _told(name: str, told: Sequence[FusionCellStatus]) -> Answer:
    return Answer(msgspec.json.encode({name: told}))
