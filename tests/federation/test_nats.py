"""Peers that run over NATS: they agree, and outlive its restarts and each other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tally.clock import SystemClock
from tally.codec import project as codec
from tally.federation.driver import Driver
from tally.federation.effects import Invited, Rebuild
from tally.federation.events import Invite, Leave
from tally.federation.keys import FederationKeys, Identity
from tally.federation.nats.access import NatsAccess
from tally.federation.nats.transport import NatsTransport
from tally.federation.peer import Peer
from tally.federation.simulation.statistics_site import StatisticsSite
from tally.federation.simulation.tables import share_of
from tally.federation.simulation.world import MemoryJournal
from tally.federation.state import NodeState, Settings, created, joining
from tally.federation.statistics import StatisticsRules
from tests.federation.iris import base_columns
from tests.federation.over_nats import (
    MEBIBYTE,
    access_to,
    jetstream,
    new_identity,
    new_keys,
    streams,
)

if TYPE_CHECKING:
    from tests.conftest import Server


class Site(StatisticsSite):
    """A site that tells when its federated project has a number of rows."""

    def __init__(self, uuid: str, number: int) -> None:
        super().__init__(uuid, share_of(base_columns(), number, 3), 9)
        self.rebuilt = asyncio.Event()

    async def rebuild(self, parts: Rebuild) -> str:
        entry = await super().rebuild(parts)
        self.rebuilt.set()
        return entry

    async def has(self, rows: int) -> None:
        while self.federated is None or self.federated.row_count != rows:
            self.rebuilt.clear()
            await self.rebuilt.wait()

    @property
    def bits(self) -> bytes:
        assert self.federated is not None
        return codec.encode(self.federated)


class Node:
    """One peer's machine: its disk and its projects outlive the process."""

    def __init__(self, number: int, access: NatsAccess, keys: FederationKeys, admin: Identity):
        self.identity = admin if number == 0 else new_identity()
        self.site = Site(self.identity.uuid, number)
        self.journal = MemoryJournal()
        self._access, self._keys, self._admin = access, keys, admin
        settings = Settings(
            uuid=self.identity.uuid, name=f"peer {number}", federation="over nats",
            admin=admin.uuid, admin_public=admin.public, encrypt=True, allow_seconds=True,
            inline_bytes=1000,  # all statistics go through the object store
        )  # fmt: skip
        begin = created if number == 0 else joining
        clock = SystemClock()
        now_ms = round(clock.now().timestamp() * 1000)
        self.clock = clock
        self._state = begin(settings, sync_sched="s1", now_ms=now_ms)
        self.start()

    def start(self) -> None:
        """Begin a process; nothing but its disk is known to it."""
        is_admin = self.identity is self._admin
        self.transport = NatsTransport(self._access, self._keys, self.identity, admin=is_admin)
        peer = Peer(self._keys, self.identity, StatisticsRules())
        self.driver = Driver(
            peer, self._keys, self._state, self.transport, self.site, self.journal, self.clock
        )

    async def kill(self, running: asyncio.Task[None]) -> None:
        """End it as kill -9 does to what others see: it says no goodbye and cleans nothing up."""
        running.cancel()
        await asyncio.wait([running])
        self._state = self.driver.state
        await self.transport.close()


async def test_three_peers_agree_and_outlive_a_restart_of_nats_and_the_death_of_a_peer(
    private_nats: Server,
) -> None:
    keys, admin = new_keys(), new_identity()
    access = access_to(private_nats, memory_bytes=32 * MEBIBYTE)
    nodes = [Node(i, access, keys, admin) for i in range(3)]
    first = nodes[0]
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        await first.transport.create()
        for node in nodes:
            await node.driver.begin()
            await node.driver.connect()
        running = [group.create_task(first.driver.run())]
        for node in nodes[1:]:
            effects = await first.driver.tell(Invite(first.driver.now_ms(), 60_000))
            token = next(effect.token for effect in effects if isinstance(effect, Invited))
            await node.driver.join(token)
            running.append(group.create_task(node.driver.run()))
        for node in nodes:
            node.site.learn(50 if node is not nodes[2] else 30)
            await node.driver.start_pulse()
        await asyncio.gather(*(node.site.has(130) for node in nodes))
        assert len({node.site.bits for node in nodes}) == 1
        assert [node.driver.state.errors.entries for node in nodes] == [(), (), ()]

        await asyncio.to_thread(private_nats.restart)
        nodes[2].site.learn(10)
        await asyncio.gather(*(node.site.has(140) for node in nodes))

        await nodes[1].kill(running[1])
        nodes[2].site.learn(10)
        await asyncio.gather(*(nodes[i].site.has(150) for i in (0, 2)))
        nodes[1].start()
        await nodes[1].driver.resume(takeover=True)
        running[1] = group.create_task(nodes[1].driver.run())
        await nodes[1].site.has(150)
        assert len({node.site.bits for node in nodes}) == 1

        await nodes[2].driver.tell(Leave(nodes[2].driver.now_ms()))
        await asyncio.gather(*(nodes[i].site.has(100) for i in (0, 1)))
        async with jetstream(private_nats) as js:
            left = await js.consumers_info(f"SMLFED_{keys.fid}_CTL")
        assert f"node_{nodes[2].identity.uuid}" not in {each.name for each in left}
        await first.driver.tell(Leave(first.driver.now_ms()))
        await running[0]
        assert first.driver.state.node is NodeState.GONE
        for task in running:
            task.cancel()
    for node in nodes:
        await node.transport.close()
    assert await streams(private_nats, keys) == []
