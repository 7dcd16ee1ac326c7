"""Two things at once, of which one has to give way: V2 and V7."""

from __future__ import annotations

import pytest

from tests.system.cluster import Cluster
from tests.system.process import until


async def test_a_fit_that_started_earlier_and_ends_later_is_superseded(cluster: Cluster) -> None:
    await cluster.start()
    [slow] = cluster.alive("fit")
    async with slow.holding():
        early = await cluster.begin(1.0)
        await cluster.state(early, "RUNNING")
        cluster.fitter()
        assert await cluster.version(2.0) == 1
    told = await cluster.state(early)
    assert told["state"] == "SUPERSEDED", told
    assert "accepted after this one" in told["reason"]
    assert (await cluster.forecast()).version == 1
    model = await cluster.model()
    assert (model["version"], model["generation"]) == (1, 1)


@pytest.mark.parametrize("ttl_s", [1, 600], ids=["at its next beat", "when it stores its model"])
async def test_a_fit_worker_paused_past_its_claim_and_continued_changes_nothing(
    cluster: Cluster, ttl_s: int
) -> None:
    cluster.broker()
    cluster.worker()
    paused = cluster.fitter(CLAIM_TTL_S=str(ttl_s))
    await cluster.ready()
    async with paused.holding():
        fit = await cluster.begin(1.0)
        await cluster.state(fit, "RUNNING")
        paused.pause()
        cluster.fitter(CLAIM_TTL_S="1")
        told = await cluster.state(fit)
        assert (told["state"], told["attempts"]) == ("SERVED", 2), told
        before = await cluster.model()
        answer = await cluster.forecast(24)
    # Its child has gone on and has the answer ready, so all that it can still do, it will.
    paused.resume()

    async def gave_up() -> bool:
        return paused.said("claim lost") > 0

    await until(gave_up, "the paused worker sees that it was taken over")
    if ttl_s == 600:
        # Its next beat is far away: it has fitted and stored bytes, and only then was refused.
        assert "no longer counts" in paused.log.read_text()
    assert await cluster.told(fit) == told
    assert await cluster.model() == before
    assert len(await cluster.versions()) == 1
    assert (await cluster.forecast(24)).body == answer.body
    assert await cluster.version(2.0) == 2


async def test_a_rollback_ends_the_fits_that_were_under_way(cluster: Cluster) -> None:
    await cluster.start()
    assert [await cluster.version(level) for level in (1.0, 2.0)] == [1, 2]
    [fitter] = cluster.alive("fit")
    async with fitter.holding():
        fit = await cluster.begin(3.0)
        await cluster.state(fit, "RUNNING")
        back = await cluster.call("POST", "/api/models/default/rollback?to=1")
        assert back.status == 200, str(back)
    told = await cluster.state(fit)
    assert told["state"] == "SUPERSEDED", told
    assert "rolled back" in told["reason"]
    await cluster.serving(1)
    assert (await cluster.model())["audits"][0]["action"] == "rollback"
    # A fit that is asked for after the rollback is served again, under a number never used.
    assert await cluster.version(4.0) == 4


async def test_a_rollback_and_the_retention_of_its_version_never_lose_what_is_served(
    cluster: Cluster,
) -> None:
    """V1: the version that a rollback moves to is retired at the same moment, or stays."""
    cluster.broker()
    cluster.worker()
    # No grace: bytes go in the walk that retires them, so that a mistake shows.
    strict = {"KEEP_VERSIONS": "2", "DELETE_GRACE_S": "0", "TIDY_EVERY_S": "0.02"}
    for _ in range(2):
        cluster.fitter(**strict)
    await cluster.ready()
    moved = 0
    for _ in range(10):
        newest = await cluster.version(1.0)
        for to in range(max(newest - 3, 1), newest):
            back = await cluster.call("POST", f"/api/models/default/rollback?to={to}")
            assert back.status in (200, 404, 409), str(back)
            if back.status == 200:
                moved += 1
                assert (await cluster.serving(to)).status == 200
    assert moved >= 10
    # Whatever is served must also be there for a worker that has to load it.
    served = (await cluster.model())["version"]
    for worker in cluster.alive("serve"):
        worker.kill()
    cluster.worker()
    await cluster.ready()
    assert (await cluster.serving(served)).status == 200
    assert served in [v["version"] for v in await cluster.versions()]


async def test_a_model_deleted_and_created_again_shares_nothing_with_the_old_one(
    cluster: Cluster,
) -> None:
    cluster.broker()
    cluster.worker()
    # With heartbeats so far apart it does not notice the deletion before it has fitted.
    fitter = cluster.fitter(CLAIM_TTL_S="60")
    await cluster.ready()
    assert [await cluster.version(level, "shop") for level in (100.0, 200.0)] == [1, 2]
    async with fitter.holding():
        old = await cluster.begin(300.0, "shop")
        await cluster.state(old, "RUNNING")
        deleted = await cluster.call("DELETE", "/api/models/shop")
        assert deleted.status == 204, str(deleted)

        async def unknown() -> bool:
            return (await cluster.forecast(model="shop")).status == 404

        await until(unknown, "the deleted model is unknown")
        cluster.fitter()
        made = await cluster.fit(5.0, "shop", key="again")
        assert made.json["version"] == 1, str(made)
    values = (await cluster.forecast(model="shop")).json["data"]
    assert all(0 < value < 10 for value in values)

    async def forgotten() -> bool:
        return (await cluster.call("GET", f"/api/fits/{old}")).status == 404

    await until(forgotten, "the old model's rows are gone")
    assert await cluster.version(6.0, "shop") == 2
    assert [v["version"] for v in await cluster.versions("shop")] == [1, 2]
