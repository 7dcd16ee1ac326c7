"""Drivers that run by themselves, in real time and with threads."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from tally.clock import SystemClock
from tally.errors import ClaimLost, StoreUnavailable
from tally.federation.driver import Driver
from tally.federation.effects import Invited, Rebuild
from tally.federation.events import CleanedUp, Invite, Leave
from tally.federation.keys import FederationKeys, Identity
from tally.federation.memory import MemoryBroker, MemoryTransport
from tally.federation.peer import Peer
from tally.federation.simulation.ledger import LedgerRules, LedgerSite, read
from tally.federation.simulation.world import MemoryJournal
from tally.federation.state import NodeState, Settings, created, joining

KEYS = FederationKeys("driven", bytes(16))


class Site(LedgerSite):
    """A site that tells when its federated project has a number of rows."""

    def __init__(self, uuid: str) -> None:
        super().__init__(uuid)
        self.rebuilt = asyncio.Event()

    async def rebuild(self, parts: Rebuild) -> str:
        entry = await super().rebuild(parts)
        self.rebuilt.set()
        return entry

    async def has(self, rows: int) -> None:
        while self.federated is None or len(read(self.federated)) != rows:
            self.rebuilt.clear()
            await self.rebuilt.wait()


class Disk(MemoryJournal):
    """A disk that fails as it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.error: Exception | None = None
        self.failed = asyncio.Event()
        self.lost = False

    async def load(self) -> tuple[bytes, Mapping[str, bytes]] | None:
        if self.lost:
            raise ClaimLost("another worker has it")
        return await super().load()

    async def save(self, record: bytes, snapshots: Mapping[str, bytes]) -> None:
        if self.error is not None:
            self.failed.set()
            raise self.error
        await super().save(record, snapshots)


class Admins(MemoryTransport):
    """The transport of one who makes what is missing."""

    async def connect(self) -> None:
        await self.create()
        await super().connect()


class Peers:
    """A federation of one process, each of whose peers is a task."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.broker = MemoryBroker(lambda: round(self.clock.now().timestamp() * 1000))
        self.admin = Identity("1" * 32, bytes([1]) * 32)

    def driver(self, number: int) -> tuple[Driver, Site, Disk]:
        identity = Identity(str(number) * 32, bytes([number]) * 32)
        settings = Settings(
            uuid=identity.uuid, name="", federation="driven", admin=self.admin.uuid,
            admin_public=self.admin.public, allow_seconds=True,
        )  # fmt: skip
        begin = created if number == 1 else joining
        now_ms = round(self.clock.now().timestamp() * 1000)
        site, disk = Site(identity.uuid), Disk()
        peer = Peer(KEYS, identity, LedgerRules())
        state = begin(settings, sync_sched="s1", now_ms=now_ms)
        transport = (Admins if number == 1 else MemoryTransport)(self.broker, identity.uuid)
        return Driver(peer, KEYS, state, transport, site, disk, self.clock), site, disk


async def test_peers_that_run_by_themselves_join_share_and_outlive_the_broker() -> None:
    peers = Peers()
    (admin, first, _), (other, second, _) = peers.driver(1), peers.driver(2)
    peers.broker.create()
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for driver in (admin, other):
            await driver.begin()
            await driver.connect()
        running = [group.create_task(admin.run())]
        effects = await admin.tell(Invite(admin.now_ms(), 60_000))
        token = next(effect.token for effect in effects if isinstance(effect, Invited))
        await other.join(token)
        running.append(group.create_task(other.run()))
        for site, driver in ((first, admin), (second, other)):
            site.learn(50)
            await driver.start_pulse()
        await asyncio.gather(first.has(100), second.has(100))
        peers.broker.restart()
        second.learn(20)
        await asyncio.gather(first.has(120), second.has(120))
        for task in running:
            task.cancel()
    assert any("transport is lost" in entry for entry in other.state.errors.entries)


async def test_a_disk_that_fails_for_a_moment_is_tried_again() -> None:
    peers = Peers()
    driver, site, disk = peers.driver(1)
    peers.broker.create()
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        await driver.begin()
        running = group.create_task(driver.run())
        await asyncio.sleep(0)
        site.learn(50)
        await driver.connect()
        await driver.start_pulse()
        disk.error = StoreUnavailable("the store is away")
        await disk.failed.wait()
        assert site.federated is None
        disk.error = None
        await site.has(50)
        running.cancel()
    assert "the store is away" in driver.state.errors.entries


async def test_who_does_not_own_the_peer_any_more_stops() -> None:
    peers = Peers()
    driver, _, disk = peers.driver(1)
    peers.broker.create()
    await driver.begin()
    await driver.connect()
    await driver.start_pulse()
    disk.error = ClaimLost("another worker has it")
    with pytest.raises(ClaimLost):
        async with asyncio.timeout(10):
            await driver.run()
    assert driver.state.node is NodeState.PULSING


async def test_an_admin_that_was_put_out_makes_nothing_again_of_what_was_dissolved() -> None:
    peers = Peers()
    driver, _, disk = peers.driver(1)
    await driver.begin()
    await driver.connect()
    disk.lost = True
    peers.broker.restart()  # so that it connects again
    peers.broker.dissolve()
    with pytest.raises(ClaimLost):
        async with asyncio.timeout(10):
            await driver.run()
    assert peers.broker.streams == {}


async def test_an_admin_that_ended_before_it_was_removed_makes_nothing_again() -> None:
    peers = Peers()
    driver, _, _ = peers.driver(1)
    await driver.tell(CleanedUp())
    await driver.resume(takeover=True)
    async with asyncio.timeout(10):
        await driver.run()
    assert peers.broker.streams == {}


async def _in_a_federation(peers: Peers) -> tuple[Driver, Driver]:
    (admin, *_), (other, *_) = peers.driver(1), peers.driver(2)
    for driver in (admin, other):
        await driver.begin()
        await driver.connect()
    effects = await admin.tell(Invite(admin.now_ms(), 60_000))
    token = next(effect.token for effect in effects if isinstance(effect, Invited))
    joining = asyncio.create_task(other.join(token))
    while not joining.done():
        await admin.drain()
        await asyncio.sleep(0)
    await joining
    return admin, other


async def test_who_leaves_is_not_kept_by_the_end_of_the_federation() -> None:
    """It said so, and was killed; meanwhile the admin has dissolved all."""
    peers = Peers()
    admin, other = await _in_a_federation(peers)
    other.state = replace(other.state, node=NodeState.LEAVING)
    await admin.tell(Leave(admin.now_ms()))
    await other.drain()
    meanwhile = other.state.node
    assert meanwhile is NodeState.LEAVING
    peers.broker.restart()
    peers.broker.dissolve()
    await other.resume(takeover=True)
    async with asyncio.timeout(10):
        await other.run()
    assert other.state.node is NodeState.GONE
