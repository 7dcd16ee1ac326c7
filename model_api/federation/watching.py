"""Peers run without being asked: workers walk the index, and take up what nobody runs.

All workers put the nodes into the same order for a project. The first one takes it up, as it does
when a broker asks; a project that has a home which lives stays there, and that one takes it up.
What a maker left who did not come to the end is undone by the first one, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from model_api.federation.peers import Peers
from model_api.federation.unmaking import Unmaking
from model_api.projects.homes import Homes
from tally.errors import NotFound, TallyError
from tally.ids import NodeId
from tally.projects.errors import NotHome
from tally.projects.graves import is_dead
from tally.projects.peers import Entry, PeerIndex
from tally.projects.registry import now_ms
from tally.routing.follow import Follower
from tally.routing.rendezvous import rendezvous
from tally.wire.projects import ProjectUuid

_GONE_MS = 3_600_000  # after which an entry without a project is of one that is gone
MAKING_S = 300.0
"""Longer than anybody takes to make a project; twice as long after each time it was not undone."""

_MOST_WAIT_S = 24 * 3600.0
_ELSEWHERE_S = 60.0
"""So long nobody asks again where a project is at home: it may have gone from there since."""

_log = structlog.get_logger()


@dataclass(slots=True)
class _Unmade:
    """A project that is being made, or was not made to its end."""

    wait_s: float
    not_before_s: float


@dataclass(frozen=True, slots=True)
class _Elsewhere:
    """Where a project was at home when somebody last looked."""

    node: NodeId
    until_s: float


class PeerWatch:
    """Takes up the peers that this worker is to run.

    Args:
        homes: the projects at home here.
        peers: runs them.
        index: of all federated projects.
        unmaking: undoes what was not made to its end.
        follower: knows the workers.
        node: our id; asked for once there is one.
        every_s: between two walks.
    """

    def __init__(
        self,
        homes: Homes,
        peers: Peers,
        index: PeerIndex,
        unmaking: Unmaking,
        follower: Follower,
        node: Callable[[], NodeId],
        every_s: float,
    ) -> None:
        self._homes = homes
        self._peers = peers
        self._index = index
        self._unmaking = unmaking
        self._follower = follower
        self._node = node
        self._clock = homes.clock
        self._every_s = every_s
        self._elsewhere: dict[ProjectUuid, _Elsewhere] = {}
        self._unmade: dict[ProjectUuid, _Unmade] = {}
        self.settling: set[ProjectUuid] = set()
        """Projects whose making is being brought to an end just now."""
        self._trouble = ""

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await self._wait()
            try:
                await self.walk()
            except TallyError as error:
                if error.code != self._trouble:  # once, however long it lasts
                    _log.warning("looking after peers put off", code=error.code, reason=str(error))
                self._trouble = error.code
            else:
                self._trouble = ""

    async def _wait(self) -> None:
        """Return when it is time to look, or when a worker has come or gone."""
        loop, nodes = asyncio.get_running_loop(), self._follower.table.nodes.keys()
        end_s = loop.time() + self._every_s
        while (left_s := end_s - loop.time()) > 0 and self._follower.table.nodes.keys() == nodes:
            await self._follower.wait_changed(left_s)

    async def walk(self) -> None:
        """Take up all that this worker is to run and does not."""
        seen = set()
        async for project, entry in self._index.walk():
            seen.add(project)
            if not await self._is_ours(project):
                continue
            if entry.undo and self._is_due(project):
                self.settling.add(project)
                self._homes.start(self._settle(project, entry))
            if self._peers.running(project) is None and not self._peers.rests(project):
                await self._take(project, entry)
        self._elsewhere = {one: known for one, known in self._elsewhere.items() if one in seen}
        self._unmade = {one: unmade for one, unmade in self._unmade.items() if one in seen}

    async def _is_ours(self, project: ProjectUuid) -> bool:
        if self._peers.running(project) is not None:
            return True
        nodes, known = self._follower.table.nodes, self._elsewhere.get(project)
        if known and known.node in nodes and self._clock.monotonic() < known.until_s:
            return False
        order = rendezvous(project, nodes)
        if order and order[0] == self._node():
            return True
        head = await self._homes.projects.head(project)
        if head is None or head.node == self._node():
            return head is not None
        if head.node in nodes:
            self._note_elsewhere(project, head.node)
        return False

    def _note_elsewhere(self, project: ProjectUuid, node: NodeId) -> None:
        self._elsewhere[project] = _Elsewhere(node, self._clock.monotonic() + _ELSEWHERE_S)

    async def _take(self, project: ProjectUuid, entry: Entry) -> None:
        try:
            if entry.undo and await is_dead(self._homes.projects, project):
                return  # it is being made, or will be settled
            await self._peers.take(project)  # a broker that is away must not hold up the others
        except NotHome as error:
            self._note_elsewhere(project, error.owner)
        except NotFound:
            if not entry.undo and now_ms(self._clock) - entry.created_ms > _GONE_MS:
                await self._index.remove(project)
        except TallyError as error:
            self._peers.put_off(project)
            _log.warning("peer not taken up", project=project, reason=str(error))

    def _is_due(self, project: ProjectUuid) -> bool:
        """Tell whether it is time to settle what was not made to its end; at first it is not."""
        now_s = self._clock.monotonic()
        unmade = self._unmade.setdefault(project, _Unmade(MAKING_S, now_s + MAKING_S))
        if now_s < unmade.not_before_s or project in self.settling:
            return False
        unmade.wait_s *= 2
        unmade.not_before_s = now_s + unmade.wait_s
        return True

    async def _settle(self, project: ProjectUuid, entry: Entry) -> None:
        try:
            if self._unmade[project].wait_s > _MOST_WAIT_S:
                await self._unmaking.give_up(project, entry)
            else:
                await self._unmaking.settle(project, entry)
            self._unmade.pop(project, None)
        except TallyError as error:
            _log.warning("not undone yet", project=project, reason=str(error))
        except Exception as error:
            # A defect, or a broker's client that raises what it should not: the others go on.
            _log.error("undoing failed", project=project, exc_info=error)
        finally:
            self.settling.discard(project)
