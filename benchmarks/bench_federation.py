"""From rows learned at one peer to their being in every peer's federated project, over NATS."""

from __future__ import annotations

import asyncio
import math
import secrets
import time

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

_SIZES = ((3, 15), (10, 15), (3, 100), (3, 1000))  # peers, attributes
_START_S = 300.0


async def measure(*, quick: bool) -> list[Row]:
    """Return a row for each number of peers and attributes."""
    rows = []
    with nats() as address:
        for peers, attributes in _SIZES[:2] if quick else _SIZES:
            name = f"rows of one peer to all of {peers}, {attributes} attributes, NATS"
            if address is None:
                note = "no NATS to be had here"
                rows.append(Row(name=name, unit="ms", against="", note=note))
                continue
            repeats = 3 if quick or attributes > 100 else 10
            rows.append(await _row(name, address, peers, attributes, repeats))
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


async def _row(name: str, address: str, peers: int, attributes: int, repeats: int) -> Row:
    least = attributes + 5
    period_s = 1 if attributes <= 100 else 15
    keys = FederationKeys("bench", secrets.token_bytes(16))
    access = NatsAccess.of(Nats(hosts=address))
    identities = [Identity(secrets.token_hex(16), secrets.token_bytes(32)) for _ in range(peers)]
    sites = [_Site(each.uuid, attributes, least * (repeats + 2)) for each in identities]
    transports = [
        NatsTransport(access, keys, each, admin=each is identities[0]) for each in identities
    ]
    drivers = [
        _driver(keys, identities[0], *each, f"s{period_s}")
        for each in zip(identities, sites, transports, strict=True)
    ]
    await transports[0].create()
    try:
        async with asyncio.timeout(_START_S), asyncio.TaskGroup() as group:
            running = []
            for driver in drivers:
                await driver.begin()
                await driver.connect()
                if driver is not drivers[0]:
                    effects = await drivers[0].tell(Invite(drivers[0].now_ms(), 60_000))
                    tokens = [each.token for each in effects if isinstance(each, Invited)]
                    await driver.join(tokens[0])
                running.append(group.create_task(driver.run()))
            for site, driver in zip(sites, drivers, strict=True):
                site.learn(least)
                await driver.start_pulse()
            held = least * peers
            await asyncio.gather(*(site.has(held) for site in sites))
            took_ms, moved_kb = [], []
            for _ in range(repeats):
                # Learned within the quiet half of a period; the clock starts with the next.
                begin_s = (math.floor(time.time() / period_s) + 1) * period_s
                await asyncio.sleep(begin_s - time.time() + period_s / 2)
                before = sum(map(_sent, transports))
                sites[0].learn(least)
                held += least
                await asyncio.gather(*(site.has(held) for site in sites))
                took_ms.append(1000 * (time.time() - begin_s - period_s))
                moved_kb.append((sum(map(_sent, transports)) - before) / 1000)
            for task in running:
                task.cancel()
    finally:
        for transport in transports:
            await transport.close()
        await transports[0].dissolve()
    ours = Spread.of(took_ms)
    return Row(
        name=name,
        unit="ms",
        against="",
        ours=ours,
        value=ours.median,
        value_unit="ms",
        note=f"From the beginning of the round that follows, all {peers} peers in one process with"
        f" NATS beside it. All peers together sent {Spread.of(moved_kb)} kB.",
    )


def _sent(transport: NatsTransport) -> int:
    return transport.traffic_bytes[0]


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
