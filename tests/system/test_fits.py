"""Fits as a client sees them: waiting, asking later, repeating, retrying, refusing the worse."""

from __future__ import annotations

import asyncio
import os
import signal

from tests.system.cluster import Cluster, wave
from tests.system.process import until


async def test_an_asynchronous_fit_is_followed_by_its_location(cluster: Cluster) -> None:
    await cluster.start()
    for path, headers in (
        ("/api/fit_model?async=true", {}),
        ("/api/fit_model", {"Prefer": "respond-async"}),
    ):
        accepted = await cluster.call("POST", path, json={"data": wave()}, headers=headers)
        assert accepted.status == 202, str(accepted)
        url = accepted.headers["Location"]
        ended = await cluster.state(url.rpartition("/")[2])
        assert ended["state"] == "SERVED"
        assert (await cluster.serving(ended["version"])).status == 200


async def test_a_synchronous_fit_over_its_deadline_answers_202_and_goes_on(
    cluster: Cluster,
) -> None:
    cluster.broker(FIT_WAIT_S="0.5")
    cluster.worker()
    fitter = cluster.fitter()
    await cluster.ready()
    async with fitter.holding():
        late = await cluster.fit(1.0)
        assert late.status == 202, str(late)
    assert (await cluster.state(late.json["fit"]))["state"] == "SERVED"


async def test_one_idempotency_key_is_one_fit(cluster: Cluster) -> None:
    await cluster.start(brokers=2)
    first, second = cluster.alive("broker")
    twins = await asyncio.gather(
        *(cluster.fit(1.0, key="monday", broker=b) for b in (first, second) * 4)
    )
    assert {twin.status for twin in twins} == {201}, [str(twin) for twin in twins]
    assert len({twin.json["fit"] for twin in twins}) == 1
    assert [v["version"] for v in await cluster.versions()] == [1]

    other = await cluster.fit(2.0, key="monday")
    assert other.status == 422, str(other)
    assert "monday" in other.json["detail"]
    assert await cluster.version(2.0) == 2


async def test_a_failed_fit_is_in_the_dead_letters_until_a_retry_serves_it(
    cluster: Cluster,
) -> None:
    cluster.broker()
    cluster.worker()
    fitter = cluster.fitter(FIT_TIMEOUT_S="0.5")
    await cluster.ready()
    async with fitter.holding():
        failed = await cluster.fit(1.0)
    assert failed.status == 422, str(failed)
    assert "0.5 s" in failed.json["detail"]
    fit = failed.json["fit"]
    dead = await cluster.call("GET", "/api/fits?state=FAILED")
    assert [letter["fit"] for letter in dead.json["fits"]] == [fit]

    fitter.kill()
    cluster.fitter()
    retried = await cluster.call("POST", f"/api/fits/{fit}/retry")
    assert retried.status == 202, str(retried)
    assert (await cluster.state(fit))["state"] == "SERVED"
    assert (await cluster.serving(1)).status == 200
    again = await cluster.call("POST", f"/api/fits/{fit}/retry")
    assert again.status == 409, str(again)
    assert (await cluster.call("GET", "/api/fits?state=FAILED")).json["fits"] == []


async def test_a_fit_without_the_asked_skill_is_rejected_and_the_old_version_stays(
    cluster: Cluster,
) -> None:
    await cluster.start()
    assert await cluster.version(1.0) == 1
    worse = await cluster.fit(1.0, algorithm="seasonal_naive", min_skill=0.0)
    assert worse.status == 409, str(worse)
    assert worse.json["state"] == "REJECTED"
    assert "min_skill" in worse.json["detail"]
    assert (await cluster.forecast()).version == 1
    assert (await cluster.model())["version"] == 1
    # Refusing one is no reason to refuse the next.
    assert await cluster.version(1.0) == 3


async def test_a_cancelled_fit_never_becomes_a_version(cluster: Cluster) -> None:
    await cluster.start()
    [fitter] = cluster.alive("fit")
    async with fitter.holding():
        fit = await cluster.begin(1.0)
        await cluster.state(fit, "RUNNING")
        cancelled = await cluster.call("DELETE", f"/api/fits/{fit}")
        assert cancelled.json["state"] == "CANCELLED", str(cancelled)
    assert await cluster.version(2.0) == 1
    assert (await cluster.told(fit))["state"] == "CANCELLED"
    assert len(await cluster.versions()) == 1


async def test_a_fit_whose_process_dies_is_tried_again_and_becomes_one_version(
    cluster: Cluster,
) -> None:
    await cluster.start()
    [fitter] = cluster.alive("fit")
    async with fitter.holding():
        fit = await cluster.begin(1.0)
        await cluster.state(fit, "RUNNING")
        # The one at work is the oldest; the other waits for the next job.
        os.kill(fitter.children()[0], signal.SIGKILL)

        async def second_try() -> bool:
            return bool((await cluster.told(fit))["attempts"] == 2)

        await until(second_try, "the fit is tried again")
    told = await cluster.state(fit)
    assert (told["state"], told["attempts"], told["version"]) == ("SERVED", 2, 1)
    assert len(await cluster.versions()) == 1
