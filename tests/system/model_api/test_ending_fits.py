"""Fits that are ended from outside: their processes end, and nothing is left of them."""

from __future__ import annotations

from tests.system.cluster import Cluster
from tests.system.process import Process, until


async def at_work(cluster: Cluster, fitter: Process, level: float, model: str) -> tuple[str, int]:
    """Return a fit under way, and the process that computes it."""
    before = set(fitter.children())
    fit = await cluster.begin(level, model)
    await cluster.state(fit, "RUNNING")
    return fit, min(before)  # the oldest spare got the job


async def _gone(fitter: Process, pid: int) -> None:
    async def gone() -> bool:
        return pid not in fitter.children()

    await until(gone, f"the process {pid} is gone")


async def _spares(fitter: Process) -> None:
    async def there() -> bool:
        return len(fitter.children()) == 3

    await until(there, "all spares wait")


async def test_cancelling_a_fit_ends_its_process_and_frees_the_worker(cluster: Cluster) -> None:
    await cluster.start()
    [fitter] = cluster.alive("fit")
    async with fitter.holding():
        await _spares(fitter)
        fit, pid = await at_work(cluster, fitter, 1.0, "shop")
        cancelled = await cluster.call("DELETE", f"/api/fits/{fit}")
        assert cancelled.json["state"] == "CANCELLED", str(cancelled)
        # Held, it cannot end by itself.
        await _gone(fitter, pid)
    assert await cluster.version(2.0, "shop") == 1
    assert (await cluster.told(fit))["state"] == "CANCELLED"


async def test_deleting_a_model_ends_the_process_of_its_fit_and_frees_the_worker(
    cluster: Cluster,
) -> None:
    await cluster.start()
    [fitter] = cluster.alive("fit")
    async with fitter.holding():
        await _spares(fitter)
        _, pid = await at_work(cluster, fitter, 1.0, "shop")
        assert (await cluster.call("DELETE", "/api/models/shop")).status == 204
        await _gone(fitter, pid)
    assert await cluster.version(2.0, "other") == 1
    assert await cluster.version(3.0, "shop") == 1


async def test_a_fit_worker_that_is_stopped_gives_its_fit_back_at_once(cluster: Cluster) -> None:
    """With such a TTL nobody could take it over before the test gives up."""
    cluster.broker()
    cluster.worker()
    first = cluster.fitter(CLAIM_TTL_S="600")
    await cluster.ready()
    async with first.holding():
        await _spares(first)
        fit, _ = await at_work(cluster, first, 1.0, "shop")
        cluster.fitter(CLAIM_TTL_S="600")
        assert first.stop() == 0
    told = await cluster.state(fit)
    assert (told["state"], told["attempts"], told["version"]) == ("SERVED", 2, 1)


async def test_no_process_of_a_killed_fit_worker_is_left(cluster: Cluster) -> None:
    await cluster.start()
    [fitter] = cluster.alive("fit")
    await _spares(fitter)
    assert await cluster.version(1.0) == 1
    fitter.kill()
    await until(lambda: _left(fitter), "its children are gone")


async def _left(fitter: Process) -> bool:
    return fitter.session_is_gone()
