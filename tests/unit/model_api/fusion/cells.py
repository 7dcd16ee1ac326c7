"""Cells at home on the same worker, asked without a socket, and what a test sees of that."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from model_api.fusion.changes import SetCells
from model_api.fusion.fetching import CellFailed, Fetched, Question
from model_api.fusion.limits import FusionLimits
from model_api.fusion.refreshing import Refresher
from model_api.fusion.trail import Trail
from model_api.projects.home import Home
from model_api.projects.homes import Homes
from model_api.projects.versions import contribution
from tally.clock import Clock
from tally.codec.contribution import encode
from tally.fusion.cells import Cell, CellState
from tally.master_key import MasterKey
from tally.projects.cells import FUSION, SealedCell, seal_cell
from tally.projects.records import Options
from tally.wire.projects import ProjectUuid
from tally.wire.secret_key import SecretKey
from tests.unit.model_api.projects.acts import create, rows

MASTER = MasterKey(bytes(32))
KEY = SecretKey(bytes(16))


class Fusion:
    """A fusion project and its cells.

    Attributes:
        project: the fusion's.
        asked: the pids of the cells in the order in which they were asked.
        left_s: how long the last one was waited for.
        gone: cells that do not answer.
        gate: while it is not set, cells wait with their answer.
    """

    def __init__(self, homes: Homes, clock: Clock, limits: FusionLimits) -> None:
        self.homes = homes
        self.project = ProjectUuid("")
        self.asked: list[str] = []
        self.left_s = 0.0
        self.gone: set[str] = set()
        self.gate = asyncio.Event()
        self.gate.set()
        self.cells: dict[str, ProjectUuid] = {}
        self.refresher = Refresher(homes, self.fetch, MASTER, clock, limits, "server")

    async def fetch(self, question: Question) -> Fetched:
        assert question.key == KEY
        self.asked.append(question.cell.pid)
        self.left_s = question.left_s
        await self.gate.wait()
        if question.cell.pid in self.gone:
            raise CellFailed(CellState.UNREACHABLE, "no connection")
        given = contribution(await self.homes.ask(self.cells[question.cell.pid]))
        if given.version == question.since:
            return Fetched(None)
        data = encode(given)
        question.take(len(data))
        return Fetched(data)

    async def learn(self, pid: str, count: int = 1) -> None:
        """Have a cell learn rows, made if need be."""
        if pid not in self.cells:
            self.cells[pid] = await create(self.homes, pid)
        await self.homes.change(self.cells[pid], rows("x", count=count), "")

    async def fuse(self, pids: Sequence[str], *, persisted: bool = True) -> None:
        options = Options(kind=FUSION)
        self.project = await self.homes.projects.create("c1", "sum", options, persisted=persisted)
        await self.set(pids)

    async def set(self, pids: Sequence[str]) -> None:
        change = SetCells(sealed(self.project, *pids), ",".join(pids))
        await self.homes.change(self.project, change, "")
        (await self.home()).seen.stale()

    async def home(self) -> Home:
        return await self.homes.ask(self.project)

    async def count(self) -> int:
        """Return how many rows a question is answered from."""
        await self.refresher.refresh_if_stale(await self.home(), Trail())
        return (await self.home()).project.row_count

    async def states(self) -> dict[str, str]:
        reports = (await self.home()).seen.reports
        return {cell.pid: report.status.text for cell, report in reports.items()}


def sealed(project: ProjectUuid, *pids: str) -> tuple[SealedCell, ...]:
    cells = (Cell.of("local", "c1", pid) for pid in pids)
    return tuple(seal_cell(MASTER, cell, KEY, project) for cell in cells)
