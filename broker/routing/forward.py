"""One question to one worker, then to the next, until the deadline."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp
import structlog

from broker.metrics import CACHE_HITS, RETRIES
from broker.routing.cache import Answer, Cache
from broker.routing.choose import choose, everyone
from tally.clock import Clock
from tally.errors import Conflict, FitFailed, InvalidInput, NotFound, StoreUnavailable, Unavailable
from tally.ids import ModelUuid, NodeId
from tally.ledger import Ledger
from tally.routing.follow import Follower
from tally.routing.table import Table
from tally.wire.messages import MODEL_VERSION, REQUEST_ID, forecast_path

_FIRST_RETRY_S, _LAST_RETRY_S = 0.05, 1.0
_ATTEMPT_S, _SHORTEST_ATTEMPT_S = 5.0, 0.1
_HELPERS = 2
_SUSPECT_S = 5.0
_MAX_REASON = 1000
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Question:
    """What a client wants to know.

    Attributes:
        name: of the model.
        version: a stored version by number; None: the one being served.
        at_least: the lowest version the client accepts; 0: any.
    """

    name: str
    steps: int
    levels: tuple[float, ...] = ()
    timestamps: bool = False
    include_version: bool = False
    version: int | None = None
    at_least: int = 0


@dataclass(frozen=True, slots=True)
class _Call:
    """A question on its way.

    Attributes:
        deadline: on the monotonic clock.
    """

    question: Question
    request_id: str
    deadline: float


class Forwarder:
    """Asks workers on behalf of clients.

    Args:
        follower: who knows the workers.
        ledger: asked only where the table knows nothing of a model.
        session: HTTP client.
        token: that workers want to see.
        clock: for deadlines.
        wait_s: how long a question may wait for a worker.
        cache_bytes: bound of the cache of answers.
    """

    def __init__(
        self,
        follower: Follower,
        ledger: Ledger,
        session: aiohttp.ClientSession,
        token: str,
        clock: Clock,
        *,
        wait_s: float,
        cache_bytes: int,
    ) -> None:
        self._follower = follower
        self._ledger = ledger
        self._session = session
        self._headers = {"Authorization": f"Bearer {token}"}
        self._clock = clock
        self._wait_s = wait_s
        self._floors: dict[ModelUuid, int] = {}
        self._suspects: dict[NodeId, float] = {}
        self._cache = Cache(cache_bytes)

    async def ask(self, question: Question, request_id: str) -> Answer:
        """Return the answer of some worker.

        Raises:
            NotFound: there is no such model, or no such version.
            InvalidInput: the worker refuses the question; its sentence.
            FitFailed: the forecast is out of the range of numbers.
            Conflict: the version wanted at least was rolled back.
            Unavailable: nobody could answer in time.
        """
        deadline = self._clock.monotonic() + self._wait_s
        retry_s, reason = _FIRST_RETRY_S, "no worker has announced itself"
        while True:
            try:
                known = await self._ask_now(question, request_id, deadline)
                if isinstance(known, Answer):
                    return known
                reason = known or reason
            except StoreUnavailable as error:
                reason = str(error)
            left = deadline - self._clock.monotonic()
            if left <= 0 or self._follower.ended:
                raise Unavailable(
                    f"model {question.name!r} could not be asked within {self._wait_s:g} s: "
                    f"{reason}",
                    retry_after_s=2,
                )
            RETRIES.inc()
            # Full jitter; a change of the table is worth a try at once.
            await self._follower.wait_changed(min(left, random.uniform(0, retry_s)))  # noqa: S311
            retry_s = min(2 * retry_s, _LAST_RETRY_S)

    async def _ask_now(self, question: Question, request_id: str, deadline: float) -> Answer | str:
        """Return an answer, or why there is none now."""
        table = self._follower.table
        model = table.model(question.name)
        if model is None:
            model = await self._look_up(question.name)
        call = _Call(question, request_id, deadline)
        if question.version is not None:
            return await self._ask_version(
                model, question.version, table.restored(model), call, table, ()
            )
        if question.at_least:
            await self._refuse_rolled_back(table, model, question)
        reason: str | None = None
        without: set[NodeId] = set()
        while target := choose(table, model, self._floors.get(model, 0), without):
            if target.version < question.at_least:
                return f"version {question.at_least} is asked for and {target.version} is served"
            found = await self._ask_version(
                model, target.version, target.restored, call, table, target.nodes
            )
            if isinstance(found, Answer):
                if target.generation < self._floors.get(model, 0):
                    return "a newer version was served meanwhile"
                self._floors[model] = target.generation
                return found
            reason = reason or found
            # Whoever said that it serves this is dead, and nobody can load it. What was served
            # before may be answered, unless we have answered with something newer already.
            without.update(target.nodes)
        return "no worker serves it yet" if reason is None else reason

    async def _ask_version(
        self,
        model: ModelUuid,
        version: int,
        restored: int,
        call: _Call,
        table: Table,
        serving: Sequence[NodeId],
    ) -> Answer | str:
        """Return one version's answer, or why nobody gives it.

        Args:
            model, version, restored: which.
            call: what is asked, and until when.
            table: who is there.
            serving: those that serve it as the model's head; none: it is asked by its number.
        """
        question = call.question
        path = forecast_path(
            model,
            version,
            question.steps,
            levels=question.levels,
            timestamps=question.timestamps,
            include_version=question.include_version,
            restored=restored,
        )
        if (known := self._cache.get(path)) is not None:
            CACHE_HITS.inc()
            return known
        nodes: Sequence[NodeId] = everyone(table, model, version)
        if serving:
            # Any worker can load a version by its number. Should those die that were the first to
            # serve it, some others are asked, though they have not said yet that they serve it.
            rest = [n for n in nodes if n not in serving]
            helpers = random.sample(rest, min(_HELPERS, len(rest)))
            nodes = (*random.sample(serving, len(serving)), *helpers)
        found = await self._ask_each(nodes, path, version, call)
        if isinstance(found, Answer):
            self._cache.put(path, found)
        return found

    async def _refuse_rolled_back(self, table: Table, model: ModelUuid, question: Question) -> None:
        """Raise if the version that a client wants at least has been rolled back.

        The store is asked before that is said: the announcement may be older than what the client
        has seen through another broker.
        """
        told = table.heads.get(question.name)
        if told is None or not told.version < question.at_least <= told.barrier:
            return
        head = await self._ledger.versions.head(model)
        if head is not None and head.version < question.at_least <= head.barrier_version:
            raise Conflict(
                f"X-Min-Model-Version: version {question.at_least} of model {question.name!r} was "
                f"rolled back, and version {head.version} is served"
            )

    async def _ask_each(
        self,
        nodes: Sequence[NodeId],
        path: str,
        version: int,
        call: _Call,
    ) -> Answer | str:
        question = call.question
        order = list(nodes)
        # Without time to ask anybody, what was said before stays the reason.
        reason = "" if order else "no worker is there"
        # Stable, so that those likely to have the version stay first.
        order.sort(key=self._suspected)
        for node_id in order:
            left = call.deadline - self._clock.monotonic()
            if left <= 0:
                break
            node = self._follower.table.nodes.get(node_id)
            if node is None:
                continue
            # About half of what is left, so that one that hangs leaves time to ask others.
            attempt_s = min(_ATTEMPT_S, max(left / 2, min(left, _SHORTEST_ATTEMPT_S)))
            url = f"http://{node.host}:{node.port}{path}"
            try:
                async with self._session.get(
                    url,
                    headers={**self._headers, REQUEST_ID: call.request_id},
                    timeout=aiohttp.ClientTimeout(total=attempt_s),
                    allow_redirects=False,
                ) as response:
                    body = await response.read()
            except (aiohttp.ClientError, TimeoutError) as error:
                reason = f"worker {node_id} did not answer ({type(error).__name__})"
                self._suspects[node_id] = self._clock.monotonic() + _SUSPECT_S
                _log.warning("worker did not answer", node=node_id, reason=repr(error))
                continue
            self._suspects.pop(node_id, None)
            if response.status == 200:
                if response.headers.get(MODEL_VERSION) == str(version):
                    return Answer(version, body)
                # Something else listens there now.
                reason = f"worker {node_id} did not say that version {version} made its answer"
            else:
                reason = body[:_MAX_REASON].decode(errors="replace")
            if response.status == 400:
                field, _, text = reason.partition(": ")
                raise InvalidInput(field, text) if text else InvalidInput("forecast", reason)
            if response.status == 422:
                raise FitFailed(reason)
            if response.status == 404 and question.version is not None:
                raise NotFound(f"model {question.name!r}: {reason}")
            _log.warning("worker refused", node=node_id, status=response.status, reason=reason)
        return reason

    def _suspected(self, node_id: NodeId) -> bool:
        """Tell whether a worker failed to answer a moment ago: others are asked first.

        One that hangs would otherwise slow down its share of all questions until its lease ends.
        """
        until = self._suspects.get(node_id)
        if until is None:
            return False
        if until > self._clock.monotonic():
            return True
        del self._suspects[node_id]
        return False

    async def _look_up(self, name: str) -> ModelUuid:
        """Return a model that no announcement tells of: not made yet, or lost."""
        model = await self._ledger.names.find(name)
        head = await self._ledger.versions.head(model)
        if head is None or head.version == 0:
            raise NotFound(f"model {name!r} has no version yet: its first fit has not ended")
        return model
