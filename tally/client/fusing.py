"""The cells of a fusion project, which holds no rows of its own."""

from __future__ import annotations

from collections.abc import Iterable

from tally.client import wire
from tally.client.cells import Cell, CellLike, sealed
from tally.client.errors import NotFusion
from tally.client.explore.questions import Questions
from tally.client.results.cells import CellsStatus
from tally.client.session import Request, Session
from tally.wire import texts

TEXT = {"Content-Type": "text/plain"}
_FUSION, _STATUS, _UPDATE = "fusion", "cellsStatus", "updateCellsInfo"


class Fusing(Questions):
    """What only a fusion project answers."""

    async def cells(self) -> tuple[Cell, ...]:
        """Return the project's cells, with their keys: the server tells them their customer.

        Raises:
            NotFusion: it has none.
        """
        answer = await self._session.get("projects", self.pid, "info")
        told = wire.cells(self.account.key, answer)
        if not told:
            raise NotFusion(answer.status, texts.not_fusion(self.pid))
        return tuple(map(Cell.of, told))

    async def cells_status(self, cells: Iterable[CellLike] = ()) -> CellsStatus:
        """Ask the cells how they are, now; nothing changes.

        Args:
            cells: others, that the project might have; none: its own.

        Raises:
            NotFusion: the project has no cells.
            InvalidInput: one of them stands there twice.
        """
        return await ask_cells(self._session, tuple(cells), self.pid)

    async def update_cells(self, cells: Iterable[CellLike]) -> None:
        """Set the list of cells; those that stay keep what they gave, the others do not count.

        Raises:
            NotFusion: the project has no cells.
            FusionCycle: it would be a cell of itself.
            InvalidInput: there is none, or one stands there twice.
        """
        body = sealed(self.account, cells)
        path = ("projects", _FUSION, self.pid, _UPDATE)
        await self._session.change("POST", *path, body=body, headers=TEXT)


async def ask_cells(session: Session, cells: tuple[CellLike, ...], pid: str = "") -> CellsStatus:
    """Return how cells are, in the order in which they are given.

    Args:
        session: of the customer.
        cells: to ask; none: those of the project.
        pid: a fusion project; empty: there is none yet.
    """
    path = ("projects", _FUSION, *((pid,) if pid else ()), _STATUS)
    body = sealed(session.account, cells) if cells or not pid else b""
    answer = await session.ask(Request("POST", path, body=body, headers=TEXT))
    return CellsStatus.of(wire.cell_statuses(session.account.key, answer))
