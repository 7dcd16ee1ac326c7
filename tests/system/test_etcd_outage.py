"""etcd is killed and comes back, as it was, emptied or compacted: it announces, and never decides.

Forecasts go on from the last table, fits are decided in the store and served afterwards.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.system.clients import forecasting, same_by_number
from tests.system.cluster import Cluster, settings_of

if TYPE_CHECKING:
    from tests.conftest import Server


@pytest.fixture
async def cluster(tmp_path: Path, private_etcd: Server) -> AsyncIterator[Cluster]:
    async with Cluster(tmp_path, settings_of(private_etcd)) as made:
        await made.start(workers=2)
        assert await made.version(1.0) == 1
        assert await made.version(9.0, "quiet") == 1  # nobody will fit or ask it again
        yield made


async def _a_fit_during_the_outage_is_decided_and_not_yet_served(cluster: Cluster) -> str:
    fit = await cluster.begin(2.0)
    assert (await cluster.state(fit, "PUBLISHED"))["version"] == 2
    assert (await cluster.model())["version"] == 2
    assert (await cluster.forecast(6)).version == 1
    return fit


@pytest.mark.parametrize("emptied", [False, True], ids=["as it was", "emptied"])
async def test_etcd_is_killed_and_comes_back(
    cluster: Cluster, private_etcd: Server, emptied: bool
) -> None:
    async with forecasting(cluster, 4) as seen:
        private_etcd.kill()
        await cluster.degraded("coordination")
        fit = await _a_fit_during_the_outage_is_decided_and_not_yet_served(cluster)
        if emptied:
            private_etcd.wipe_and_start()
        else:
            private_etcd.start()
        assert (await cluster.state(fit))["state"] == "SERVED"
        await cluster.ready()
        await cluster.serving(2)
        assert await cluster.version(3.0) == 3
    assert seen.wrong == []
    await same_by_number(cluster, seen)
    # A worker that starts now learns of every model, whatever etcd has forgotten.
    for worker in cluster.alive("serve"):
        worker.kill()
    cluster.worker()
    await cluster.ready()
    await cluster.serving(3)
    await cluster.serving(1, model="quiet")


async def test_a_broker_and_a_worker_that_slept_through_a_compaction_catch_up(
    cluster: Cluster, private_etcd: Server
) -> None:
    slept = cluster.broker()
    await cluster.ready()
    worker = cluster.alive("serve")[1]
    for process in (slept, worker):
        process.pause()
    private_etcd.restart()  # their watches have to be resumed
    assert await cluster.version(2.0) == 2
    await _compact(private_etcd)
    for process in (slept, worker):
        process.resume()
    await cluster.ready()
    assert (await cluster.serving(2, broker=slept)).status == 200
    assert await cluster.version(3.0) == 3
    assert (await cluster.serving(3, broker=slept)).status == 200


async def _compact(etcd: Server) -> None:
    """Drop all history before now, by etcd's JSON gateway."""
    url = f"http://{etcd.hosts[0]}/v3/kv"
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{url}/range", json={"key": "AA=="}) as response:
            now = (await response.json())["header"]["revision"]
        order = {"revision": now, "physical": True}
        async with session.post(f"{url}/compaction", json=order) as response:
            assert response.status == 200, await response.text()
