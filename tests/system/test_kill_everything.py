"""`kill -9` of every process at once, again and again, at moments drawn at random.

A client goes on asking for fits and forecasts all the while, and remembers what it was told.
Whatever it was told must still be true in the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import aiohttp
import pytest

from tests.system.clients import Seen
from tests.system.cluster import Cluster
from tests.system.process import Process, until

# Tries are not bounded here: each kill costs one, and so do versions kept.
_LASTING = {
    "FIT_ATTEMPTS": "100000",
    "KEEP_VERSIONS": "100000",
    "KEEP_FITS": "100000",
    "CLAIM_TTL_S": "1",
    "FORECAST_WAIT_S": "2",
}
_LONGEST_S = 0.8  # from the first acceptance to the kill; a fit takes about a quarter of it
_FITS = 4  # of one life, so that those left over do not pile up

Layout = Callable[[Cluster], Sequence[Process]]


def _one_process(cluster: Cluster) -> Sequence[Process]:
    return [cluster.everything()]


def _separate_processes(cluster: Cluster) -> Sequence[Process]:
    return [cluster.broker(), cluster.worker(), cluster.fitter()]


class Client:
    """Asks for one fit after the other, and for forecasts, through whatever dies under it.

    Attributes:
        accepted: fits that were acknowledged, by the key they were asked with.
        asked: all keys, acknowledged or not.
        seen: the forecasts.
    """

    def __init__(self, cluster: Cluster, broker: Process) -> None:
        self._cluster = cluster
        self._broker = broker  # by name: dead or alive, it is the one to ask
        self._last = 0
        self.accepted: dict[str, str] = {}
        self.asked: list[str] = []
        self.seen = Seen()

    async def work(self) -> None:
        """Ask for some fits, and for forecasts until cut off."""
        for _ in range(_FITS):
            key = f"fit {len(self.asked)}"
            self.asked.append(key)
            await self.ask(key)
            await self._forecast()
        while True:
            await self._forecast()

    async def ask(self, key: str) -> None:
        """Ask for the fit of a key; asking twice must make no second one."""
        level = float(key.split()[1])
        reply = await self._cluster.fit(level, wait=False, key=key, broker=self._broker)
        assert reply.status == 202, str(reply)
        known = self.accepted.setdefault(key, reply.json["fit"])
        assert known == reply.json["fit"], f"{key!r} became two fits"

    async def _forecast(self) -> None:
        reply = await self._cluster.forecast(4, broker=self._broker)
        if reply.status != 200:
            # Before the first version, or while the worker is still starting.
            assert reply.status in (404, 503), str(reply)
            return
        assert reply.version >= self._last, f"version {reply.version} after {self._last}"
        self._last = reply.version
        self.seen.note(reply.version, 4, reply.body)


async def _kill_again_and_again(cluster: Cluster, layout: Layout, rounds: int) -> None:
    chance = random.Random(rounds)
    processes = layout(cluster)
    client = Client(cluster, processes[0])
    for _ in range(rounds):
        await cluster.answers()
        before = len(client.accepted)
        working = asyncio.create_task(client.work())

        async def accepted(before: int = before, working: asyncio.Task[None] = working) -> bool:
            return len(client.accepted) > before or working.done()

        await until(accepted, "a fit is accepted")
        # The moment is what this test draws; nothing waits for it.
        await asyncio.wait({working}, timeout=chance.uniform(0, _LONGEST_S))
        for process in processes:
            process.kill()
        with contextlib.suppress(aiohttp.ClientError):
            await working
        for process in processes:
            process.start()
    await cluster.ready()
    await _check(cluster, client)


async def _work_off(cluster: Cluster) -> None:
    """Return once no fit is under way; each time, some fit has to end before the deadline."""
    left: int | None = None
    while left != 0:

        async def fewer(before: int | None = left) -> list[int]:
            now = 0
            for state in ("QUEUED", "RUNNING", "STORED"):
                listed = await cluster.call("GET", f"/api/fits?state={state}&limit=1000")
                now += len(listed.json["fits"])
            return [now] if before is None or now < before else []

        [left] = await until(fewer, f"fewer than {left} fits are under way", poll_s=0.2)


async def _check(cluster: Cluster, client: Client) -> None:
    for key in client.asked:
        await client.ask(key)  # the same fit, also where its acknowledgement was lost
    await _work_off(cluster)
    ended = [await cluster.told(fit) for fit in client.accepted.values()]
    assert {fit["state"] for fit in ended} <= {"SERVED", "SUPERSEDED", "PUBLISHED"}, ended
    versions = await cluster.versions()
    numbers = [version["version"] for version in versions]
    assert numbers == sorted(set(numbers))
    assert sorted(v["fit"] for v in versions) == sorted(f["fit"] for f in ended)
    published = [v for v in versions if v["state"] == "PUBLISHED"]
    accepted = {fit["fit"]: fit["accepted_at"] for fit in ended}
    moments = [accepted[version["fit"]] for version in published]
    assert moments == sorted(moments), "an earlier request took the place of a later one"
    assert (await cluster.model())["version"] == published[-1]["version"]
    assert client.seen.wrong == []
    for (version, steps), body in client.seen.bodies.items():
        again = await cluster.forecast(steps, query=f"?version={version}")
        assert (again.status, again.body) == (200, body), f"version {version}: {again}"
    assert await cluster.version(-1.0) == numbers[-1] + 1


@pytest.mark.parametrize("layout", [_one_process, _separate_processes], ids=lambda f: f.__name__)
async def test_nothing_acknowledged_is_lost_when_all_is_killed_5_times(
    tmp_path: Path, layout: Layout
) -> None:
    async with Cluster(tmp_path, _LASTING) as cluster:
        await _kill_again_and_again(cluster, layout, 5)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("layout", [_one_process, _separate_processes], ids=lambda f: f.__name__)
async def test_nothing_acknowledged_is_lost_when_all_is_killed_200_times(
    tmp_path: Path, layout: Layout
) -> None:
    async with Cluster(tmp_path, _LASTING) as cluster:
        await _kill_again_and_again(cluster, layout, 200)
