"""The Iris rows on three workers over etcd and a real CQL server, with every reference number."""

from __future__ import annotations

import base64
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.integration.symetry import iris
from tests.integration.symetry.customer import Customer
from tests.system import projects
from tests.system.cluster import Cluster, settings_of

if TYPE_CHECKING:
    from tests.conftest import Server


@pytest.fixture
async def cluster(
    tmp_path: Path, etcd_server: Server, cql_server: Server
) -> AsyncIterator[Cluster]:
    """Give a cluster over the servers that the whole run shares, with names of its own."""
    mine = f"iris_{uuid.uuid4().hex[:12]}"
    settings = settings_of(etcd_server, cql_server)
    settings["COORDINATION_PREFIX"] = f"{mine}/"
    settings["STORE_URL"] = settings["STORE_URL"].removesuffix("/tally") + f"/{mine}"
    settings["MASTER_KEY"] = base64.b64encode(bytes(32)).decode()
    async with Cluster(tmp_path, settings) as made:
        yield made


@pytest.mark.timeout(240)
async def test_every_number_of_the_reference_on_three_workers_over_real_servers(
    cluster: Cluster,
) -> None:
    for _ in range(2):
        cluster.broker()
    projects.start_workers(cluster, 3)
    await cluster.ready()
    async with (
        projects.Customer.registered(cluster) as signer,
        aiohttp.ClientSession() as session,
    ):
        one, another = (
            Customer(session, f"http://127.0.0.1:{broker.port}", signer.cid, signer.key)
            for broker in cluster.alive("broker")
        )
        await iris.learn(one)
        rows = iris.frame()
        half = {**rows, "data": rows["data"][:75]}
        for verb in ("learn", "forget"):
            assert (await another.post(f"projects/{iris.WHOLE}/{verb}", half)).status == 200
        # Whichever broker is asked; and whichever worker is left.
        for customer, first in ((one, 0), (another, 2)):
            for question in iris.QUESTIONS[first::4]:
                await iris.check(customer, question)
        (await signer.project(iris.WHOLE)).home.kill()
        for question in iris.QUESTIONS[1::2]:
            await iris.check(one, question)
        exported = await another.get(f"projects/{iris.WHOLE}/export")
        assert (await one.post("projects/copy/import", exported.body)).status == 200
        for question in iris.QUESTIONS[::9]:
            await iris.check(another, question, "copy")
