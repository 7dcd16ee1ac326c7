"""Publishing as fast as possible while clients forecast: V2, V5 and V7."""

from __future__ import annotations

import asyncio

import pytest

from tests.system.clients import forecasting, same_by_number
from tests.system.cluster import Cluster


async def _publish_while_clients_forecast(
    cluster: Cluster, *, workers: int, versions: int, clients: int
) -> None:
    await cluster.start(workers=workers)
    await cluster.version(0.0)
    async with forecasting(cluster, clients) as seen:
        for level in range(1, versions):
            made = await cluster.fit(float(level))
            assert made.status == 201, str(made)
            assert made.json["version"] == level + 1
    assert seen.wrong == []
    assert seen.answers > versions
    assert max(seen.versions()) == versions
    # Every answer lies near the level of its own version, and is its own forecast to the bit.
    await same_by_number(cluster, seen)
    manifests = await cluster.versions()
    assert [v["version"] for v in manifests] == list(range(1, versions + 1))


async def test_12_versions_are_published_while_16_clients_forecast(cluster: Cluster) -> None:
    await _publish_while_clients_forecast(cluster, workers=4, versions=12, clients=16)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_50_versions_are_published_to_8_workers_while_32_clients_forecast(
    cluster: Cluster,
) -> None:
    await _publish_while_clients_forecast(cluster, workers=8, versions=50, clients=32)


async def test_brokers_and_fit_workers_in_parallel_use_no_number_twice(cluster: Cluster) -> None:
    await cluster.start(brokers=2, workers=2, fitters=3)
    brokers = cluster.alive("broker")
    replies = await asyncio.gather(
        *(cluster.fit(float(level), broker=brokers[level % 2]) for level in range(20))
    )
    assert {reply.status for reply in replies} <= {200, 201}, [str(reply) for reply in replies]
    ended = [reply.json for reply in replies]
    published = [fit for fit in ended if fit["state"] in ("PUBLISHED", "SERVED")]
    assert {fit["state"] for fit in ended} <= {"PUBLISHED", "SERVED", "SUPERSEDED"}
    assert published
    # Each fit got a number of its own, and each number belongs to one fit. One that is stored
    # before an earlier one and published after it gets another number, so some may be left out.
    stored = await cluster.versions()
    assert len({fit["version"] for fit in ended}) == 20
    assert {v["version"]: v["fit"] for v in stored} == {f["version"]: f["fit"] for f in ended}
    assert len({fit["fit"] for fit in ended}) == 20
    # Only published versions moved the head, one generation each.
    model = await cluster.model()
    assert model["generation"] == sum(v["state"] == "PUBLISHED" for v in stored)
    assert (await cluster.serving(model["version"])).status == 200
    for broker in brokers:
        assert (await cluster.serving(model["version"], broker=broker)).status == 200


async def test_a_client_reads_its_own_publication_through_the_other_broker(
    cluster: Cluster,
) -> None:
    await cluster.start(brokers=2, workers=2)
    first, second = cluster.alive("broker")
    for level in range(1, 6):
        made = (await cluster.fit(float(level), broker=first)).json["version"]
        least = {"X-Min-Model-Version": str(made)}
        reply = await cluster.forecast(broker=second, headers=least)
        assert reply.status == 200, str(reply)
        assert reply.version >= made
