"""Signed requests: sent, answered, and sent again where that is safe and may help."""

from __future__ import annotations

import asyncio
import io
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TypeVar
from urllib.parse import quote, urlencode

import aiohttp
import msgspec
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_before_delay,
    wait_random_exponential,
)
from tenacity.wait import wait_base
from yarl import URL

from tally.client.account import Account
from tally.client.errors import ProjectRefused, ServerAway, is_away, refusal
from tally.wire.signing import signed_headers

T = TypeVar("T")

_ROOT = "/symetry/rest"
_JSON = "application/json"
_AGENT = "tally-python"
_HASHED_IN_A_THREAD = 256 * 2**10


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a request is repeated while the service is away or busy, in seconds.

    Attributes:
        total_s: after so long the last problem is raised; 0: a request is sent once.
        first_s, most_s: a pause is a random part of at most the first, then of twice that and
            so on up to the longest, and never shorter than the server asks for.
        answer_s: how long one answer may take.
    """

    total_s: float = 30.0
    first_s: float = 0.2
    most_s: float = 5.0
    answer_s: float = 120.0


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked.

    Attributes:
        method: of HTTP.
        path: below the customer, its segments not yet percent-encoded.
        query: parameters.
        body: as sent.
        headers: of the body.
        batch_id: names a change, however often it is sent: it counts once.
    """

    method: str
    path: tuple[str, ...]
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    batch_id: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, with a status below 400."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def value(self, key: str, kind: type[T]) -> T:
        """Return a member of the envelope's `values`.

        Raises:
            ProjectRefused: the answer has none, or one of another form: no server of this API.
        """
        try:
            values = msgspec.json.decode(self.body, type=_Envelope).values
            return msgspec.json.decode(values[key], type=kind)
        except (msgspec.DecodeError, KeyError, UnicodeDecodeError) as error:
            raise ProjectRefused(
                self.status, f"the answer has no {key} as this client knows it ({error})"
            ) from error


class _Envelope(msgspec.Struct):
    values: dict[str, msgspec.Raw]


@dataclass(slots=True)
class _Sendings:
    """How often a request was sent: aiohttp repeats some on a new connection, and says nothing."""

    count: int = 0


async def _count_sending(
    http: aiohttp.ClientSession,
    context: SimpleNamespace,
    sent: aiohttp.TraceRequestHeadersSentParams,
) -> None:
    context.trace_request_ctx.count += 1


class Connections:
    """Connections that are kept between requests.

    Args:
        answer_s: how long one answer may take.
    """

    def __init__(self, answer_s: float) -> None:
        self._answer_s = answer_s
        self._http: aiohttp.ClientSession | None = None

    def http(self) -> aiohttp.ClientSession:
        """Return them, open."""
        # Made where it is used first: it belongs to the loop that runs then.
        if self._http is None or self._http.closed:
            timeout = aiohttp.ClientTimeout(total=self._answer_s)
            sends = aiohttp.TraceConfig()
            sends.on_request_headers_sent.append(_count_sending)
            self._http = aiohttp.ClientSession(timeout=timeout, trace_configs=[sends])
        return self._http

    async def close(self) -> None:
        """Close them; a later request opens others."""
        if self._http is not None:
            await self._http.close()


class Session:
    """Asks one broker, for one customer.

    Args:
        account: who asks, and whom.
        patience: for a service that is away.

    Attributes:
        account: as given.
        connections: to be closed.
    """

    def __init__(self, account: Account, patience: Patience) -> None:
        self.account = account
        self.connections = Connections(patience.answer_s)
        self._patience = patience

    async def ask(self, request: Request) -> Answer:
        """Return the answer, once the server has one.

        Raises:
            ProjectRefused: the server's words for a refusal.
            ServerAway: nobody answered for as long as we are patient.
        """
        patience = self._patience
        trying = AsyncRetrying(
            retry=retry_if_exception(is_away),
            stop=stop_before_delay(patience.total_s),
            wait=_Pauses(patience),
            reraise=True,
        )
        sendings = _Sendings()
        async for attempt in trying:
            with attempt:
                try:
                    return await self._once(request, sendings)
                except ProjectRefused as error:
                    error.repeated = sendings.count > 1
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def change(
        self,
        method: str,
        *path: str,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        batch_id: str = "",
    ) -> Answer:
        """Ask for a change, which counts once however often it must be sent."""
        return await self.ask(
            Request(method, path, query or {}, body, headers or {}, batch_id or new_batch_id())
        )

    async def delete(
        self, *path: str, gone: type[ProjectRefused], query: Mapping[str, str] | None = None
    ) -> None:
        """Have something deleted; where it had to be sent again, it may be gone since before.

        Args:
            path: of it.
            gone: what is raised where it is not there.
            query: how.
        """
        try:
            await self.change("DELETE", *path, query=query)
        except gone as error:
            if not error.repeated:
                raise

    async def get(self, *path: str, query: Mapping[str, str] | None = None) -> Answer:
        """Ask for something that changes nothing."""
        return await self.ask(Request("GET", path, query or {}))

    async def post(
        self, *path: str, query: Mapping[str, str] | None = None, json: object = None
    ) -> Answer:
        """Ask a question that has a body."""
        body = msgspec.json.encode(json)
        return await self.ask(Request("POST", path, query or {}, body, {"Content-Type": _JSON}))

    async def _once(self, request: Request, sendings: _Sendings) -> Answer:
        account = self.account
        segments = (account.cid, *request.path)
        path = "/".join([_ROOT, *(quote(segment, safe="") for segment in segments)])
        query = urlencode(request.query)

        def sign() -> dict[str, str]:
            return signed_headers(
                account.key,
                account.cid,
                request.method,
                path,
                datetime.now(UTC),
                query=query,
                body=request.body,
            )

        # Signed anew each time: the server takes a date for a few minutes only.
        large = len(request.body) > _HASHED_IN_A_THREAD
        headers = await asyncio.to_thread(sign) if large else sign()
        headers |= {**request.headers, "sym-client": _AGENT}
        if request.batch_id:
            headers["Idempotency-Key"] = request.batch_id
        target = f"{account.url}{path}?{query}" if query else f"{account.url}{path}"
        return await self._sent(request, target, headers, sendings)

    async def _sent(
        self, request: Request, target: str, headers: dict[str, str], sendings: _Sendings
    ) -> Answer:
        try:
            async with self.connections.http().request(
                request.method,
                URL(target, encoded=True),
                data=io.BytesIO(request.body) if request.body else None,
                headers=headers,
                allow_redirects=False,  # it would bear the wrong signature
                trace_request_ctx=sendings,
            ) as response:
                body = await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise ServerAway(
                f"no answer from {self.account.url} ({type(error).__name__}); "
                "is `tally up` running?"
            ) from error
        if response.status >= 300:
            raise refusal(response.status, body, _seconds(response.headers.get("Retry-After")))
        return Answer(response.status, response.headers, body)


class _Pauses(wait_base):
    """Ever longer pauses with a random part, so that many who wait do not return as one."""

    def __init__(self, patience: Patience) -> None:
        self._random = wait_random_exponential(patience.first_s, patience.most_s)

    def __call__(self, retry_state: RetryCallState) -> float:
        failed = retry_state.outcome.exception() if retry_state.outcome else None
        asked = failed.retry_after_s if isinstance(failed, ProjectRefused) else None
        return max(self._random(retry_state), asked or 0.0)


def new_batch_id() -> str:
    """Return an id that no other change has."""
    return uuid.uuid4().hex


def _seconds(text: str | None) -> float | None:
    return float(text) if text and text.isascii() and text.isdigit() else None
