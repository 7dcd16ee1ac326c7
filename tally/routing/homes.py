"""Asking the worker that is a project's home, and the next one when it is not there.

What any worker can answer goes to the one that this process has the fewest such calls under way to.

Every broker puts the workers into the same order for a project, so they agree on its home without
talking to each other. They may disagree for a moment, or take a slow home for a dead one: that is
safe, since each commit of a home is conditional on its still being the home, and since a change
bears an id by which it counts once. So whatever was lost on the way is simply sent again.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

import msgspec
import structlog

from tally.clock import Clock
from tally.errors import NotFound, TallyError
from tally.ids import NodeId
from tally.routing.follow import Follower
from tally.routing.home_call import Answer, HomeCall, HomeCaller, Lost
from tally.routing.rendezvous import rendezvous
from tally.wire.messages import Node
from tally.wire.projects import NOT_HOME, OWNER, ProjectUuid, Refusal
from tally.wire.status import Refused, StatusCode

_FIRST_RETRY_S, _LAST_RETRY_S = 0.05, 1.0
_SUSPECT_S = 5.0
_BUSY_S = 5.0  # whoever waits hears soon that the store is away; a job may wait for longer
_BUSY_SHARE = 0.1
_AT_ONCE = 256
_MOST_KNOWN = 10_000
_MAX_REASON = 300
_log = structlog.get_logger()


class HomeUnavailable(TallyError):
    """No worker answered for a project in time.

    Attributes:
        changed: whether a change may have been made all the same.
    """

    code = "unavailable"

    def __init__(self, message: str, *, changed: bool = False) -> None:
        self.changed = changed
        super().__init__(message)


@dataclass
class _Trial:
    """How a call has gone so far; `reached`: some worker may have done what it asks for."""

    deadline_s: float
    reason: str = "no worker has announced itself"
    reached: bool = False
    busy_since_s: float = math.inf


class Homes:
    """Asks homes on behalf of clients.

    Args:
        follower: who knows the workers.
        caller: who calls them.
        clock: for deadlines.
        retried: called whenever a call has to wait for a home.
    """

    def __init__(
        self,
        follower: Follower,
        caller: HomeCaller,
        clock: Clock,
        retried: Callable[[], None] = lambda: None,
    ) -> None:
        self._follower = follower
        self._caller = caller
        self._clock = clock
        self._retried = retried
        self._suspects: dict[NodeId, float] = {}
        self._known: OrderedDict[ProjectUuid, NodeId] = OrderedDict()
        self._under_way: Counter[NodeId] = Counter()
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def answer(self, call: HomeCall, wait_s: float) -> Answer:
        """Return what the home answers: the JSON of `values`, or bytes where the verb says so.

        Args:
            call: the question, or the change.
            wait_s: how long to go on trying.

        Raises:
            Refused: the home says why not.
            NotFound: there is no such project.
            TooLarge: its answer is.
            HomeUnavailable: there was no answer in time.
        """
        trial = _Trial(self._clock.monotonic() + wait_s)
        try:
            async with asyncio.timeout(wait_s):
                await self._turns.acquire()
        except TimeoutError:
            raise HomeUnavailable("too many calls are under way") from None
        try:
            return await self._ask_until(call, wait_s, trial)
        finally:
            self._turns.release()

    async def _ask_until(self, call: HomeCall, wait_s: float, trial: _Trial) -> Answer:
        retry_s = _FIRST_RETRY_S
        while True:
            answer = await self._ask_each(call, trial)
            if answer is not None and answer.status != HTTPStatus.SERVICE_UNAVAILABLE:
                return _accepted(answer)
            now = self._clock.monotonic()
            if answer is not None:
                trial.busy_since_s = min(trial.busy_since_s, now)
                trial.reached = True
                trial.reason = _refusal(answer).text
            busy_s = max(_BUSY_S, wait_s * _BUSY_SHARE)
            given_up = now - trial.busy_since_s >= busy_s or self._follower.ended
            if given_up or trial.deadline_s <= now:
                changed = trial.reached and bool(call.batch_id)
                raise HomeUnavailable(trial.reason, changed=changed)
            self._retried()
            # Full jitter; a change of the table is worth a try at once.
            pause_s = min(trial.deadline_s - now, random.uniform(0, retry_s))  # noqa: S311
            await self._follower.wait_changed(pause_s)
            retry_s = min(2 * retry_s, _LAST_RETRY_S)

    async def _ask_each(self, call: HomeCall, trial: _Trial) -> Answer | None:
        """Return the answer of the home, or of the worker that became it; None: there is none."""
        order = self._spread() if call.anywhere else self._order(call.project)
        busy: Answer | None = None
        asked: set[NodeId] = set()
        while order:
            node_id = order.pop(0)
            node = self._follower.table.nodes.get(node_id)
            left_s = trial.deadline_s - self._clock.monotonic()
            if node is None or node_id in asked or left_s <= 0:
                continue
            asked.add(node_id)
            answer = await self._ask(node_id, node, call, left_s)
            if isinstance(answer, Lost):
                trial.reason = f"worker {node_id} did not answer ({answer.reason})"
                trial.reached |= answer.reached
                _log.warning("home did not answer", node=node_id, reason=answer.reason)
                if answer.dead:
                    self._suspect(node_id)
                continue
            self._suspects.pop(node_id, None)
            if call.anywhere and answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
                busy = answer  # it is stopping, perhaps, and the next one is not
                continue
            if answer.status != NOT_HOME:
                if not call.anywhere:
                    self._remember(call.project, node_id)
                return answer
            owner = NodeId(str(_refusal(answer).values.get(OWNER, "")))
            trial.reason = f"worker {node_id} is not the home; that is {owner or 'unknown'}"
            if owner in self._follower.table.nodes and owner not in self._suspects:
                order.insert(0, owner)
            elif owner and owner != node_id:
                # Whoever is asked next is told so, and may take the project over.
                self._suspect(owner)
        return busy

    async def _ask(
        self, node_id: NodeId, node: Node, call: HomeCall, left_s: float
    ) -> Answer | Lost:
        self._under_way[node_id] += 1
        try:
            return await self._caller.ask(node_id, node, call, self._suspects, left_s)
        finally:
            self._under_way[node_id] -= 1
            if not self._under_way[node_id]:
                del self._under_way[node_id]

    def _suspect(self, node_id: NodeId) -> None:
        self._suspects[node_id] = self._clock.monotonic() + _SUSPECT_S

    def _order(self, project: ProjectUuid) -> list[NodeId]:
        """Return the workers in the order in which to ask them, those last that failed just now."""
        self._pardon()
        order = rendezvous(project, self._follower.table.nodes)
        known = self._known.get(project)
        return sorted(order, key=lambda n: (n in self._suspects, n != known))

    def _spread(self) -> list[NodeId]:
        """Return all workers, those last that failed just now, and those first that are idle."""
        self._pardon()
        nodes = random.sample(list(self._follower.table.nodes), len(self._follower.table.nodes))
        return sorted(nodes, key=lambda n: (n in self._suspects, self._under_way[n]))

    def _pardon(self) -> None:
        now = self._clock.monotonic()
        self._suspects = {n: until for n, until in self._suspects.items() if until > now}

    def _remember(self, project: ProjectUuid, node_id: NodeId) -> None:
        self._known[project] = node_id
        self._known.move_to_end(project)
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)


def _accepted(answer: Answer) -> Answer:
    if answer.status in (HTTPStatus.OK, HTTPStatus.ACCEPTED):
        return answer
    told = _refusal(answer)
    if answer.status == HTTPStatus.NOT_FOUND:
        raise NotFound(told.text)
    values = {name: str(value) for name, value in told.values.items()}
    raise Refused(told.text, StatusCode.of(answer.status), **values)


def _refusal(answer: Answer) -> Refusal:
    try:
        return msgspec.json.decode(answer.body, type=Refusal)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # Something else listens there now, or its code is older than ours.
        shown = answer.body[:_MAX_REASON].decode(errors="replace")
        _log.error("home answered what it should not", status=answer.status, body=shown)
        raise Refused(
            "The worker's answer could not be read", StatusCode.INTERNAL_SERVER_ERROR
        ) from None
