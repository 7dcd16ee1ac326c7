"""A learn by the Python client goes through while the service's processes are killed under it."""

from __future__ import annotations

import asyncio

from tally.client import AsyncTally, Patience, Progress
from tests.system.cluster import Cluster
from tests.system.projects import Customer, start_workers

_PATIENT = Patience(total_s=90, first_s=0.01, most_s=0.5)
_PARTS, _ROWS = 40, 25


async def test_every_row_counts_once_though_each_process_is_killed_in_turn(
    cluster: Cluster,
) -> None:
    start_workers(cluster, 2)
    broker = cluster.broker()
    await cluster.ready()
    counted = asyncio.Event()
    rows = [{"x": number} for number in range(_PARTS * _ROWS)]

    async def kill() -> None:
        """Kill a process whenever some parts more are counted, so that others are on their way."""
        for process in (*cluster.alive("serve"), broker):
            for _ in range(8):
                counted.clear()
                await counted.wait()
            process.kill()
            process.start()

    def told(progress: Progress) -> None:
        counted.set()

    async with (
        Customer.registered(cluster) as customer,
        AsyncTally(
            customer.cid, customer.key, f"http://127.0.0.1:{broker.port}", patience=_PATIENT
        ) as tally,
    ):
        project = await tally.create("stream")
        killing = asyncio.create_task(kill())
        learned = await project.learn(rows, "C", rows_per_request=_ROWS, on_progress=told)
        await killing
        assert learned.requests == _PARTS
        each = (await project.describe())["x"]
        assert (each.count, each.mean) == (len(rows), (len(rows) - 1) / 2)
        await project.forget(rows, "C")
        assert (await project.describe())["x"].count == 0
