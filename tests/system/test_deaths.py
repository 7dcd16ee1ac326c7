"""Processes that die, one by one and all together: V3, V4, V7."""

from __future__ import annotations

import asyncio
import os
import signal

from tests.system.clients import forecasting
from tests.system.cluster import Cluster
from tests.system.process import Role, until


async def test_a_fit_outlives_its_worker_and_becomes_one_version(cluster: Cluster) -> None:
    await cluster.start()
    [first] = cluster.alive("fit")
    async with first.holding():
        fit = await cluster.begin(1.0)
        await cluster.state(fit, "RUNNING")
        first.kill()
    cluster.fitter()
    told = await cluster.state(fit)
    assert (told["state"], told["attempts"], told["version"]) == ("SERVED", 2, 1)
    assert [v["fit"] for v in await cluster.versions()] == [fit]


async def test_a_fit_that_is_accepted_while_no_fit_worker_lives_waits_for_one(
    cluster: Cluster,
) -> None:
    await cluster.start(fitters=0)
    fit = await cluster.begin(1.0)
    assert (await cluster.told(fit))["state"] == "QUEUED"
    cluster.fitter()
    assert (await cluster.state(fit))["state"] == "SERVED"


async def test_a_request_that_kills_its_process_each_time_ends_failed_and_blocks_nobody(
    cluster: Cluster,
) -> None:
    await cluster.start()
    [fitter] = cluster.alive("fit")
    assert await cluster.version(1.0) == 1
    async with fitter.holding():
        fit = await cluster.begin(2.0)
        for attempt in range(1, 4):

            async def tried(attempt: int = attempt) -> bool:
                told = await cluster.told(fit)
                return bool(told["state"] == "RUNNING" and told["attempts"] == attempt)

            await until(tried, f"attempt {attempt}")
            os.kill(fitter.children()[0], signal.SIGKILL)
        told = await cluster.state(fit)
    assert (told["state"], told["attempts"]) == ("FAILED", 3)
    assert "SIGKILL" in told["reason"]
    dead = await cluster.call("GET", "/api/fits?state=FAILED")
    assert [letter["fit"] for letter in dead.json["fits"]] == [fit]
    assert (await cluster.forecast()).version == 1
    assert await cluster.version(3.0) == 2


async def test_a_request_that_kills_its_worker_each_time_ends_failed_and_the_next_fit_works(
    cluster: Cluster,
) -> None:
    await cluster.start(fitters=0)
    fit = await cluster.begin(1.0)
    for attempt in range(1, 4):
        fitter = cluster.fitter(CLAIM_TTL_S="1")
        async with fitter.holding():

            async def tried(attempt: int = attempt) -> bool:
                told = await cluster.told(fit)
                return bool(told["state"] == "RUNNING" and told["attempts"] == attempt)

            await until(tried, f"attempt {attempt}")
            fitter.kill()
    cluster.fitter(CLAIM_TTL_S="1")
    told = await cluster.state(fit)
    assert told["state"] == "FAILED", told
    assert "3 times" in told["reason"]
    assert await cluster.version(2.0) == 1


async def test_clients_notice_nothing_when_workers_are_killed_one_after_the_other(
    cluster: Cluster,
) -> None:
    await cluster.start(workers=3)
    await cluster.version(1.0)
    async with forecasting(cluster, 16, max_steps=1000) as seen:
        for _ in range(3):
            victim = cluster.alive("serve")[0]
            victim.kill()
            asked = seen.answers

            async def go_on(asked: int = asked) -> bool:
                return seen.answers > asked + 100 or bool(seen.wrong)

            await until(go_on, "the clients go on")
            cluster.worker()
            await cluster.ready()
    assert seen.wrong == []
    assert seen.versions() == {1}


async def test_a_paused_worker_costs_a_client_at_most_a_slow_answer(cluster: Cluster) -> None:
    await cluster.start(workers=2)
    await cluster.version(1.0)
    paused = cluster.alive("serve")[0]
    paused.pause()
    replies = await asyncio.gather(*(cluster.forecast(steps) for steps in range(1, 30)))
    assert {reply.status for reply in replies} == {200}
    paused.resume()
    await cluster.ready()
    assert (await cluster.serving(1)).status == 200


async def test_without_any_worker_a_client_is_told_to_retry_and_then_served_again(
    cluster: Cluster,
) -> None:
    cluster.broker(FORECAST_WAIT_S="1")
    for _ in range(2):
        cluster.worker()
    cluster.fitter()
    await cluster.ready()
    await cluster.version(1.0)
    before = (await cluster.forecast(24)).body
    for worker in cluster.alive("serve"):
        worker.kill()
    # One that no cache has.
    refused = await cluster.forecast(25)
    assert refused.status == 503, str(refused)
    assert int(refused.headers["Retry-After"]) >= 1
    assert refused.headers["Content-Type"] == "application/problem+json"

    async def noticed() -> bool:
        return "workers" in (await cluster.call("GET", "/ready")).json["degraded"]

    await until(noticed, "/ready says that no worker is there")
    cluster.worker()
    await cluster.ready()
    assert (await cluster.serving(1, steps=24)).body == before


async def test_a_request_waits_for_the_worker_that_is_starting(cluster: Cluster) -> None:
    await cluster.start()
    await cluster.version(1.0)
    cluster.alive("serve")[0].kill()
    waiting = asyncio.create_task(cluster.forecast(7))
    cluster.worker()
    assert (await waiting).status == 200


async def test_a_broker_that_comes_back_knows_everything_at_once(cluster: Cluster) -> None:
    await cluster.start()
    [broker] = cluster.alive("broker")
    assert [await cluster.version(level) for level in (1.0, 2.0)] == [1, 2]
    answer = await cluster.forecast(24)
    broker.kill()
    broker.start()
    await cluster.ready()
    again = await cluster.forecast(24)
    assert (again.version, again.body) == (2, answer.body)
    assert await cluster.version(3.0) == 3


async def test_sigterm_ends_each_process_cleanly_and_its_registration_at_once(
    cluster: Cluster,
) -> None:
    lasting = {"LEASE_TTL_S": "60"}  # longer than this test waits
    for _ in range(2):
        cluster.broker(**lasting)
        cluster.worker(**lasting)
        cluster.fitter(**lasting)
    await cluster.ready()
    await cluster.version(1.0)
    roles: tuple[Role, ...] = ("serve", "fit", "broker")
    for role in roles:
        one = cluster.alive(role)[1]
        assert one.stop() == 0, one.log.read_text()[-2000:]
        await cluster.ready()
    assert (await cluster.forecast(9)).status == 200
