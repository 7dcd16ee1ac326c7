"""The whole service over etcd, a CQL server and NATS at once."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.system.clients import forecasting, same_by_number
from tests.system.cluster import Cluster, settings_of
from tests.system.process import ROOT

if TYPE_CHECKING:
    from tests.conftest import Server


@pytest.fixture
async def cluster(
    tmp_path: Path, etcd_server: Server, nats_server: Server, cql_server: Server
) -> AsyncIterator[Cluster]:
    """Give a cluster over the servers that the whole run shares, with names of its own."""
    mine = f"system_{uuid.uuid4().hex[:12]}"
    settings = settings_of(etcd_server, nats_server, cql_server)
    settings["COORDINATION_PREFIX"] = f"{mine}/"
    settings["QUEUE_URL"] += f"/{mine}"
    settings["STORE_URL"] = settings["STORE_URL"].removesuffix("/tally") + f"/{mine}"
    settings["CLAIM_TTL_S"] = "3"
    async with Cluster(tmp_path, settings) as made:
        yield made


@pytest.mark.timeout(180)
async def test_the_shipped_series_is_fitted_and_forecast_over_real_servers(
    cluster: Cluster,
) -> None:
    await cluster.start(brokers=2, workers=2, fitters=2)
    series = json.loads((ROOT / "dataset_simple").read_text())
    made = await cluster.call("POST", "/api/fit_model", json=series)
    assert made.status == 201, str(made)
    for broker in cluster.alive("broker"):
        answer = await cluster.call("GET", "/api/forecast/500", broker=broker)
        assert (answer.status, len(answer.json["data"])) == (200, 500)
    async with forecasting(cluster, 8) as seen:
        for level in range(2, 6):
            assert await cluster.version(float(level)) == level
        cluster.alive("serve")[0].kill()
        cluster.alive("fit")[0].kill()
        assert await cluster.version(6.0) == 6
    assert seen.wrong == []
    await same_by_number(cluster, seen)


@pytest.mark.timeout(180)
async def test_nothing_is_lost_when_all_our_processes_are_killed_over_real_servers(
    cluster: Cluster,
) -> None:
    await cluster.start()
    fits = [await cluster.begin(float(i)) for i in range(4)]
    for process in cluster.processes:
        process.kill()
    for process in cluster.processes:
        process.start()
    await cluster.ready()
    assert (await cluster.state(fits[-1]))["state"] == "SERVED"
    ended = [await cluster.state(fit, "SERVED", "SUPERSEDED") for fit in fits]
    assert len({fit["version"] for fit in ended}) == 4
    await cluster.serving(ended[-1]["version"])
