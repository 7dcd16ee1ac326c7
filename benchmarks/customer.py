"""A customer of the signed API who sends as fast as is answered."""

from __future__ import annotations

import base64
import contextlib
import http.client
import secrets
import threading
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

from benchmarks.bodies import JSON, as_json
from benchmarks.service import Service
from tally import backends
from tally.clock import SystemClock
from tally.master_key import master_key
from tally.projects.projects import Projects
from tally.users import Users
from tally.wire.secret_key import SecretKey
from tally.wire.signing import signed_headers

_MOST_PROJECTS = 64
_WAIT_S = 120.0


def new_master_key() -> str:
    """Return what `TALLY_MASTER_KEY` may be."""
    return base64.b64encode(secrets.token_bytes(32)).decode()


@dataclass(frozen=True)
class Request:
    """A request that is signed once and may be sent often, for minutes.

    To sign takes as long as to check, and would be measured with it. Each time it counts, since
    it bears no `Idempotency-Key`.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = field(repr=False)


@dataclass
class Customer:
    """Somebody who signs.

    Args:
        address: `host:port` of the broker.
        cid, key: hers.
        projects: of the store, to look where they are at home.
    """

    address: str
    cid: str
    key: SecretKey
    projects: Projects
    _local: threading.local = field(default_factory=threading.local)

    @classmethod
    @contextlib.asynccontextmanager
    async def of(cls, service: Service, cid: str = "bench") -> AsyncIterator[Customer]:
        """Give a new customer of a running service."""
        clock = SystemClock()
        store = await backends.store(service.settings)
        try:
            key = await Users(store, master_key(service.settings), clock).add(cid)
            yield cls(urlsplit(service.url).netloc, cid, key, Projects(store, clock))
        finally:
            await store.close()

    def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        query: str = "",
        media_type: str = JSON,
    ) -> Request:
        """Return a signed request below `projects`."""
        path = f"/symetry/rest/{self.cid}/projects{path}"
        headers = signed_headers(
            self.key, self.cid, method, path, datetime.now(UTC), query=query, body=body
        )
        headers["Content-Type"] = media_type
        return Request(method, f"{path}?{query}" if query else path, headers, body)

    def send(self, request: Request) -> None:
        """Send a request over this thread's connection, and wait for the answer.

        Raises:
            RuntimeError: it is a refusal.
        """
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = http.client.HTTPConnection(self.address, timeout=_WAIT_S)
            self._local.connection = connection
        connection.request(request.method, request.path, request.body, request.headers)
        response = connection.getresponse()
        told = response.read()
        if response.status >= 300:
            text = told[:300].decode(errors="replace")
            raise RuntimeError(f"{request.method} {request.path}: {response.status} {text}")

    async def projects_at(self, workers: int) -> Sequence[str]:
        """Return one new project for each worker, at home there.

        Raises:
            RuntimeError: chance would not have it.
        """
        found: dict[str, str] = {}
        for number in range(_MOST_PROJECTS):
            pid = f"p{number}"
            self.send(self.request("POST", "", b"{}", query=f"pid={pid}&type=cpu"))
            self.send(self.request("POST", f"/{pid}/learn", as_json([["0"]], "C")))
            name = await self.projects.names.find(self.cid, pid)
            head = name and await self.projects.head(name.project)
            if head:
                found.setdefault(head.node, pid)
            if len(found) == workers:
                return list(found.values())
        raise RuntimeError(f"{_MOST_PROJECTS} projects are at home at {len(found)} workers only")


@dataclass
class Senders:
    """Threads, each with a connection of its own.

    Args:
        customer: whose.
        count: how many.
    """

    customer: Customer
    count: int

    def __post_init__(self) -> None:
        self._threads = ThreadPoolExecutor(self.count)

    def send(self, requests: Sequence[Request]) -> None:
        """Send requests, at most one at a time over each connection, and wait for all answers."""
        list(self._threads.map(self.customer.send, requests))

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()
