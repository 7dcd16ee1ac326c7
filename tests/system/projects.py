"""Customers of the signed API, and rows whose final sums tell which batches were counted.

A learner's batch number `k` is one row of one column with the value 4**k, so the column's sum,
written in base 4, has one digit for each batch: how often it was counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiohttp
import msgspec

from tally import backends
from tally.clock import SystemClock
from tally.internal_token import internal_token
from tally.master_key import master_key
from tally.projects.projects import Projects
from tally.users import Users
from tally.wire.projects import ProjectUuid, project_path
from tally.wire.secret_key import SecretKey
from tally.wire.signing import signed_headers
from tests.system.cluster import Cluster, Reply, free_port
from tests.system.process import Process

_DIGITS = 12  # of one column: with more, the sum of doubles would not be exact
_RETRY_S = 0.05


@dataclass(frozen=True)
class Housed:
    """A project and its home.

    Attributes:
        epoch: how often it has come to a home.
    """

    uuid: ProjectUuid
    home: Process
    epoch: int


@dataclass
class Customer:
    """Somebody who signs."""

    cluster: Cluster
    cid: str
    key: SecretKey
    projects: Projects | None = None

    @classmethod
    async def made(cls, cluster: Cluster, cid: str = "c1") -> Customer:
        """Return a customer, registered in the cluster's store."""
        async with cls.registered(cluster, cid) as customer:
            return cls(cluster, cid, customer.key)

    @classmethod
    @contextlib.asynccontextmanager
    async def registered(cls, cluster: Cluster, cid: str = "c1") -> AsyncIterator[Customer]:
        """Give a customer, registered in the cluster's store, which stays open for questions."""
        settings, clock = cluster.settings(), SystemClock()
        store = await backends.store(settings)
        try:
            key = await Users(store, master_key(settings), clock).add(cid)
            yield cls(cluster, cid, key, Projects(store, clock))
        finally:
            await store.close()

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        json: object = None,
        key: str = "",
        broker: Process | None = None,
        below: str = "projects",
    ) -> Reply:
        """Return the answer to a signed request below `projects`, or `jobs`."""
        path = f"/symetry/rest/{self.cid}/{below}{path}"
        body = b"" if json is None else msgspec.json.encode(json)
        headers = signed_headers(
            self.key, self.cid, method, path, datetime.now(UTC), query=query, body=body
        )
        if key:
            headers["Idempotency-Key"] = key
        sent = f"{path}?{query}" if query else path
        return await self.cluster.call(
            method, sent, data=body or None, headers=headers, broker=broker
        )

    async def create(self, pid: str, query: str = "", **params: str) -> None:
        """Make a project."""
        made = await self.call("POST", "", query=f"pid={pid}{query}", json=params)
        assert made.status == 201, str(made)

    async def project(self, pid: str) -> Housed:
        """Return where a project is at home, as the store says."""
        assert self.projects is not None, "the store is not open: see `registered`"
        name = await self.projects.names.find(self.cid, pid)
        assert name is not None
        head = await self.projects.head(name.project, fresh=True)
        assert head is not None
        port = head.node.rpartition("_")[2]
        home = next(p for p in self.cluster.processes if p.setting("WORKER_PORT") == port)
        return Housed(name.project, home, head.epoch)

    async def ask(self, worker: Process, project: ProjectUuid, verb: str) -> int:
        """Return the status that a worker answers with when a broker asks it."""
        token = internal_token(self.cluster.settings())
        url = f"http://127.0.0.1:{worker.setting('WORKER_PORT')}{project_path(project, verb)}"
        headers = {"Authorization": f"Bearer {token}"}
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as reply:
            return reply.status


def start_workers(cluster: Cluster, count: int) -> None:
    """Start workers whose ports, and so whose names, outlive their deaths."""
    for _ in range(count):
        cluster.worker(WORKER_PORT=str(free_port()))


@dataclass
class Learner:
    """Sends batch after batch, and remembers what it was told.

    Attributes:
        retries: it asks again, under the same key, until it is told that a batch counts.
        acknowledged, open: batches that count; and those of which it was never told.
        wrong: what it should never have seen.
    """

    customer: Customer
    pid: str
    number: int
    retries: bool
    brokers: list[Process]
    acknowledged: set[int] = field(default_factory=set)
    open: set[int] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)

    async def work(self, batches: int) -> None:
        """Send so many batches."""
        chance = random.Random(self.number)
        for batch in range(batches):
            self.open.add(batch)
            told = await self._send(batch)
            while self.retries and not told:
                await asyncio.sleep(chance.uniform(0, _RETRY_S))
                told = await self._send(batch)
            if told:
                self.open.discard(batch)
                self.acknowledged.add(batch)
            if chance.random() < 0.2:
                await self._look()

    async def _send(self, batch: int) -> bool:
        frame = {
            "attributeNames": [self._column(batch)],
            "attributeTypes": ["C"],
            "data": [[str(4 ** (batch % _DIGITS))]],
        }
        key = f"{self.number}-{batch}" if self.retries else ""
        broker = random.choice(self.brokers)
        try:
            reply = await self.customer.call(
                "POST", f"/{self.pid}/learn", json=frame, key=key, broker=broker
            )
        except aiohttp.ClientError:
            return False
        if reply.status not in (200, 503, 504):
            self.wrong.append(f"learner {self.number}, batch {batch}: {reply}")
        return reply.status == 200

    async def _look(self) -> None:
        """Read what was written: no answer may be older than an acknowledgement before it."""
        known = set(self.acknowledged)
        if not known:
            return
        try:
            counted = await self.counted(max(known) + 1)
        except (aiohttp.ClientError, AssertionError):
            return  # no answer at all
        if missing := sorted(batch for batch in known if counted[batch] < 1):
            self.wrong.append(f"learner {self.number}: {missing} were acknowledged and not told")

    async def counted(self, batches: int) -> list[int]:
        """Return how often each of the first batches was counted."""
        columns = list(dict.fromkeys(self._column(batch) for batch in range(batches)))
        asked = {"values": [{"inputAttributeNames": [column]} for column in columns]}
        reply = await self.customer.call(
            "POST",
            f"/{self.pid}/explore",
            query="metric=uni&returnProjectInfo=false",
            json=asked,
            broker=random.choice(self.brokers),
        )
        assert reply.status == 200, str(reply)
        digits: list[int] = []
        for column in reply.json["values"]["KSVDMap"]["values"]:
            total = round((column["mean"] or 0) * column["count"])
            found = [total // 4**k % 4 for k in range(_DIGITS)]
            assert sum(found) == column["count"], f"sums and counts disagree: {column}"
            digits += found
        return digits[:batches]

    def _column(self, batch: int) -> str:
        return f"c{self.number}_{batch // _DIGITS}"

    async def check(self, batches: int) -> None:
        """Compare what was counted in the end with what was acknowledged."""
        counted = await self.counted(batches)
        lost = [k for k in self.acknowledged if counted[k] != 1]
        double = [k for k in self.open if counted[k] > 1]
        assert not self.wrong, self.wrong
        assert not lost, f"learner {self.number}: acknowledged, counted not once: {lost} {counted}"
        assert not double, f"learner {self.number}: counted twice: {double}"


def learners(customer: Customer, pid: str, count: int) -> list[Learner]:
    """Return learners of one project, every other of which repeats what was not acknowledged."""
    brokers = customer.cluster.alive("broker", "up")
    return [Learner(customer, pid, number, number % 2 == 0, brokers) for number in range(count)]
