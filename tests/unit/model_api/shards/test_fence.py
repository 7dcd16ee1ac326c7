"""A forget counts only as it was judged: by the newest sum of all shards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tally.clock import ManualClock
from tally.ids import NodeId
from tally.projects.shards import shard_for
from tests.unit.model_api.acts import until
from tests.unit.model_api.projects.acts import Nodes, Troubled
from tests.unit.model_api.projects.wire import frame
from tests.unit.model_api.shards import sites
from tests.unit.model_api.shards.sites import Site


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Troubled]:
    opened = Troubled(tmp_path / "store.db")
    yield opened
    await opened.close()


@pytest.fixture
def nodes() -> Nodes:
    return Nodes()


@pytest.fixture
async def site(store: Troubled, clock: ManualClock, nodes: Nodes) -> AsyncIterator[Site]:
    async with sites.site(store, clock, nodes) as made:
        yield made


def forgets(site: Site) -> int:
    """Return how many forgets were sent to shards."""
    return [verb for verb, _ in site.asked].count("forget")


async def test_of_two_homes_that_take_each_other_for_dead_one_has_rows_forgotten(
    site: Site, nodes: Nodes
) -> None:
    await site.create(3)
    await site.learn("b0", "x", "C", "1.5")
    await site.learn("b1", "x", "C", "2.5")
    due = asyncio.Event()
    site.late = [due]
    first = asyncio.create_task(site.forget("f0", "x", "C", "1.5", "2.5"))
    await until(lambda: forgets(site) == 1, "the first home has judged")
    nodes.alive.discard(NodeId("w_0"))
    rows = frame("x", "C", "1.5")
    told = await site.workers[1](site.project, "forget", rows, batch="f1")
    assert told.status == 200, told.body
    due.set()
    assert (await first).status == 421
    assert await site.rows(1) == 1
    # Sent again, as brokers do, it is judged anew.
    rows = frame("x", "C", "1.5", "2.5")
    told = await site.workers[1](site.project, "forget", rows, batch="f0")
    assert (told.status, "2 rows would be forgotten, but 1" in told.text) == (400, True)
    assert await site.rows(1) == 1


async def test_a_forget_that_comes_late_does_not_count_after_another_one(site: Site) -> None:
    await site.create(3)
    await site.learn("b0", "x", "C", "1.5")
    due = asyncio.Event()
    site.late = [due]
    first = asyncio.create_task(site.forget("f0", "x", "C", "1.5"))
    await until(lambda: forgets(site) == 1, "it is on its way")
    late = site.sent[-1]
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert (await site.forget("f1", "x", "C", "1.5")).status == 200
    due.set()
    assert (await late).status == 409
    assert await site.rows() == 0
    told = await site.forget("f0", "x", "C", "1.5")
    assert told.text == "Invalid DataFrame: data: 1 rows would be forgotten, but 0 were learned"


async def test_a_forget_is_not_judged_while_another_one_is_being_written(
    site: Site, store: Troubled
) -> None:
    await site.create(3)
    await site.learn("b0", "x", "C", "1.5")
    await site.rows()
    before = len(store.commits)
    store.troubles = ["held"]
    first = asyncio.create_task(site.forget("f0", "x", "C", "1.5"))
    await until(lambda: len(store.commits) == before + 1, "it is being written")
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    at = shard_for(site.project, 3, "f0")
    other = next(f"g{k}" for k in range(50) if shard_for(site.project, 3, f"g{k}") != at)
    second = asyncio.create_task(site.forget(other, "x", "C", "1.5"))
    asked = len(site.asked)
    await until(lambda: len(site.asked) == asked + 3, "the shards are asked for the sum")
    assert not second.done()
    store.gate.set()
    told = await second
    assert told.text == "Invalid DataFrame: data: 1 rows would be forgotten, but 0 were learned"
    assert await site.rows() == 0


async def test_a_forget_is_judged_again_where_its_shard_came_to_another_home(site: Site) -> None:
    await site.create(2)
    await site.learn("b0", "x", "C", "1.5")
    due = asyncio.Event()
    site.late = [due]
    first = asyncio.create_task(site.forget("f0", "x", "C", "1.5"))
    await until(lambda: forgets(site) == 1, "it is on its way")
    for homes in site.homes:
        for shard in site.shards:
            if homes.has(shard):
                home = await homes.ask(shard)
                home.ended = True  # loaded again, it has never heard of any sum
    due.set()
    assert (await first).status == 200
    assert forgets(site) == 2
    assert await site.rows() == 0


async def test_a_forget_that_is_sent_again_while_it_is_being_written_is_no_other_one(
    site: Site, store: Troubled
) -> None:
    await site.create(3)
    await site.learn("b0", "x", "C", "1.5")
    await site.rows()
    before = len(store.commits)
    store.troubles = ["held"]
    first = asyncio.create_task(site.forget("f0", "x", "C", "1.5"))
    await until(lambda: len(store.commits) == before + 1, "it is being written")
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    again = asyncio.create_task(site.forget("f0", "x", "C", "1.5"))
    asked = len(site.asked)
    await until(lambda: len(site.asked) == asked + 3, "the shards are asked for the sum")
    store.gate.set()
    assert (await again).status == 200
    assert await site.rows() == 0
