"""What is told of the cells of a fusion project: how each is, and what the sum stands on."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from model_api.fusion.seen import Report
from model_api.fusion.state import Fused, Snapshot
from model_api.projects.home import Home
from tally.fusion.cells import Cell, CellState, Status, fetch_error
from tally.projects.registry import now_ms
from tally.wire.fusion import FusionCellStatus

FETCH_ERROR, CELLS = "fusion_fetch_error", "fusion_cells"
_FETCHED = (CellState.OK, CellState.NOT_MODIFIED)


def fusion_params(home: Home) -> Mapping[str, str]:
    """Return what a fusion project's `params` tell of its cells; nothing of another project."""
    if home.fused is None:
        return {}
    return {FETCH_ERROR: last_error(home), CELLS: cells_text(home)}


def model_params(home: Home) -> Mapping[str, str]:
    """Return what a model tells of the cells that it was built from; nothing without cells."""
    return {} if home.fused is None else {CELLS: cells_text(home)}


def last_error(home: Home) -> str:
    """Return `fusion_fetch_error`: what went wrong at the last attempt; empty if nothing."""
    if home.fused is None:
        return ""
    reports = (_report(home, home.fused, one.cell) for one in home.fused.cells)
    cells = (one.cell for one in home.fused.cells)
    return fetch_error((cell, report.status) for cell, report in zip(cells, reports, strict=True))


def cells_text(home: Home) -> str:
    """Return the cells that the statistics stand on, their rows, versions and ages, as JSON."""
    if home.fused is None:
        return "[]"
    told = [
        cell_status(
            one.cell,
            _report(home, home.fused, one.cell),
            home.fused.snapshots.get(one.cell),
            home.seen.confirmed_ms.get(one.cell, 0),
            now_ms(home.clock),
        )
        for one in home.fused.cells
    ]
    return msgspec.json.encode(told).decode()


def cell_status(
    cell: Cell, report: Report, snapshot: Snapshot | None, confirmed_ms: int, at_ms: int
) -> FusionCellStatus:
    """Return how a cell is.

    Args:
        cell: which.
        report: of the last attempt.
        snapshot: what it gave last.
        confirmed_ms: when it last said that this is its newest; 0: never since.
        at_ms: the time now, as these, in milliseconds since 1970.
    """
    told = FusionCellStatus(
        host=cell.host,
        cid=cell.cid,
        pid=cell.pid,
        scope=cell.scope,
        status=report.status.text,
        elapsed_ms=report.elapsed_ms,
    )
    if snapshot is None:
        return told
    return msgspec.structs.replace(
        told,
        rows=snapshot.contribution.rows,
        attributes=len(snapshot.contribution.project.summary.schema),
        version=snapshot.version,
        fetched_at=snapshot.fetched_ms,
        age_ms=max(0, at_ms - max(snapshot.fetched_ms, confirmed_ms)),
    )


def _report(home: Home, fused: Fused, cell: Cell) -> Report:
    report = home.seen.reports.get(cell, Report())
    refused: Status | None = fused.refused.get(cell)
    if refused is not None and report.status.state in (*_FETCHED, CellState.PENDING):
        return Report(refused, report.elapsed_ms)
    return report
