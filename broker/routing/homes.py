"""Asking the worker that is a project's home, and the next one when it is not there.

Every broker puts the workers into the same order for a project, so they agree on its home without
talking to each other. They may disagree for a moment, or take a slow home for a dead one: that is
safe, since each commit of a home is conditional on its still being the home, and since a change
bears an id by which it counts once. So whatever was lost on the way is simply sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import math
import random
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

import aiohttp
import msgspec
import structlog

from broker.metrics import HOME_RETRIES
from broker.routing.follow import Follower
from tally.clock import Clock
from tally.errors import NotFound, TallyError, TooLarge
from tally.ids import NodeId
from tally.wire.messages import REQUEST_ID, Node
from tally.wire.projects import (
    BATCH_ID,
    NOT_HOME,
    OWNER,
    SUSPECTS,
    ProjectUuid,
    Refusal,
    project_path,
    suspects_header,
)
from tally.wire.status import Refused, StatusCode

_FIRST_RETRY_S, _LAST_RETRY_S = 0.05, 1.0
_SUSPECT_S = 5.0
_PROBE_AFTER_S = 2.0
_PROBE_S = 2.0
_MOST_SILENCES = 2
_CONNECT_S = 2.0
_BUSY_S = 5.0  # whoever waits hears soon that the store is away; a job may wait for longer
_BUSY_SHARE = 0.1
_AT_ONCE = 256
_MOST_KNOWN = 10_000
_MAX_REASON = 300
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class HomeCall:
    """What a home is asked.

    Attributes:
        project: whose home.
        method, verb, query: of the internal call.
        batch_id: names a change; empty: nothing is changed.
        headers: further ones, such as the content type.
        body: as the client sent it.
        request_id: for the logs of both sides.
    """

    project: ProjectUuid
    method: str
    verb: str
    query: Mapping[str, str] = field(default_factory=dict)
    batch_id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    request_id: str = ""


class HomeUnavailable(TallyError):
    """No worker answered for a project in time.

    Attributes:
        changed: whether a change may have been made all the same.
    """

    code = "unavailable"

    def __init__(self, message: str, *, changed: bool = False) -> None:
        self.changed = changed
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class _Lost:
    """There is no answer.

    Attributes:
        reached: the worker may have read the call.
        dead: others are to be asked; else it is only slow.
    """

    reason: str
    reached: bool
    dead: bool = True


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
        session: HTTP client; a call must not wait for a connection, or its worker looks dead.
        token: that workers want to see.
        clock: for deadlines.
        max_answer_bytes: the longest answer that is passed on.
    """

    def __init__(
        self,
        follower: Follower,
        session: aiohttp.ClientSession,
        token: str,
        clock: Clock,
        *,
        max_answer_bytes: int,
    ) -> None:
        self._follower = follower
        self._session = session
        self._headers = {"Authorization": f"Bearer {token}"}
        self._clock = clock
        self._max_answer_bytes = max_answer_bytes
        self._suspects: dict[NodeId, float] = {}
        self._known: OrderedDict[ProjectUuid, NodeId] = OrderedDict()
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def ask(self, call: HomeCall, wait_s: float) -> bytes:
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

    async def _ask_until(self, call: HomeCall, wait_s: float, trial: _Trial) -> bytes:
        retry_s = _FIRST_RETRY_S
        while True:
            answer = await self._ask_each(call, trial)
            if answer is not None and answer.status != HTTPStatus.SERVICE_UNAVAILABLE:
                return _values(answer)
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
            HOME_RETRIES.inc()
            # Full jitter; a change of the table is worth a try at once.
            pause_s = min(trial.deadline_s - now, random.uniform(0, retry_s))  # noqa: S311
            await self._follower.wait_changed(pause_s)
            retry_s = min(2 * retry_s, _LAST_RETRY_S)

    async def _ask_each(self, call: HomeCall, trial: _Trial) -> _Answer | None:
        """Return the answer of the home, or of the worker that became it; None: there is none."""
        order = self._order(call.project)
        asked: set[NodeId] = set()
        while order:
            node_id = order.pop(0)
            node = self._follower.table.nodes.get(node_id)
            left_s = trial.deadline_s - self._clock.monotonic()
            if node is None or node_id in asked or left_s <= 0:
                continue
            asked.add(node_id)
            answer = await self._attempt(node_id, node, call, left_s)
            if isinstance(answer, _Lost):
                trial.reason = f"worker {node_id} did not answer ({answer.reason})"
                trial.reached |= answer.reached
                _log.warning("home did not answer", node=node_id, reason=answer.reason)
                if answer.dead:
                    self._suspect(node_id)
                continue
            self._suspects.pop(node_id, None)
            if answer.status != NOT_HOME:
                self._remember(call.project, node_id)
                return answer
            owner = NodeId(str(_refusal(answer).values.get(OWNER, "")))
            trial.reason = f"worker {node_id} is not the home; that is {owner or 'unknown'}"
            if owner in self._follower.table.nodes and owner not in self._suspects:
                order.insert(0, owner)
            elif owner and owner != node_id:
                # Whoever is asked next is told so, and may take the project over.
                self._suspect(owner)
        return None

    def _suspect(self, node_id: NodeId) -> None:
        self._suspects[node_id] = self._clock.monotonic() + _SUSPECT_S

    def _order(self, project: ProjectUuid) -> list[NodeId]:
        """Return the workers in the order in which to ask them, those last that failed just now."""
        now = self._clock.monotonic()
        self._suspects = {n: until for n, until in self._suspects.items() if until > now}
        order = rendezvous(project, self._follower.table.nodes)
        known = self._known.get(project)
        return sorted(order, key=lambda n: (n in self._suspects, n != known))

    def _remember(self, project: ProjectUuid, node_id: NodeId) -> None:
        self._known[project] = node_id
        self._known.move_to_end(project)
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)

    async def _attempt(
        self, node_id: NodeId, node: Node, call: HomeCall, left_s: float
    ) -> _Answer | _Lost:
        """Return what one worker answers; give it up once it does not show that it lives.

        A learn of many rows may take long, so only silence on both ways counts against it.
        """
        base = f"http://{node.host}:{node.port}"
        asking = asyncio.create_task(self._send(base, call, left_s))
        silences = 0
        try:
            while True:
                done, _ = await asyncio.wait({asking}, timeout=_PROBE_AFTER_S)
                if done:
                    return asking.result()
                # One that computes may be slow to say so, once.
                silences = 0 if await self._lives(base) else silences + 1
                table = self._follower.table
                gone = table.connected and node_id not in table.nodes
                if silences >= _MOST_SILENCES or gone:
                    return _Lost("it does not answer", reached=True)
        finally:
            if not asking.done():
                asking.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await asking

    async def _send(self, base: str, call: HomeCall, left_s: float) -> _Answer | _Lost:
        headers = {**self._headers, **call.headers, REQUEST_ID: call.request_id}
        if call.batch_id:
            headers[BATCH_ID] = call.batch_id
        if self._suspects:
            headers[SUSPECTS] = suspects_header(self._suspects)
        try:
            async with self._session.request(
                call.method,
                base + project_path(call.project, call.verb, call.query),
                # As a file, since aiohttp writes that in parts; the bytes are not copied.
                data=io.BytesIO(call.body) if call.body else None,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=left_s, sock_connect=_CONNECT_S),
                allow_redirects=False,
                skip_auto_headers=("Content-Type",),
            ) as response:
                return _Answer(response.status, await self._read(response))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            return _Lost(type(error).__name__, reached=False)
        except aiohttp.ClientError as error:
            return _Lost(type(error).__name__, reached=True)
        except TimeoutError:
            return _Lost("no answer in time", reached=True, dead=False)

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        parts, size_bytes = [], 0
        async for part in response.content.iter_any():
            size_bytes += len(part)
            if size_bytes > self._max_answer_bytes:
                raise TooLarge(
                    "project", f"its home answers with more than {self._max_answer_bytes} bytes"
                )
            parts.append(part)
        return b"".join(parts)

    async def _lives(self, base: str) -> bool:
        timeout = aiohttp.ClientTimeout(total=_PROBE_S)
        try:
            async with self._session.get(f"{base}/health", timeout=timeout) as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False


