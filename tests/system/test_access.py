"""Who may talk to whom."""

from __future__ import annotations

import re
import sqlite3

import aiohttp
import pytest

from tests.system.cluster import Cluster
from tests.system.process import Process


async def _worker_port(process: Process, cluster: Cluster) -> int:
    """Return the port that a worker has announced."""
    with sqlite3.connect(cluster.data / "coordination.db") as file:
        text = "\n".join(file.iterdump())
    return int(re.findall(r"nodes/127\.0\.0\.1_(\d+)", text)[-1])


async def test_a_broker_off_loopback_refuses_to_start_without_tokens(cluster: Cluster) -> None:
    broker = cluster.broker(HOST="0.0.0.0")
    assert broker.wait(20) == 1
    assert "TALLY_API_TOKENS" in broker.log.read_text()


@pytest.mark.parametrize("allowed", [{"API_OPEN": "true"}, {"API_TOKENS": "ann:long-enough"}])
async def test_off_loopback_it_starts_with_tokens_or_when_told_to_be_open(
    cluster: Cluster, allowed: dict[str, str]
) -> None:
    cluster.broker(HOST="0.0.0.0", **allowed)
    await cluster.answers()
    assert (await cluster.call("GET", "/health")).status == 200


async def test_api_asks_for_a_token_and_writes_down_whose_it_was(cluster: Cluster) -> None:
    cluster.broker(API_TOKENS="ann:token-of-ann,bob:token-of-bob")
    cluster.worker()
    cluster.fitter()
    await cluster.ready()
    data = {"data": [1.0, 2.0] * 20}
    for headers in ({}, {"Authorization": "Bearer wrong-token"}, {"Authorization": "token-of-bob"}):
        for method, path in (("POST", "/api/fit_model"), ("GET", "/api/forecast/3")):
            refused = await cluster.call(method, path, json=data, headers=headers)
            assert refused.status == 401, str(refused)
            assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    bob = {"Authorization": "Bearer token-of-bob"}
    made = await cluster.call("POST", "/api/fit_model", json=data, headers=bob)
    assert made.status == 201, str(made)
    assert made.json["who"] == "bob"
    assert (await cluster.call("GET", "/api/forecast/3", headers=bob)).status == 200
    # Probes need no secret.
    for path in ("/health", "/ready", "/metrics"):
        assert (await cluster.call("GET", path)).status == 200


async def test_the_workers_port_answers_brokers_only(cluster: Cluster) -> None:
    await cluster.start()
    await cluster.version(1.0)
    port = await _worker_port(cluster.alive("serve")[0], cluster)
    model = (await cluster.model())["uuid"]
    url = f"http://127.0.0.1:{port}/internal/models/{model}/versions/1/forecast/3"
    token = (cluster.data / "internal-token").read_text()
    assert (cluster.data / "internal-token").stat().st_mode & 0o077 == 0
    async with aiohttp.ClientSession() as session:
        for header, status in ((None, 401), ("Bearer guess", 401), (f"Bearer {token}", 200)):
            headers = {"Authorization": header} if header else {}
            async with session.get(url, headers=headers) as response:
                assert response.status == status
