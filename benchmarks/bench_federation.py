"""From rows learned at one peer to their being in every peer's federated project, over NATS."""

from __future__ import annotations

import asyncio
import contextlib
import math
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.rows import Row, Spread
from benchmarks.service import nats
from tally.clock import SystemClock
from tally.engine.frame import Frame
from tally.federation.driver import Driver
from tally.federation.effects import Invited, Rebuild
from tally.federation.events import Invite
from tally.federation.keys import FederationKeys, Identity
from tally.federation.nats.access import NatsAccess
from tally.federation.nats.transport import NatsTransport
from tally.federation.peer import Peer
from tally.federation.simulation.statistics_site import StatisticsSite
from tally.federation.simulation.world import MemoryJournal
from tally.federation.state import Settings, created, joining
from tally.federation.statistics import StatisticsRules
from tally.federation.terms import Nats

_LIMIT_S = 240.0


class _Size(NamedTuple):
    peers: int
    attributes: int
    period_s: int
    """Long enough for all peers together, which share one process, to be done with a round."""
    repeats: int


_SIZES = (
    _Size(3, 15, 1, 10),
    _Size(10, 15, 1, 10),
    _Size(50, 15, 24, 3),
    _Size(3, 100, 1, 10),
    _Size(10, 100, 4, 5),
    _Size(3, 1000, 10, 3),
)


async def measure(*, quick: bool) -> list[Row]:
    """Return two rows, of time and of bytes, for each number of peers and attributes."""
    rows = []
    with nats() as address:
        for size in _SIZES[:2] if quick else _SIZES:
            name = f"rows of one peer to all of {size.peers}, {size.attributes} attributes, NATS"
            if address is None:
                note = "no NATS to be had here"
                rows.append(Row(name=name, unit="ms", against="", note=note))
                continue
            repeats = min(size.repeats, 3) if quick else size.repeats
            rows += await _rows(name, address, size._replace(repeats=repeats))
    return rows


class _Site(StatisticsSite):
    """A site that notes when its federated project counts a number of rows."""

    def __init__(self, uuid: str, attributes: int, rows: int) -> None:
        draws = np.random.default_rng(int(uuid[:8], 16)).normal(size=(rows, attributes))
        names = tuple(f"x{i}" for i in range(attributes))
        columns = tuple(np.ascontiguousarray(draws[:, i]) for i in range(attributes))
        super().__init__(uuid, Frame(names, "C" * attributes, columns, rows), attributes + 5)
        self._rebuilt = asyncio.Event()

    async def rebuild(self, parts: Rebuild) -> str:
        entry = await super().rebuild(parts)
        self._rebuilt.set()
        return entry

    async def has(self, rows: int) -> None:
        """Return once it counts so many."""
        while self.federated is None or self.federated.row_count != rows:
            self._rebuilt.clear()
            await self._rebuilt.wait()


async def _rows(name: str, address: str, size: _Size) -> list[Row]:
    least = size.attributes + 5
    keys = FederationKeys("bench", secrets.token_bytes(16))
    access = NatsAccess.of(Nats(hosts=address))
    identities = [
        Identity(secrets.token_hex(16), secrets.token_bytes(32)) for _ in range(size.peers)
    ]
    sites = [_Site(each.uuid, size.attributes, least * (size.repeats + 2)) for each in identities]
    transports = [
        NatsTransport(access, keys, each, admin=each is identities[0]) for each in identities
    ]
    drivers = [
        _driver(keys, identities[0], *each, f"s{size.period_s}")
        for each in zip(identities, sites, transports, strict=True)
    ]
    took_ms, computed_ms, sent_kb, received_kb = [], [], [], []
    await transports[0].create()
    try:
        async with asyncio.timeout(_LIMIT_S), _running(drivers):
            held = 0
            for site, driver in zip(sites, drivers, strict=True):
                site.learn(least)
                held += least
                await driver.start_pulse()
            await asyncio.gather(*(site.has(held) for site in sites))
            for _ in range(size.repeats):
                round_s = await _quiet(size.period_s)
                sent, received = _traffic(transports)
                sites[0].learn(least)
                held += least
                await asyncio.sleep(round_s - time.time())
                computed_s = time.process_time()
                await asyncio.gather(*(site.has(held) for site in sites))
                took_ms.append(1000 * (time.time() - round_s))
                computed_ms.append(1000 * (time.process_time() - computed_s))
                sent_kb.append((_traffic(transports)[0] - sent) / 1000)
                received_kb.append((_traffic(transports)[1] - received) / 1000)
    finally:
        for transport in transports:
            await transport.close()
        await transports[0].dissolve()
    in_one = f"all {size.peers} peers in one process with NATS beside it"
    return [
        _row(
            name,
            "ms",
            took_ms,
            f"From the beginning of the round that follows, {in_one}, which computed for"
            f" {Spread.of(computed_ms)} ms.",
        ),
        _row(
            f"{name}, sent",
            "kB",
            sent_kb,
            f"By all together, until all had it; NATS sent them {Spread.of(received_kb)} kB.",
        ),
    ]


@contextlib.asynccontextmanager
async def _running(drivers: Sequence[Driver]) -> AsyncIterator[None]:
    """Let peers run that are one federation, the first its admin."""
    admin = drivers[0]
    async with asyncio.TaskGroup() as group:
        running = []
        for driver in drivers:
            await driver.begin()
            await driver.connect()
            if driver is not admin:
                effects = await admin.tell(Invite(admin.now_ms(), 60_000))
                tokens = [each.token for each in effects if isinstance(each, Invited)]
                await driver.join(tokens[0])
            running.append(group.create_task(driver.run()))
        yield
        for task in running:
            task.cancel()


async def _quiet(period_s: int) -> float:
    """Wait for the quiet half of a period, and return when the next begins."""
    into_s = time.time() % period_s
    if into_s > 0.8 * period_s:
        await asyncio.sleep(period_s - into_s)
        into_s = 0.0
    await asyncio.sleep(max(0.0, period_s / 2 - into_s))
    return period_s * (math.floor(time.time() / period_s) + 1)


def _row(name: str, unit: str, values: Sequence[float], note: str) -> Row:
    ours = Spread.of(values)
    return Row(
        name=name,
        unit=unit,
        against="",
        ours=ours,
        value=ours.median,
        value_unit=unit,
        note=note,
    )


def _traffic(transports: Sequence[NatsTransport]) -> tuple[int, int]:
    """Return what all have sent and received."""
    sent, received = zip(*(each.traffic_bytes for each in transports), strict=True)
    return sum(sent), sum(received)


def _driver(
    keys: FederationKeys,
    admin: Identity,
    identity: Identity,
    site: _Site,
    transport: NatsTransport,
    sync_sched: str,
) -> Driver:
    clock = SystemClock()
    settings = Settings(
        uuid=identity.uuid,
        name=identity.uuid[:8],
        federation="bench",
        admin=admin.uuid,
        admin_public=admin.public,
        allow_seconds=True,
    )
    begin = created if identity is admin else joining
    state = begin(settings, sync_sched=sync_sched, now_ms=round(clock.now().timestamp() * 1000))
    peer = Peer(keys, identity, StatisticsRules())
    return Driver(peer, keys, state, transport, site, MemoryJournal(), clock)
