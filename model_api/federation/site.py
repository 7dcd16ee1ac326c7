"""What a peer's projects do for it: the local one is frozen, the federated view is rebuilt."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import msgspec

from model_api.federation.cells import Fusions
from model_api.federation.changes import Rebuilt, Stepped, leaves_of
from model_api.federation.metrics import REBUILD_SECONDS
from model_api.federation.options import FederationOptions
from model_api.federation.state import Federated
from model_api.projects.home import Home
from model_api.projects.homes import Homes
from model_api.projects.reads import explored
from tally.codec.project import decode as decode_project
from tally.errors import NotFound
from tally.federation.effects import Explore, Rebuild
from tally.federation.logs import rebuilt_entry
from tally.federation.privacy.record import LocalRecord
from tally.federation.state import Local
from tally.federation.statistics import local_of, merged
from tally.ids import NodeId
from tally.projects.errors import NotHome
from tally.projects.registry import now_ms
from tally.wire.projects import ProjectUuid


class Site:
    """One federated project at home here, as its driver sees it.

    Args:
        homes: the projects at home here.
        project: which of them.
        options: of the installation.
        fusions: those that are local projects.
    """

    def __init__(
        self, homes: Homes, project: ProjectUuid, options: FederationOptions, fusions: Fusions
    ) -> None:
        self._homes = homes
        self._project = project
        self._options = options
        self._fusions = fusions
        self._frozen: tuple[LocalRecord, bool, Local] | None = None

    async def freeze(self) -> Local:
        """See `tally.federation.driver.Home`."""
        trouble = await self.refresh()
        home, state = await self._state()
        turnover, local = state.record.turnover, state.local
        # Under HIPAA rules distributions judge what leaves, and stay.
        histograms = local.histograms is not None and state.record.patients is None
        if self._frozen is not None and self._frozen[:2] == (state.record, histograms):
            # As in most rounds: no rows have come or gone, for each makes another record.
            return _told(self._frozen[2], trouble)
        frozen = await self._homes.threads.run(
            local_of,
            self._project,
            f"{home.since_ms}-{turnover.added + turnover.removed}",
            local,
            state.record,
            cell_rows=self._options.cell_rows,
            histograms=histograms,
            strict=self._options.strict,
            cells=None if state.cells is None else leaves_of(state.cells.leaves),
        )
        self._frozen = (state.record, histograms, frozen)
        return _told(frozen, trouble)

    async def refresh(self) -> str:
        """Ask the fusion that is the local project, if it is one; return what went wrong."""
        _, state = await self._state()
        if state.cells is None:
            return ""
        return await self._fusions.refresh(self._project, state, state.cells)

    async def rebuild(self, parts: Rebuild) -> str:
        """See `tally.federation.driver.Home`."""
        began = time.monotonic()
        home, _ = await self._state()
        first = home.project.summary.schema
        sum_ = await self._homes.threads.run(merged, parts.contributions, first)
        await self._homes.change(self._project, Rebuilt(sum_), "")
        took_s = time.monotonic() - began
        REBUILD_SECONDS.observe(took_s)
        refused = {parts.contributions[place].peer: why for place, why in sum_.refused.items()}
        entry = rebuilt_entry(
            home.head.pid,
            str(home.head.generation),
            home.local.options.kind,
            parts.remote_peers - len(refused.keys() - {parts.own}),
            round(1000 * took_s),
            now_ms(self._homes.clock),
        )
        return entry + "".join(f" refused:[{peer}: {why.text}]" for peer, why in refused.items())

    async def explore(self, question: Explore) -> object:
        """See `tally.federation.driver.Home`."""
        return await self._homes.threads.run(
            answer, question.snapshot.payload, question.metric, question.context
        )

    async def load(self) -> tuple[bytes, Mapping[str, bytes]] | None:
        """See `tally.federation.driver.Journal`."""
        _, state = await self._state()
        return state.peer, state.blobs

    async def save(self, record: bytes, snapshots: Mapping[str, bytes]) -> None:
        """See `tally.federation.driver.Journal`."""
        with _owned():
            await self._homes.change(self._project, Stepped(record, snapshots), "")

    async def _state(self) -> tuple[Home, Federated]:
        with _owned():
            home = await self._homes.ask(self._project)
        if home.federated is None:
            raise NotHome(NodeId(""))
        return home, home.federated


def _told(local: Local, trouble: str) -> Local:
    return msgspec.structs.replace(local, trouble=trouble) if trouble else local


@contextmanager
def _owned() -> Iterator[None]:
    """Have a project that was deleted end its peer as one does that is at home elsewhere."""
    try:
        yield
    except NotFound:
        raise NotHome(NodeId("")) from None


def answer(payload: bytes, metric: str, context: Mapping[str, object]) -> object:
    """Return what an exploration of statistics that a peer has shared tells, as JSON.

    Args:
        payload: the statistics in wire form.
        metric, context: as of `explore`.

    Raises:
        InvalidInput, Refused: the question cannot be answered.
    """
    values = explored(decode_project(payload), metric, msgspec.json.encode(context))
    return msgspec.json.decode(msgspec.json.encode(values))
