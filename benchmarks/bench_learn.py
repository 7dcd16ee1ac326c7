"""Rows learned over HTTP, signed and committed, against what cannot be saved of that work."""

from __future__ import annotations

import contextlib
import hashlib
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from benchmarks.bodies import ARROW, JSON, as_arrow, as_json, as_texts
from benchmarks.customer import Customer, Senders, new_master_key
from benchmarks.rows import Row, Spread
from benchmarks.service import Service, cql, running

_COLUMNS = 15
_WORKERS = (1, 2)
_CONNECTIONS = 4
_REQUESTS = 8
_PLAIN = 4  # bodies; one is over so soon that it misses what else the machine does
_MB = 1e6


@dataclass(frozen=True)
class _Case:
    """A body, and what its rate is measured against."""

    name: str
    media_type: str
    rows: int
    body: bytes = field(repr=False)
    against: str
    plain: Callable[[bytes], object]
    aim: float


async def measure(*, quick: bool) -> list[Row]:
    """Return the rows about learning: on the embedded store, and on a CQL server."""
    cases = _cases()
    repeats = 3 if quick else 9
    found = []
    for workers in _WORKERS:
        found += await _learned(cases, workers, "embedded store", {}, repeats)
    with cql() as url:
        if url is None:
            name = f"learn {_COLUMNS} columns over HTTP, CQL store"
            found.append(Row(name=name, unit="MB/s", against="", note="no Cassandra to be had"))
            return found
        for workers in _WORKERS:
            settings = {"TALLY_STORE_URL": f"{url}{workers}"}
            found += await _learned(cases, workers, "CQL store", settings, repeats)
    return found


def _cases() -> list[_Case]:
    values = np.random.default_rng(1).normal(0, 100, (50_000, _COLUMNS)).round(6)
    cases = [
        _Case(
            "JSON of texts",
            JSON,
            10_000,
            as_json(as_texts(values[:10_000]), "C" * _COLUMNS),
            "json.loads and numpy.array(dtype=float)",
            lambda body: np.array(json.loads(body)["data"], dtype=float),
            1.5,
        )
    ]
    if (arrow := as_arrow(values)) is not None:
        cases.append(
            _Case(
                "Arrow stream",
                ARROW,
                len(values),
                arrow,
                "MD5 and SHA-256 of the same bytes",
                _hashed,
                0.6,
            )
        )
    return cases


def _hashed(body: bytes) -> object:
    return hashlib.md5(body, usedforsecurity=False).digest(), hashlib.sha256(body).digest()


async def _learned(
    cases: Sequence[_Case], workers: int, store: str, settings: Mapping[str, str], repeats: int
) -> list[Row]:
    told = {"TALLY_MASTER_KEY": new_master_key(), **settings}
    async with running(workers, told) as service, Customer.of(service) as customer:
        projects = await customer.projects_at(workers)
        with contextlib.closing(Senders(customer, _CONNECTIONS)) as senders:
            bench = _Bench(service, senders, projects, store)
            return [bench.row(case, repeats) for case in cases]


@dataclass(frozen=True)
class _Bench:
    """A service, who sends to it, a project at home at each worker, and what the store is."""

    service: Service
    senders: Senders
    projects: Sequence[str]
    store: str

    def row(self, case: _Case, repeats: int) -> Row:
        """Return what was found of a case."""
        customer, service, workers = self.senders.customer, self.service, len(self.projects)
        requests = [
            customer.request(
                "POST",
                f"/{self.projects[place % workers]}/learn",
                case.body,
                media_type=case.media_type,
            )
            for place in range(_REQUESTS)
        ]
        ours, alone, theirs = [], [], []
        self.senders.send(requests)  # connections are made, and columns known
        customer.send(requests[0])
        cpu_s = {role: -service.cpu_s(role) for role in ("broker", "serve")}
        plain_s = 0.0
        for _ in range(repeats):
            # In turn, so that whatever else the machine does meets all of them.
            ours.append(_rate(case, _REQUESTS, partial(self.senders.send, requests)))
            alone.append(_rate(case, 1, partial(customer.send, requests[0])))
            plain_s -= time.process_time()
            theirs.append(
                _rate(case, _PLAIN, lambda: [case.plain(case.body) for _ in range(_PLAIN)])
            )
            plain_s += time.process_time()
        mb = repeats * len(case.body) / _MB
        sent_mb, plain_mb = (_REQUESTS + 1) * mb, _PLAIN * mb
        cpu_ms = {r: 1e3 * (s + service.cpu_s(r)) / sent_mb for r, s in cpu_s.items()}
        mine, single, other = Spread.of(ours), Spread.of(alone), Spread.of(theirs)
        pairs = zip(ours, theirs, strict=True)
        ratio = float(f"{statistics.median(us / them for us, them in pairs):.3g}")
        rows_per_mb = case.rows / len(case.body) * _MB
        count = f"{workers} worker{'s' if workers > 1 else ''}"
        return Row(
            name=f"learn {_COLUMNS} columns over HTTP, {case.name}, {self.store}, {count}",
            unit="MB/s",
            against=case.against,
            ours=mine,
            theirs=other,
            value=ratio,
            value_unit="times its rate",
            aim=f"at least {case.aim:g}",
            met=ratio >= case.aim,
            note=f"{mine.median * rows_per_mb:,.0f} rows/s: bodies of {case.rows} rows and "
            f"{len(case.body) / _MB:.1f} MB over {_CONNECTIONS} connections; one request at a time "
            f"{single.median:g} MB/s, {single.median * rows_per_mb:,.0f} rows/s. Processor time of "
            f"1 MB: broker {cpu_ms['broker']:.2f} ms, workers {cpu_ms['serve']:.2f} ms, the other "
            f"side {1e3 * plain_s / plain_mb:.2f} ms. The sender shares the cores.",
        )


def _rate(case: _Case, count: int, work: Callable[[], object]) -> float:
    """Return MB/s of so many bodies."""
    start = time.perf_counter()
    work()
    return count * len(case.body) / _MB / (time.perf_counter() - start)
