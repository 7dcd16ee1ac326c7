"""Learners of a project with cells while a worker is killed: what was acknowledged counts once.

No answer is older than an acknowledgement before it, whichever cell has made that.
"""

from __future__ import annotations

import asyncio

import pytest

from tally.projects.shards import shards
from tests.system.cluster import Cluster
from tests.system.process import until
from tests.system.projects import Customer, learners, start_workers

_PID, _CELLS, _LEARNERS, _BATCHES = "stream", 4, 9, 20


@pytest.fixture
def cluster(cluster_over_each_store: Cluster) -> Cluster:
    return cluster_over_each_store


async def _nodes(customer: Customer) -> set[str]:
    """Return the workers at which the cells are at home."""
    assert customer.projects is not None
    whole = (await customer.project(_PID)).uuid
    heads = [await customer.projects.head(shard, fresh=True) for shard in shards(whole, _CELLS)]
    return {head.node for head in heads if head is not None and head.node}


async def test_rows_learned_by_cells_count_once_whichever_worker_dies(cluster: Cluster) -> None:
    cluster.broker()
    start_workers(cluster, 2)
    await cluster.ready()
    async with Customer.registered(cluster) as customer:
        for number in range(50):  # until chance has its cells at home on both
            await customer.create(_PID, f"&cells={_CELLS}")
            first = learners(customer, _PID, 1)[0]
            await first.work(8)
            await first.check(8)
            if len(await _nodes(customer)) == 2:
                break
            assert (await customer.call("DELETE", f"/{_PID}")).status == 200, number
        assert len(await _nodes(customer)) == 2

        working = learners(customer, _PID, _LEARNERS)[1:]
        work = asyncio.gather(*(one.work(_BATCHES) for one in working))

        async def begun() -> bool:
            return sum(len(one.acknowledged) for one in working) >= 3 * _LEARNERS

        await until(begun, "some batches count")
        home = (await customer.project(_PID)).home  # of the sum, and of some of the cells
        home.kill()
        await work
        assert len(await _nodes(customer)) == 1
        home.start()
        for one in working:
            await one.check(_BATCHES)
        await first.check(8)
