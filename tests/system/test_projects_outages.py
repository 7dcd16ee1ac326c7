"""Projects while the store or the coordinator is away."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.system.cluster import Cluster, settings_of
from tests.system.projects import Customer, Learner, learners, start_workers

if TYPE_CHECKING:
    from tests.conftest import Server

_PID = "stream"
_BATCHES = 12


@contextlib.asynccontextmanager
async def _customer(folder: Path, settings: dict[str, str]) -> AsyncIterator[Customer]:
    """Give a customer with a project, served by a broker and two workers."""
    async with Cluster(folder, settings) as cluster:
        cluster.broker()
        start_workers(cluster, 2)
        await cluster.ready()
        async with Customer.registered(cluster) as customer:
            await customer.create(_PID)
            yield customer


async def _learned(crowd: list[Learner]) -> None:
    async with asyncio.timeout(60):
        await asyncio.gather(*(learner.work(_BATCHES) for learner in crowd))
    for learner in crowd:
        await learner.check(_BATCHES)


@pytest.mark.timeout(240)
async def test_learning_is_refused_at_once_while_the_store_is_away_and_counts_once_afterwards(
    tmp_path: Path, private_cql: Server
) -> None:
    settings = settings_of(private_cql)
    settings["MASTER_KEY"] = base64.b64encode(bytes(32)).decode()
    async with _customer(tmp_path, settings) as customer:
        cluster = customer.cluster
        await _learned([Learner(customer, _PID, 0, True, cluster.alive("broker"))])
        private_cql.kill()
        await cluster.degraded("store")
        began = time.monotonic()
        frame = {"attributeNames": ["x"], "attributeTypes": ["C"], "data": [["1"]]}
        refused = await customer.call("POST", f"/{_PID}/learn", json=frame, key="once")
        assert refused.status == 503, str(refused)
        assert time.monotonic() - began < 15
        private_cql.start()
        await cluster.ready(deadline_s=60)
        for _ in range(2):
            told = await customer.call("POST", f"/{_PID}/learn", json=frame, key="once")
            assert told.status == 200, str(told)
        asked = {"values": [{"inputAttributeNames": ["x"]}]}
        told = await customer.call("POST", f"/{_PID}/explore", query="metric=uni", json=asked)
        assert told.json["values"]["KSVDMap"]["values"][0]["count"] == 1.0


@pytest.mark.timeout(180)
async def test_learning_goes_on_without_the_coordinator_also_when_a_home_dies(
    tmp_path: Path, private_etcd: Server
) -> None:
    async with _customer(tmp_path, settings_of(private_etcd)) as customer:
        cluster = customer.cluster
        crowd = learners(customer, _PID, 4)
        await _learned(crowd[:2])
        private_etcd.kill()
        await cluster.degraded("coordination")
        (await customer.project(_PID)).home.kill()
        # Nobody can ask whether it lives; the broker, which cannot reach it, says so.
        await _learned(crowd[2:])
        for learner in crowd:
            await learner.check(_BATCHES)