def rendezvous(project: ProjectUuid, nodes: Collection[NodeId]) -> list[NodeId]:
    """Return the nodes in the order in which they are a project's home.

    A node that joins or leaves moves the projects only that are, or come, to be at home there.

    Example:
        >>> nodes = [NodeId("a_1"), NodeId("b_1"), NodeId("c_1")]
        >>> first, *rest = rendezvous(ProjectUuid("5f" * 16), nodes)
        >>> rendezvous(ProjectUuid("5f" * 16), rest) == rest
        True

    Source: Thaler and Ravishankar 1998, doi:10.1109/90.663936.
    """

    def weight(node_id: NodeId) -> bytes:
        return hashlib.blake2b(f"{project} {node_id}".encode(), digest_size=8).digest()

    return sorted(nodes, key=weight, reverse=True)


def _values(answer: _Answer) -> bytes:
    if answer.status == HTTPStatus.OK:
        return answer.body
    told = _refusal(answer)
    if answer.status == HTTPStatus.NOT_FOUND:
        raise NotFound(told.text)
    values = {name: str(value) for name, value in told.values.items()}
    raise Refused(told.text, StatusCode.of(answer.status), **values)


def _refusal(answer: _Answer) -> Refusal:
    try:
        return msgspec.json.decode(answer.body, type=Refusal)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # Something else listens there now, or its code is older than ours.
        shown = answer.body[:_MAX_REASON].decode(errors="replace")
        _log.error("home answered what it should not", status=answer.status, body=shown)
        raise Refused(
            "The worker's answer could not be read", StatusCode.INTERNAL_SERVER_ERROR
        ) from None
