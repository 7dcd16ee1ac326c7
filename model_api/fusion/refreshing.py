"""Fetching the cells of a fusion project before a question is answered, once for all who ask."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from model_api.fusion.changes import Refreshed
from model_api.fusion.fetching import CellFailed, Fetch, Question
from model_api.fusion.limits import FusionLimits
from model_api.fusion.local import late
from model_api.fusion.room import Room, Share
from model_api.fusion.seen import Report
from model_api.fusion.state import Fused, Snapshot
from model_api.fusion.trail import Trail, trail_headers
from model_api.projects.home import Home
from model_api.projects.homes import Homes
from model_api.projects.sharing import Joined
from tally.clock import Clock
from tally.errors import CorruptState, InvalidInput, TallyError
from tally.fusion.cells import Cell, CellState, Status
from tally.fusion.schedule import due
from tally.master_key import MasterKey
from tally.projects.cells import SealedCell, cell_key
from tally.projects.registry import now_ms
from tally.wire.projects import ProjectUuid

_MERGE_S = 0.25  # in which what was fetched is added up and written
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Asked:
    """What came of asking a cell."""

    report: Report
    snapshot: Snapshot | None = None


class Refresher:
    """Fetches cells.

    Args:
        homes: the projects at home here.
        fetch: asks one cell.
        master: opens the keys of cells.
        clock: ours.
        limits: how often and how long.
        server: our installation, as it stands in paths.
    """

    def __init__(
        self,
        homes: Homes,
        fetch: Fetch,
        master: MasterKey,
        clock: Clock,
        limits: FusionLimits,
        server: str,
    ) -> None:
        self._homes = homes
        self._fetch = fetch
        self._master = master
        self._clock = clock
        self._limits = limits
        self._server = server
        self._running = Joined[None](homes.start)
        self._room = Room(homes.limits.memory_bytes)

    def name(self, home: Home) -> str:
        """Return what a project is called in paths."""
        return f"{self._server}/{home.head.customer}/{home.head.pid}"

    async def refresh_if_stale(self, home: Home, trail: Trail) -> None:
        """Have a fusion project's cells fetched, if that is due; whatever comes of it.

        Returns as soon as the caller's time is up; the refresh goes on for others.

        Args:
            home: the project's.
            trail: who asks.

        Raises:
            Refused: 409, the project asks for itself.
        """
        path = trail.through(self.name(home), self._limits.max_depth)
        now_s = self._clock.monotonic()
        min_ms = 1000 * self._limits.prefetch_s
        if not due(now_s, home.seen.ended_s, min_ms, frozen=home.head.frozen):
            return
        # No less than half: whoever has no time must not spoil the refresh for all others.
        fetch_s = self._limits.fetch_s
        limit_s = min(fetch_s, max(trail.left_s - _MERGE_S, fetch_s / 2))
        project = home.held.project
        try:
            async with asyncio.timeout(None if math.isinf(trail.left_s) else trail.left_s):
                await self._running(project, lambda: self._refresh(project, path, limit_s))
        except TimeoutError:
            return

    async def probe(
        self, project: ProjectUuid, cells: Mapping[SealedCell, Snapshot | None], trail: Trail
    ) -> Mapping[Cell, tuple[Report, Snapshot | None]]:
        """Ask cells, and change nothing.

        Args:
            project: for which their keys are sealed.
            cells: each with what it gave last.
            trail: who asks.
        """
        with self._room.share(0) as share:
            asked = await self._ask_all(project, cells, trail.path, self._limits.fetch_s, share)
        return {cell: (one.report, one.snapshot) for cell, one in asked.items()}

    async def _refresh(self, project: ProjectUuid, path: tuple[str, ...], limit_s: float) -> None:
        home = await self._homes.ask(project)
        fused, seen = home.fused, home.seen
        if fused is None:
            return
        try:
            known = {one: fused.snapshots.get(one.cell) for one in fused.cells}
            with self._room.share(fused.size_bytes) as share:
                asked = await self._ask_all(project, known, path, limit_s, share)
                reports = {cell: one.report for cell, one in asked.items()}
                await self._take(project, fused, asked)
            if not home.head.frozen:  # else nothing was taken
                seen.note(reports, now_ms(self._clock))
            if bad := {str(c): r.status.text for c, r in reports.items() if _is_bad(r)}:
                _log.warning("cells could not be fetched", project=project, cells=bad)
        finally:
            if home.fused is not None and home.fused.cells == fused.cells:
                seen.ended_s = self._clock.monotonic()  # else there are cells that nobody asked

    async def _take(self, project: ProjectUuid, fused: Fused, asked: Mapping[Cell, _Asked]) -> None:
        """Put what cells gave in place of what they gave before."""
        found = {cell: one.snapshot for cell, one in asked.items() if one.snapshot}
        # A circle is a mistake and no outage: what came through it is our own, and old.
        circles = {cell for cell, one in asked.items() if _is_circle(one.report)}
        dropped = frozenset(circles & fused.snapshots.keys())
        if found or dropped:
            await self._homes.change(project, Refreshed(found, dropped), "")

    async def _ask_all(
        self,
        project: ProjectUuid,
        cells: Mapping[SealedCell, Snapshot | None],
        path: tuple[str, ...],
        limit_s: float,
        share: Share,
    ) -> Mapping[Cell, _Asked]:
        """Ask all cells at once; those that have not answered in time are given up."""
        headers = trail_headers(path, limit_s)
        tasks = {
            one.cell: asyncio.create_task(self._ask(project, one, old, headers, limit_s, share))
            for one, old in cells.items()
        }
        try:
            if tasks:
                await asyncio.wait(tasks.values(), timeout=limit_s)
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
        missed = _Asked(Report(late(limit_s).status, round(1000 * limit_s)))
        return {cell: missed if t.cancelled() else t.result() for cell, t in tasks.items()}

    async def _ask(
        self,
        project: ProjectUuid,
        one: SealedCell,
        old: Snapshot | None,
        headers: Mapping[str, str],
        limit_s: float,
        share: Share,
    ) -> _Asked:
        began_s = self._clock.monotonic()

        def report(state: CellState, detail: str = "") -> Report:
            elapsed_ms = round(1000 * (self._clock.monotonic() - began_s))
            return Report(Status(state, detail), elapsed_ms)

        try:
            key, since = cell_key(self._master, one, project), old.version if old else ""
            with share.part() as take:
                question = Question(one.cell, key, since, headers, limit_s, take)
                data = (await self._fetch(question)).data
                if data is None:
                    return _Asked(report(CellState.NOT_MODIFIED))
                snapshot = await self._homes.threads.run(Snapshot.of, data, now_ms(self._clock))
                take(snapshot.size_bytes - len(data))
                share.keep(snapshot.size_bytes, old.size_bytes if old else 0)
        except CellFailed as error:
            return _Asked(report(error.status.state, error.status.detail))
        except (CorruptState, InvalidInput) as error:
            _log.warning("what a cell gave cannot be read", cell=str(one.cell), reason=str(error))
            return _Asked(report(CellState.ERROR, "what it gave cannot be read"))
        except TallyError as error:
            return _Asked(report(CellState.ERROR, error.code))
        except Exception as error:
            # A defect must not keep the other cells from being fetched.
            _log.error("fetching a cell failed", cell=str(one.cell), exc_info=error)
            return _Asked(report(CellState.ERROR, "fetching it failed; the log tells more"))
        if any(leaf.source == project for leaf in snapshot.contribution.provenance):
            return _Asked(report(CellState.CYCLE, "what it gave came through this project"))
        return _Asked(report(CellState.OK), snapshot)


def _is_circle(report: Report) -> bool:
    return report.status.state is CellState.CYCLE


def _is_bad(report: Report) -> bool:
    return not report.status.state.is_good
