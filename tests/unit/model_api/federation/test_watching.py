"""Workers look after peers: once a second, without noise, and without haste where it is vain."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from model_api.federation.watching import MAKING_S, PeerWatch
from tally.errors import StoreUnavailable
from tally.federation.state import NodeState
from tally.ids import NodeId
from tally.master_key import MasterKey
from tally.routing.rendezvous import rendezvous
from tally.routing.table import Table
from tally.wire.messages import Node
from tests.unit.model_api.acts import eventually
from tests.unit.model_api.federation.sites import TERMS, Federations, Life, order

ANOTHER = MasterKey(bytes(32))


async def test_peers_of_another_master_key_are_put_off_longer_each_time(
    federations: Federations,
) -> None:
    async with federations.place("ann") as place:
        asked = order("m")
        await place.making.create(asked, TERMS)
    async with federations.place("ann", master=ANOTHER) as place:

        async def claims() -> int:
            head = await place.homes.projects.head(asked.project)
            assert head is not None
            return head.epoch

        before = await claims()
        with capture_logs() as logs:
            for _ in range(3):
                await place.watch.walk()
            assert await claims() == before + 1
            for tries, wait_s in ((2, 1.0), (3, 2.0), (4, 4.0)):
                await federations.clock.advance(wait_s - 0.1)
                await place.watch.walk()
                assert await claims() == before + tries - 1
                await federations.clock.advance(0.1)
                await place.watch.walk()
                assert await claims() == before + tries
        told = [log for log in logs if log["log_level"] == "warning"]
        assert len(told) == 4
        assert all("master key" in log["reason"] for log in told)
    async with federations.place("ann") as place:
        await place.watch.walk()
        assert (await place.peers.ask(asked.project)).state.node is NodeState.IDLE


async def test_a_store_that_is_away_is_told_once_and_the_peers_go_on_when_it_is_back(
    federations: Federations,
) -> None:
    life = Life()
    async with federations.place("ann", life) as place:
        asked = order("m")
        await place.making.create(asked, TERMS)
        running = await place.peers.ask(asked.project)
        await running.driver.start_pulse()
        (broker,) = federations.broker.brokers.values()

        async def said(count: int) -> bool:
            await federations.clock.advance(1.0)
            federations.wake()
            return len(list(broker.streams["ctl"].of(asked.project))) > count

        await eventually(lambda: said(2), "the peer pulses")
        life.away = StoreUnavailable("the store is away")
        watching = asyncio.create_task(_often(place.watch))
        with capture_logs() as logs:
            for _ in range(30):
                await federations.clock.advance(1.0)
                federations.wake()
                await asyncio.sleep(0.01)
        before = len(list(broker.streams["ctl"].of(asked.project)))
        life.away = None
        assert [log["event"] for log in logs] == ["looking after peers put off"]
        await eventually(lambda: said(before), "the peer pulses on")
        assert place.peers.running(asked.project) is running
        watching.cancel()


async def test_a_walk_follows_when_a_worker_has_gone_and_not_when_a_model_was_published(
    federations: Federations, monkeypatch: pytest.MonkeyPatch
) -> None:
    walks = 0

    async def walk(_watch: PeerWatch) -> None:
        nonlocal walks
        walks += 1

    monkeypatch.setattr(PeerWatch, "walk", walk)
    async with federations.place("ann") as place:
        follower = place.follower
        watching = asyncio.create_task(_run(place.watch, every_s=60.0))
        await asyncio.sleep(0)
        for version in range(5):
            nodes = {node: Node("worker", 1, version) for node in follower.table.nodes}
            follower._set(replace(follower.table, nodes=nodes))
            await asyncio.sleep(0.005)
        assert walks == 0
        follower._set(Table({NodeId("another_1"): Node("another", 1, 0)}))
        await asyncio.sleep(0.02)
        assert walks == 1
        watching.cancel()


async def test_a_project_that_has_gone_from_where_it_was_at_home_is_looked_after_again(
    federations: Federations,
) -> None:
    """Its home goes on without it, as a worker does that was stopped for a while."""
    async with federations.place("ann") as home, federations.place("ann") as first:
        (one,), (other,) = home.follower.table.nodes, first.follower.table.nodes
        nodes = {one: Node("home", 1, 0), other: Node("first", 2, 0)}
        asked = order("m", persisted=False)
        while rendezvous(asked.project, nodes)[0] != other:
            asked = order("m", persisted=False)
        await home.making.create(asked, TERMS)
        await (await home.peers.ask(asked.project)).driver.start_pulse()
        first.homes._loader._alive = _alive
        for place in (home, first):
            place.follower.table = Table(nodes)
            await place.watch.walk()
        assert first.peers.running(asked.project) is None
        await home.homes.projects.delete(asked.project)

        async def ended() -> bool:
            await federations.clock.advance(1.0)
            federations.wake()
            return home.peers.running(asked.project) is None

        await eventually(ended, "its home has lost it")
        await first.watch.walk()
        for _ in range(2):
            await federations.clock.advance(MAKING_S)
            await first.watch.walk()

        async def undone() -> bool:
            await federations.clock.advance(1.0)
            federations.wake()
            return await first.entries() == {}

        await eventually(undone, "what is left of it in the broker is removed")
        assert not any(broker.streams for broker in federations.broker.brokers.values())


async def _alive(_node: NodeId) -> bool:
    return True


async def _often(watch: PeerWatch) -> None:
    await _run(watch, every_s=0.01)


async def _run(watch: PeerWatch, every_s: float) -> None:
    watch._every_s = every_s
    await watch.run()
