"""A local project that is a fusion: it is asked at every round, and its sum is the peer's own."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

import msgspec

from model_api.federation.changes import Summed, leaves_of
from model_api.federation.state import Cells, Federated
from model_api.fusion.told import FETCH_ERROR
from model_api.fusion.trail import trail_headers
from model_api.projects.homes import Homes
from tally.codec.contribution import decode
from tally.codec.project import encode
from tally.engine.project import Project
from tally.errors import InvalidInput, TallyError
from tally.federation.messages import Leaf
from tally.fusion.sources import Contribution
from tally.projects.cells import FUSION
from tally.routing.home_call import HomeCall
from tally.routing.homes import Homes as Routing
from tally.wire import texts
from tally.wire.cell_statistics import unpack_cell
from tally.wire.projects import ProjectUuid
from tally.wire.status import Refused

WAIT_S = 5.0
"""So long a round waits for a fusion, which answers in time with what it has."""

MOST_LEAVES = 100
"""As many as the header of a snapshot names."""


class _Info(msgspec.Struct):
    params: dict[str, str] = {}


class _Told(msgspec.Struct, rename="camel"):
    sml_info: _Info = msgspec.field(default_factory=_Info)


@dataclass(frozen=True, slots=True)
class Fusions:
    """Asks fusion projects of this installation, wherever they are at home.

    Attributes:
        homes: the projects at home here, the peers' among them.
        routing: asks homes of this installation.
    """

    homes: Homes
    routing: Routing
    _seen: dict[ProjectUuid, tuple[str, bool]] = field(default_factory=dict, repr=False)
    """By peer, the version that its fusion gave last, and whether values were counted then."""

    async def find(self, cid: str, pid: str) -> ProjectUuid:
        """Return a customer's fusion project.

        Raises:
            Refused: 400, there is none of that name.
        """
        found = await self.homes.projects.names.find(cid, pid)
        if found is None:
            raise Refused(texts.no_project(pid, cid))
        if await self.homes.kind(found.project) != FUSION:
            raise Refused(texts.not_fusion(pid))
        return found.project

    async def refresh(self, peer: ProjectUuid, state: Federated, cells: Cells) -> str:
        """Have the peer's local project be what its fusion shows now.

        Args:
            peer: the federated project.
            state: of it.
            cells: what it stands on.

        Returns:
            What went wrong, for the error log; empty: nothing. Then it has what it had, or what
            the fusion shows without the cells that did not answer.
        """
        try:
            local = state.local
            counted = local.histograms is not None
            version, before = self._seen.get(peer, ("", counted))
            since = version if cells.leaves and before is counted else ""
            if (given := await self._shown(cells.fusion, since)) is not None:
                _check(given, state.peers.keys() | {peer})
                if given.provenance != cells.leaves and await self._differs(given, local):
                    await self.homes.change(peer, Summed(given), "")
                self._seen[peer] = given.version, counted
            return await self._missing(cells.fusion)
        except TallyError as error:
            return f"The fusion project that is the local one was not asked: {error}"

    async def _shown(self, fusion: ProjectUuid, since: str) -> Contribution | None:
        """Return what a fusion shows; None: what it showed as that version."""
        headers = trail_headers((), WAIT_S)
        call = HomeCall(fusion, "GET", "cellStatistics", {"since": since}, headers=headers)
        answer = await self.routing.answer(call, WAIT_S)
        if since and unpack_cell(answer.body)[0].not_modified:
            return None
        return await self.homes.threads.run(decode, answer.body)

    async def _missing(self, fusion: ProjectUuid) -> str:
        """Return which cells the fusion could not ask."""
        answer = await self.routing.answer(HomeCall(fusion, "GET", "infoKnown"), WAIT_S)
        error = msgspec.json.decode(answer.body, type=_Told).sml_info.params.get(FETCH_ERROR, "")
        return f"Cells of the local project: {error}" if error else ""

    async def _differs(self, given: Contribution, local: Project) -> bool:
        """Tell whether there is more than other versions of the same rows."""

        def bare(project: Project) -> bytes:
            if local.histograms is not None:
                return encode(project)
            options = replace(project.options, histogram=False)
            return encode(replace(project, options=options, histograms=None))

        return await self.homes.threads.run(lambda: bare(given.project) != bare(local))


def _check(given: Contribution, peers: Collection[str]) -> None:
    """Refuse what cannot be shared.

    Args:
        given: by a fusion.
        peers: of the federation, whose rows count by themselves.

    Raises:
        InvalidInput: says why.
    """
    leaves = given.provenance
    if len(leaves) > MOST_LEAVES:
        raise InvalidInput("cells", f"{len(leaves)} projects in it; {MOST_LEAVES} are allowed")
    if twice := sorted(leaf.source for leaf in leaves if leaf.source in peers):
        raise InvalidInput("cells", f"they have rows of peer [{twice[0]}] of this federation")
    if sum(leaf.rows for leaf in leaves) != given.rows:
        raise InvalidInput("cells", "it has rows of which it does not tell whose they are")
    try:
        msgspec.convert(msgspec.to_builtins(leaves_of(leaves)), tuple[Leaf, ...])
    except msgspec.ValidationError as error:
        raise InvalidInput("cells", f"what they tell of their rows: {error}") from None
    options = given.project.options
    if options.partition is not None or options.order is not None or options.hash_bins is not None:
        raise InvalidInput("type", "partitions, sequences and hashed categories are not shared")
