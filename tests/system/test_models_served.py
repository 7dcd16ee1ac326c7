"""Every worker predicts, while the home is killed, models are built and rolled back, and after."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tally.internal_token import internal_token
from tests.system.cluster import Cluster
from tests.system.process import Process, until
from tests.system.projects import Customer, start_workers

_PID, _MODEL = "lines", "m"
_CLIENTS, _WORKERS = 8, 3
_VERSIONS = 5
_X = range(20)
# Version k tells y_k = k x, so that each answer tells whose it is.
_LINES = {
    "attributeNames": ["x", *(f"y{k}" for k in range(1, _VERSIONS + 1))],
    "attributeTypes": ["C"] * (_VERSIONS + 1),
    "data": [[str(k * x) for k in (1, *range(1, _VERSIONS + 1))] for x in range(9)],
}
_ROWS = {"attributeNames": ["x"], "data": [[str(x)] for x in _X]}


async def _build(customer: Customer, number: int, again: str = "") -> None:
    """Return once a client was told that the build is done."""
    body = {"targetAttributeNames": [f"y{number}"], "inputAttributeNames": ["x"]}
    query = f"modelid={_MODEL}&algo=mlr"
    begun = await customer.call(
        "POST", f"/{_PID}/build", query=query, json=body, key=f"b{number}{again}"
    )
    assert begun.status == 202, str(begun)
    job = begun.headers["sym-job-id"]

    async def done() -> bool:
        told = await customer.call("GET", f"/{job}", below="jobs")
        assert told.status in (200, 202), str(told)
        return told.status == 200

    await until(done, f"build {number} is done", deadline_s=60)


async def _predict(customer: Customer) -> int:
    """Return the version that answered, and that all of the answer is its own."""
    told = await customer.call("POST", f"/{_PID}/predict/{_MODEL}", json=_ROWS)
    assert told.status == 200, str(told)
    answers = [float(row["res"]) for row in told.json["values"]["KSVSMap"]["values"]]
    assert answers == pytest.approx([told.version * x for x in _X], abs=1e-6)
    return told.version


async def _build_beside(cluster: Cluster, customer: Customer) -> None:
    """Build once more; return when all workers have loaded it, though nobody asks for it."""
    await cluster.ready()  # the one that was killed has just been started again
    workers = cluster.alive("serve")

    async def all_know() -> bool:
        await _predict(customer)
        return all([await _counted(cluster, worker, "predictions") for worker in workers])

    await until(all_know, "every worker has the model")
    before = [await _counted(cluster, worker, "models_reloaded") for worker in workers]
    await _build(customer, 1, again="2")

    async def reloaded() -> bool:
        now = [await _counted(cluster, worker, "models_reloaded") for worker in workers]
        return all(count > known for count, known in zip(now, before, strict=True))

    await until(reloaded, "every worker has loaded what was built")


@contextlib.asynccontextmanager
async def _clients(customer: Customer) -> AsyncIterator[list[list[int]]]:
    """Give the versions that each of some clients is answered by, one after the other."""
    seen: list[list[int]] = [[] for _ in range(_CLIENTS)]

    async def work(versions: list[int]) -> None:
        while True:
            versions.append(await _predict(customer))

    async def more() -> bool:
        return all(len(versions) > count for versions, count in zip(seen, counts, strict=True))

    tasks = [asyncio.create_task(work(versions)) for versions in seen]
    try:
        yield seen
        counts = [len(versions) for versions in seen]
        await until(more, "every client was answered after the last change")
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    failed = [one for one in ended if not isinstance(one, asyncio.CancelledError)]
    assert not failed, failed


async def _counted(cluster: Cluster, worker: Process, what: str) -> int:
    """Return how often a worker did something in this life of its."""
    url = f"http://127.0.0.1:{worker.setting('WORKER_PORT')}/metrics"
    headers = {"Authorization": f"Bearer {internal_token(cluster.settings())}"}
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as reply:
        found = re.search(rf"^tally_{what}_total (\S+)", await reply.text(), re.MULTILINE)
    assert found is not None
    return int(float(found[1]))


def _follows(versions: list[int], history: list[int]) -> bool:
    """Tell whether what one client saw goes through what was served, and never back in it."""
    place = 0
    for version in versions:
        while place < len(history) and history[place] != version:
            place += 1
    return place < len(history)


@pytest.mark.timeout(180)
async def test_every_worker_predicts_while_some_die_or_stand_still_and_versions_come_and_go(
    tmp_path: Path,
) -> None:
    async with Cluster(tmp_path) as cluster:
        cluster.broker()
        start_workers(cluster, _WORKERS)
        await cluster.ready()
        async with Customer.registered(cluster) as customer:
            await customer.create(_PID)
            learned = await customer.call("POST", f"/{_PID}/learn", json=_LINES)
            assert learned.status == 200, str(learned)
            await _build(customer, 1)
            history = [1]
            async with _clients(customer) as seen:

                async def all_predict() -> bool:
                    workers = cluster.alive("serve")
                    return all(
                        [await _counted(cluster, worker, "predictions") for worker in workers]
                    )

                await until(all_predict, "every worker has predicted")
                home = (await customer.project(_PID)).home
                home.kill()
                count = sum(map(len, seen))

                async def go_on() -> bool:
                    return sum(map(len, seen)) > count + 4 * _CLIENTS

                await until(go_on, "predictions go on without the home")
                home.start()
                others = [worker for worker in cluster.alive("serve") if worker is not home]
                others[0].pause()
                counts = [len(versions) for versions in seen]

                async def all_go_on() -> bool:
                    return all(len(now) > count for now, count in zip(seen, counts, strict=True))

                await until(all_go_on, "no client is left with a worker that stands still")
                others[0].resume()
                for number in range(2, _VERSIONS + 1):
                    await _build(customer, number)
                    history.append(number)
                    # Whoever was told that it is done gets what was built.
                    assert await _predict(customer) == number
                    if number == 3:
                        path = f"/{_PID}/models/{_MODEL}/rollback"
                        back = await customer.call("POST", path)
                        assert back.status == 200, str(back)
                        history.append(2)
                        assert await _predict(customer) == 2
            for versions in seen:
                assert _follows(versions, history), versions
                assert versions[-1] == _VERSIONS
            await _build_beside(cluster, customer)
            gone = await customer.call("DELETE", f"/{_PID}/models/{_MODEL}")
            assert gone.status == 200, str(gone)
            for _ in range(2 * _WORKERS):
                refused = await customer.call("POST", f"/{_PID}/predict/{_MODEL}", json=_ROWS)
                assert refused.status == 500, str(refused)
                assert "no such model <m>" in refused.json["statusString"]
