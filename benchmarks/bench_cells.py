"""Rows learned over HTTP by a project with 1, 2 and 4 cells, and how long questions then take."""

from __future__ import annotations

import contextlib
import math
import statistics
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from benchmarks.bodies import ARROW, JSON, as_arrow, names
from benchmarks.customer import Customer, Request, Senders, new_master_key
from benchmarks.rows import Row, Spread
from benchmarks.service import Service, running
from tally.ids import NodeId
from tally.projects.shards import shards
from tally.routing.rendezvous import rendezvous

_COLUMNS = (15, 100)
_ROWS = 20_000
_WORKERS = (1, 2)
_CELLS = (1, 2, 4)
_CONNECTIONS = 8
_REQUESTS = 24
_QUESTIONS = 20
_MOST_PROJECTS = 200


async def measure(*, quick: bool) -> list[Row]:
    """Return the rows about projects with cells; those with 1 cell are plain projects."""
    found = []
    for workers in _WORKERS:
        settings = {"TALLY_MASTER_KEY": new_master_key()}
        async with running(workers, settings) as service, Customer.of(service) as customer:
            bench = _Bench(service, customer, workers)
            for columns in _COLUMNS:
                found += await bench.rows(columns, 2 if quick else 7)
    return found


@dataclass(frozen=True)
class _Project:
    """A project with its requests: rows to learn, and a question that needs all of them."""

    cells: int
    learn: Sequence[Request]
    ask: Request


@dataclass(frozen=True)
class _Bench:
    """A service, and who sends to it."""

    service: Service
    customer: Customer
    workers: int

    async def rows(self, columns: int, repeats: int) -> list[Row]:
        """Return what was found of rows with so many columns."""
        values = np.random.default_rng(1).normal(0, 100, (_ROWS, columns)).round(6)
        body = as_arrow(values)
        if body is None:
            name = f"learn {columns} columns with cells"
            return [Row(name=name, unit="rows/s", against="", note="no pyarrow to be had")]
        projects = [await self._project(cells, columns, body) for cells in _CELLS]
        rates: dict[int, list[float]] = {one.cells: [] for one in projects}
        costs: dict[int, Counter[str]] = {one.cells: Counter() for one in projects}
        waits: dict[int, list[float]] = {one.cells: [] for one in projects}
        for one in projects:
            self._learn(one)  # columns are known from here on
        for _ in range(repeats):
            # In turn, so that whatever else the machine does meets all of them.
            for one in projects:
                before_s, start = self._cpu_s(), time.perf_counter()
                self._learn(one)
                rates[one.cells].append(_REQUESTS * _ROWS / (time.perf_counter() - start))
                costs[one.cells].update({r: s - before_s[r] for r, s in self._cpu_s().items()})
                waits[one.cells] += self._answers(one)
        million = repeats * _REQUESTS * _ROWS / 1e6
        each = {c: {role: s / million for role, s in cost.items()} for c, cost in costs.items()}
        return [self._row(columns, cells, rates, waits, each[cells]) for cells in _CELLS]

    def _cpu_s(self) -> dict[str, float]:
        return {role: self.service.cpu_s(role) for role in ("broker", "serve")}

    def _learn(self, one: _Project) -> None:
        # Over new connections: those of before may have been closed for idleness.
        with contextlib.closing(Senders(self.customer, _CONNECTIONS)) as senders:
            senders.send(one.learn)

    def _answers(self, one: _Project) -> list[float]:
        """Return how long questions took: the first after new rows, and the next ones."""
        found = []
        with contextlib.closing(Senders(self.customer, 1)) as senders:
            for _ in range(_QUESTIONS):
                start = time.perf_counter()
                senders.send([one.ask])
                found.append(1e3 * (time.perf_counter() - start))
        return [found[0], statistics.median(found[1:])]

    def _row(
        self,
        columns: int,
        cells: int,
        rates: dict[int, list[float]],
        waits: dict[int, list[float]],
        cost: Mapping[str, float],
    ) -> Row:
        pairs = zip(rates[cells], rates[1], strict=True)
        ratio = float(f"{statistics.median(us / them for us, them in pairs):.3g}")
        first, next_ = (statistics.median(waits[cells][place::2]) for place in (0, 1))
        workers = f"{self.workers} worker{'s' if self.workers > 1 else ''}"
        return Row(
            name=f"learn {columns} columns over HTTP, {cells} cell{'s' if cells > 1 else ''}, "
            f"Arrow stream, {workers}",
            unit="rows/s",
            against="a project without cells",
            ours=Spread.of(rates[cells]),
            theirs=Spread.of(rates[1]),
            value=ratio,
            value_unit="times its rate",
            note=f"Bodies of {_ROWS} rows over {_CONNECTIONS} connections. A question about one "
            f"attribute takes {first:.1f} ms after new rows, {next_:.1f} ms if there are none. "
            f"Processor time of a million rows: broker {cost['broker']:.2f} s, workers "
            f"{cost['serve']:.2f} s. Sender, broker and workers share the cores: where their sum "
            "has all of those, more cells or workers on this machine give no more rows.",
        )

    async def _project(self, cells: int, columns: int, body: bytes) -> _Project:
        """Return a new project, whose cells are at home at all workers in equal numbers."""
        customer = self.customer
        for number in range(_MOST_PROJECTS):
            pid = f"p{columns}-{cells}-{number}"
            query = f"pid={pid}" + (f"&cells={cells}" if cells > 1 else "")
            customer.send(customer.request("POST", "", b"{}", query=query))
            if await self._is_even(pid, cells):
                break
        else:
            raise RuntimeError(f"no {cells} cells are evenly at home at {self.workers} workers")
        asked = msgspec.json.encode({"values": [{"inputAttributeNames": names(1)}]})
        learn = customer.request("POST", f"/{pid}/learn", body, media_type=ARROW)
        question = "metric=uni&returnProjectInfo=false"
        ask = customer.request("POST", f"/{pid}/explore", asked, query=question, media_type=JSON)
        return _Project(cells, [learn] * _REQUESTS, ask)

    async def _is_even(self, pid: str, cells: int) -> bool:
        found = await self.customer.projects.names.find(self.customer.cid, pid)
        if found is None or cells == 1:
            return found is not None
        nodes = [NodeId(address.replace(":", "_")) for address in self.service.workers]
        homes = Counter(rendezvous(shard, nodes)[0] for shard in shards(found.project, cells))
        return max(homes.values()) <= math.ceil(cells / self.workers)
