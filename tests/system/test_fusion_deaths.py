"""Three servers, each a process of its own, and one fusion over them: killed, stopped, started."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from tests.integration.fusion.servers import (
    NAMES,
    asked,
    built,
    cell,
    coefficients,
    explored,
    fetch_error,
    fuse,
    learn,
    statuses,
    third,
)
from tests.integration.symetry.customer import Customer
from tests.system.cluster import Cluster
from tests.system.process import Process
from tests.system.projects import Customer as Registered

_OPTIONS = """
rtlm.option.sml.fusion.prefetch.min.time.ms = 0
rtlm.option.sml.fusion.fetch.timeout.ms = 1500
"""
_REFERENCE = [0.6548642427853542, 0.7110629145526262, -0.5625678605519066, 1.8450608032166143]


class Site:
    """A server with a customer who has the project `rows`."""

    def __init__(self, cluster: Cluster, process: Process, owner: Customer) -> None:
        self.cluster = cluster
        self.process = process
        self.owner = owner

    @property
    def cell(self) -> dict[str, str]:
        return cell(self.owner, "rows", host=self.owner.url)


@pytest.fixture
async def sites(tmp_path: Path) -> AsyncIterator[list[Site]]:
    options = tmp_path / "options.properties"
    options.write_text(_OPTIONS)
    async with AsyncExitStack() as opened:
        session = await opened.enter_async_context(aiohttp.ClientSession())
        made = []
        for number in range(3):
            folder = tmp_path / f"site{number}"
            folder.mkdir()
            given = Cluster(folder, {"OPTIONS_FILE": str(options)})
            cluster = await opened.enter_async_context(given)
            made.append((cluster, cluster.everything()))
        found = []
        for number, (cluster, process) in enumerate(made):
            await cluster.ready()
            key = (await Registered.made(cluster, f"site{number}")).key
            url = f"http://127.0.0.1:{process.port}"
            owner = Customer(session, url, f"site{number}", key)
            await learn(owner, "rows", third(number))
            found.append(Site(cluster, process, owner))
        yield found


async def test_a_fusion_answers_on_while_its_cells_die_and_hang_and_itself_was_killed(
    sites: list[Site],
) -> None:
    center, killed, hanging = sites[0], sites[1], sites[2]
    told = await fuse(center.owner, "all", *(site.cell for site in sites))
    assert told.status == 201, told.body
    target, *inputs = NAMES
    model = await built(center.owner, "all", "m", "mlr", target, *inputs)
    assert coefficients(model) == pytest.approx(_REFERENCE, rel=1e-9)

    killed.process.kill()
    hanging.process.pause()
    many = await asyncio.gather(*(explored(center.owner, "all") for _ in range(5)))
    assert [one["count"] for one in many] == [150] * 5
    error = await fetch_error(center.owner, "all")
    assert f"cell[{killed.owner.url} site1/rows] UNREACHABLE" in error
    assert f"cell[{hanging.owner.url} site2/rows] TIMEOUT" in error

    center.process.kill()
    center.process.start()
    await center.cluster.ready()
    assert (await explored(center.owner, "all"))["count"] == 150

    hanging.process.resume()
    killed.process.start()
    await killed.cluster.ready()
    await hanging.cluster.ready()
    one = {**third(0), "data": third(0)["data"][:1]}
    for site in (killed, hanging):
        assert (await site.owner.post("projects/rows/learn", one)).status == 200
    assert (await explored(center.owner, "all"))["count"] == 152
    assert await fetch_error(center.owner, "all") == ""
    assert {one.status for one in await statuses(center.owner, "all")} <= {"OK", "NOT_MODIFIED"}
    assert (await asked(center.owner, "all")).status == 200
