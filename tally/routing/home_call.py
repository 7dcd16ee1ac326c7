"""One call to one worker, given up as soon as that one does not show that it lives."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field

import aiohttp

from tally.errors import TooLarge
from tally.ids import NodeId
from tally.routing.follow import Follower
from tally.wire.messages import MODEL_VERSION, REQUEST_ID, Node
from tally.wire.projects import BATCH_ID, SUSPECTS, ProjectUuid, project_path, suspects_header

_PROBE_AFTER_S = 2.0
_PROBE_S = 2.0
_MOST_SILENCES = 2
_CONNECT_S = 2.0
_PART_BYTES = 2**19  # aiohttp's own parts are 64 KiB: for large bodies more turns of the event loop


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
        anywhere: any worker can answer it, as the store has all that it takes.
    """

    project: ProjectUuid
    method: str
    verb: str
    query: Mapping[str, str] = field(default_factory=dict)
    batch_id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    request_id: str = ""
    anywhere: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker said; and the version of the model that said it, if one did."""

    status: int
    body: bytes
    model_version: str = ""


@dataclass(frozen=True, slots=True)
class Lost:
    """There is no answer.

    Attributes:
        reason: why, in few words.
        reached: the worker may have read the call.
        dead: others are to be asked; else it is only slow.
    """

    reason: str
    reached: bool
    dead: bool = True


class HomeCaller:
    """Calls workers. One that computes for long is waited for: only silence counts against it.

    Args:
        follower: whose table tells when a worker's lease has ended.
        session: HTTP client; a call must not wait for a connection, or its worker looks dead.
        token: that workers want to see.
        max_answer_bytes: the longest answer that is passed on.
    """

    def __init__(
        self,
        follower: Follower,
        session: aiohttp.ClientSession,
        token: str,
        max_answer_bytes: int,
    ) -> None:
        self._follower = follower
        self._session = session
        self._headers = {"Authorization": f"Bearer {token}"}
        self._max_answer_bytes = max_answer_bytes

    async def ask(
        self,
        node_id: NodeId,
        node: Node,
        call: HomeCall,
        suspects: Collection[NodeId],
        left_s: float,
    ) -> Answer | Lost:
        """Return what one worker answers.

        Args:
            node_id, node: who is asked, as the table had it.
            call: what.
            suspects: workers that cannot be reached, which this one is told of.
            left_s: how long to wait at most.

        Raises:
            TooLarge: the answer is.
        """
        base = f"http://{node.host}:{node.port}"
        asking = asyncio.create_task(self._send(base, call, suspects, left_s))
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
                    return Lost("it does not answer", reached=True)
        finally:
            if not asking.done():
                asking.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await asking

    async def _send(
        self, base: str, call: HomeCall, suspects: Collection[NodeId], left_s: float
    ) -> Answer | Lost:
        headers = {**self._headers, **call.headers, REQUEST_ID: call.request_id}
        if call.batch_id:
            headers[BATCH_ID] = call.batch_id
        if suspects:
            headers[SUSPECTS] = suspects_header(suspects)
        if call.body:
            # Without it, aiohttp frames the parts as chunks.
            headers["Content-Length"] = str(len(call.body))
        try:
            async with self._session.request(
                call.method,
                base + project_path(call.project, call.verb, call.query),
                data=_parts(call.body) if call.body else None,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=left_s, sock_connect=_CONNECT_S),
                allow_redirects=False,
                skip_auto_headers=("Content-Type",),
            ) as response:
                version = response.headers.get(MODEL_VERSION, "")
                return Answer(response.status, await self._read(response), version)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            return Lost(type(error).__name__, reached=False)
        except aiohttp.ClientError as error:
            return Lost(type(error).__name__, reached=True)
        except TimeoutError:
            return Lost("no answer in time", reached=True, dead=False)

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


async def _parts(body: bytes) -> AsyncIterator[memoryview]:
    """Yield a body in parts, as fast as they are taken off; the bytes are not copied."""
    view = memoryview(body)
    for start in range(0, len(view), _PART_BYTES):
        yield view[start : start + _PART_BYTES]
