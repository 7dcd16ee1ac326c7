"""Peers run without being asked: workers walk the index, and take up what nobody runs.

All workers put the nodes into the same order for a project. The first one takes it up, as it does
when a broker asks; a project that has a home which lives stays there, and that one takes it up.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from model_api.federation.peers import Peers
from tally.clock import Clock
from tally.errors import NotFound, TallyError
from tally.ids import NodeId
from tally.projects.errors import NotHome
from tally.projects.peers import PeerIndex
from tally.projects.projects import Projects
from tally.projects.registry import now_ms
from tally.routing.follow import Follower
from tally.routing.rendezvous import rendezvous
from tally.wire.projects import ProjectUuid

_UNMADE_MS = 3_600_000  # after which an entry without a project is of one that never was made
_log = structlog.get_logger()


class PeerWatch:
    """Takes up the peers that this worker is to run.

    Args:
        peers: runs them.
        index: of all federated projects.
        projects: the store's.
        follower: knows the workers.
        node: our id; asked for once there is one.
        clock: ours.
        every_s: between two walks.
    """

    def __init__(
        self,
        peers: Peers,
        index: PeerIndex,
        projects: Projects,
        follower: Follower,
        node: Callable[[], NodeId],
        clock: Clock,
        every_s: float,
    ) -> None:
        self._peers = peers
        self._index = index
        self._projects = projects
        self._follower = follower
        self._node = node
        self._clock = clock
        self._every_s = every_s
        self._elsewhere: dict[ProjectUuid, NodeId] = {}

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            # A worker that has gone is a change of the table, after which all are looked at.
            await self._follower.wait_changed(self._every_s)
            try:
                await self.walk()
            except TallyError as error:
                _log.warning("looking after peers put off", code=error.code, reason=str(error))

    async def walk(self) -> None:
        """Take up all that this worker is to run and does not."""
        seen = set()
        async for project, entered_ms in self._index.walk():
            seen.add(project)
            if self._peers.runs(project) or self._peers.rests(project):
                continue
            if await self._is_ours(project):
                await self._take(project, entered_ms)
        self._elsewhere = {one: node for one, node in self._elsewhere.items() if one in seen}

    async def _is_ours(self, project: ProjectUuid) -> bool:
        nodes = self._follower.table.nodes
        if self._elsewhere.get(project) in nodes:
            return False
        order = rendezvous(project, nodes)
        if order and order[0] == self._node():
            return True
        head = await self._projects.head(project)
        if head is None or head.node == self._node():
            return head is not None
        if head.node in nodes:
            self._elsewhere[project] = head.node
        return False

    async def _take(self, project: ProjectUuid, entered_ms: int) -> None:
        try:
            await self._peers.take(project)  # a broker that is away must not hold up the others
        except NotHome as error:
            self._elsewhere[project] = error.owner
        except NotFound:
            if now_ms(self._clock) - entered_ms > _UNMADE_MS:
                await self._index.remove(project)
        except TallyError as error:
            _log.warning("peer not taken up", project=project, reason=str(error))
