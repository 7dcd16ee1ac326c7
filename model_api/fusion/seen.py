"""What is known of a fusion project's cells in memory only: how the last attempts ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tally.fusion.cells import Cell, CellState, Status

_PENDING = Status(CellState.PENDING)


@dataclass(frozen=True, slots=True)
class Report:
    """How an attempt to fetch a cell ended.

    Attributes:
        status: as the protocol tells it.
        elapsed_ms: how long it took.
    """

    status: Status = _PENDING
    elapsed_ms: int = 0


@dataclass(slots=True)
class Seen:
    """The last attempts at the cells of one project.

    Attributes:
        ended_s: when the last refresh ended, well or not, on the monotonic clock; None: none has,
            or the cells are others since.
        reports: by cell.
        confirmed_ms: when each cell last said that the snapshot we have is its newest.
        cell_info: the list of cells, encrypted for the customer; empty until somebody asks.
    """

    ended_s: float | None = None
    reports: Mapping[Cell, Report] = field(default_factory=dict)
    confirmed_ms: dict[Cell, int] = field(default_factory=dict)
    cell_info: str = ""

    def note(self, reports: Mapping[Cell, Report], now_ms: int) -> None:
        """Take down how the cells were found."""
        self.reports = {**reports}
        self.confirmed_ms = {c: ms for c, ms in self.confirmed_ms.items() if c in reports}
        for cell, report in reports.items():
            if report.status.state in (CellState.OK, CellState.NOT_MODIFIED):
                self.confirmed_ms[cell] = now_ms

    def stale(self) -> None:
        """Have the next question fetch the cells, however short ago the last attempt was."""
        self.ended_s = None
