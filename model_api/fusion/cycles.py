"""Fusion projects of this installation that would be cells of themselves, found before they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec
import structlog

from tally.errors import NotFound, TallyError
from tally.fusion.cells import Cell
from tally.projects.cells import FUSION
from tally.projects.names import Names
from tally.routing.home_call import HomeCall
from tally.routing.homes import Homes
from tally.wire import texts
from tally.wire.fusion import FusionCellStatus
from tally.wire.projects import FUSION_PLACES
from tally.wire.status import Refused

_MOST = 10_000  # projects that are looked at
_log = structlog.get_logger()


class _Places(msgspec.Struct):
    fusionPlaces: tuple[FusionCellStatus, ...] = ()  # noqa: N815 - as it is on the wire


class Cycles:
    """Looks for them.

    Two projects that are made cells of each other in the same moment are not seen; asking them
    finds out, since each question carries the path that it came by.

    Args:
        names, homes: our projects, and where they are.
        is_local: tells whether a cell is one of them.
        wait_s: how long to wait for a home.
    """

    def __init__(
        self, names: Names, homes: Homes, is_local: Callable[[Cell], bool], wait_s: float
    ) -> None:
        self._names = names
        self._homes = homes
        self._is_local = is_local
        self._wait_s = wait_s

    async def check(self, cid: str, pid: str, cells: Iterable[Cell]) -> None:
        """Return if a project with such cells is no cell of itself.

        Args:
            cid, pid: the project.
            cells: of it.

        Raises:
            Refused: 400, it is.
        """
        own = f"{cid}/{pid}"
        waiting: list[tuple[tuple[str, ...], Cell]] = [((own,), cell) for cell in cells]
        seen: set[str] = set()
        while waiting and len(seen) < _MOST:
            path, cell = waiting.pop()
            if not self._is_local(cell):
                continue
            name = f"{cell.cid}/{cell.pid}"
            if name == own:
                raise Refused(texts.fusion_cycle([*path, own]))
            if name in seen:
                continue
            seen.add(name)
            waiting += [((*path, name), inner) for inner in await self._cells(cell)]

    async def _cells(self, cell: Cell) -> list[Cell]:
        """Return the cells of a cell that is a fusion project; none where it cannot be asked."""
        found = await self._names.find(cell.cid, cell.pid)
        if found is None or found.kind != FUSION:
            return []
        try:
            answer = await self._homes.answer(
                HomeCall(found.project, "GET", FUSION_PLACES), self._wait_s
            )
            told = msgspec.json.decode(answer.body, type=_Places).fusionPlaces
        except (NotFound, TallyError, msgspec.MsgspecError) as error:
            _log.warning("cells of a cell are not known", cell=str(cell), reason=str(error))
            return []
        return [Cell.of(one.host, one.cid, one.pid) for one in told]
