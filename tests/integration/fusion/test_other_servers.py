"""A fusion project over cells on other servers, which go away, come back, and ask back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.integration.fusion.servers import (
    ALWAYS,
    NAMES,
    asked,
    built,
    cell,
    coefficients,
    customer,
    explored,
    fetch_error,
    fuse,
    info,
    learn,
    sealed,
    server,
    statuses,
    third,
)
from tests.integration.symetry.customer import Customer
from tests.system.broker.service import Service

QUICK = {**ALWAYS, "sml.fusion.fetch.timeout.ms": "3000", "sml.fusion.fetch.connect.ms": "500"}


class Sites:
    """Three servers, each with a third of the rows in its project `rows`."""

    def __init__(self, services: list[Service], owners: list[Customer]) -> None:
        self.services = services
        self.owners = owners

    @property
    def center(self) -> Customer:
        return self.owners[0]

    def cells(self, *numbers: int, pid: str = "rows") -> list[dict[str, str]]:
        """Return the cells of some of the sites, as seen from elsewhere."""
        return [self.cell(number, pid) for number in numbers]

    def cell(self, number: int, pid: str = "rows") -> dict[str, str]:
        return cell(self.owners[number], pid, host=self.services[number].url)


@pytest.fixture
async def sites(tmp_path: Path) -> AsyncIterator[Sites]:
    async with AsyncExitStack() as opened:
        services, owners = [], []
        for number in range(3):
            service = await opened.enter_async_context(server(tmp_path / f"site{number}", QUICK))
            owner = await customer(service, f"site{number}")
            await learn(owner, "rows", third(number))
            services.append(service)
            owners.append(owner)
        yield Sites(services, owners)


async def stop(service: Service) -> int:
    """Stop a server; return its port."""
    port = urlsplit(service.url).port
    assert port is not None
    await service.stop("broker")
    return port


async def start(service: Service, port: int) -> None:
    await service.broker(port=port)
    await service.until(service.ready)


async def test_three_servers_give_the_model_of_all_their_rows(sites: Sites) -> None:
    told = await fuse(sites.center, "all", *sites.cells(0, 1, 2))
    assert told.status == 201, told.body
    assert (await explored(sites.center, "all"))["count"] == 150
    await learn(sites.center, "whole", third(0))
    for number in (1, 2):
        assert (await sites.center.post("projects/whole/learn", third(number))).status == 200
    target, *inputs = NAMES
    fused = await built(sites.center, "all", "m", "mlr", target, *inputs)
    whole = await built(sites.center, "whole", "m", "mlr", target, *inputs)
    assert coefficients(fused) == pytest.approx(coefficients(whole), rel=1e-9)
    cells = json.loads(fused["info"]["fusion_cells"])
    assert [one["host"] for one in cells] == [one.url for one in sites.services]


async def test_a_cell_that_stops_keeps_its_rows_in_the_sum(sites: Sites) -> None:
    assert (await fuse(sites.center, "all", *sites.cells(0, 1, 2))).status == 201
    port = await stop(sites.services[2])
    assert (await explored(sites.center, "all"))["count"] == 150
    name = f"cell[{sites.services[2].url} site2/rows]"
    assert (await fetch_error(sites.center, "all")).startswith(f"{name} UNREACHABLE")
    last = (await statuses(sites.center, "all"))[2]
    assert last.status.startswith("UNREACHABLE")
    assert last.rows == 50  # of what we have of it
    await start(sites.services[2], port)
    one = {**third(0), "data": third(0)["data"][:1]}
    assert (await sites.owners[2].post("projects/rows/learn", one)).status == 200
    assert (await explored(sites.center, "all"))["count"] == 151
    assert await fetch_error(sites.center, "all") == ""


async def test_cells_that_were_never_reached_do_not_count_and_are_named(sites: Sites) -> None:
    port = await stop(sites.services[2])
    assert (await fuse(sites.center, "some", *sites.cells(1, 2))).status == 201
    assert (await explored(sites.center, "some"))["count"] == 50
    assert (await fuse(sites.center, "none", *sites.cells(2))).status == 201
    told = await asked(sites.center, "none")
    assert told.status == 400
    assert told.text.startswith("Fusion project [none] has no data: cell[http")
    assert "UNREACHABLE" in told.text
    assert (await info(sites.center, "none"))["attributeNames"] == []
    await start(sites.services[2], port)
    assert (await explored(sites.center, "none"))["count"] == 50
    assert (await explored(sites.center, "some"))["count"] == 100


async def test_what_was_fetched_survives_a_restart_without_the_cells(sites: Sites) -> None:
    center = sites.services[0]
    assert (await fuse(sites.center, "kept", *sites.cells(1, 2))).status == 201
    await stop(sites.services[1])
    await stop(sites.services[2])
    await center.stop("worker")
    await center.stop("fit")
    await center.workers(options_file=center.folder / "options.properties")
    assert (await explored(sites.center, "kept"))["count"] == 100
    assert (await fetch_error(sites.center, "kept")).count("UNREACHABLE") == 2


async def test_a_cell_that_restarts_with_fewer_rows_counts_those(sites: Sites) -> None:
    site = sites.owners[1]
    assert (await site.create("shaky", sml_project_autosave="false")).status == 201
    few = {**third(1), "data": third(1)["data"][:20]}
    assert (await site.post("projects/shaky/learn", few)).status == 200
    assert (await site.get("projects/shaky/save")).status == 200
    assert (await site.post("projects/shaky/learn", third(2))).status == 200
    assert (await fuse(sites.center, "back", sites.cell(1, "shaky"))).status == 201
    assert (await explored(sites.center, "back"))["count"] == 70
    service = sites.services[1]
    await service.stop("worker")
    await service.stop("fit")
    await service.workers()
    assert (await explored(sites.center, "back"))["count"] == 20


async def test_servers_that_only_ask_each_other_find_the_circle(sites: Sites) -> None:
    left, right = sites.owners[0], sites.owners[1]
    assert (await fuse(left, "left", sites.cell(1, "right"))).status == 201
    assert (await fuse(right, "right", sites.cell(0, "left"))).status == 201
    for owner, pid in ((left, "left"), (right, "right")):
        told = await asked(owner, pid)
        assert told.status == 400
        assert told.text.startswith(f"Fusion project [{pid}] has no data: cell[http")
        assert told.text.endswith(" CYCLE")


async def test_what_comes_back_through_a_circle_does_not_count(sites: Sites) -> None:
    left, right = sites.owners[0], sites.owners[1]
    assert (await fuse(left, "left", sites.cell(1, "right"), sites.cell(0))).status == 201
    assert (await fuse(right, "right", sites.cell(0, "left"), sites.cell(1))).status == 201
    one = {**third(2), "data": third(2)["data"][:1]}
    for rows in range(51, 54):
        assert (await left.post("projects/rows/learn", one)).status == 200
        # Each has its own rows and, where the other did not just turn us away, the other's.
        assert (await explored(left, "left"))["count"] in (rows, rows + 50)
        assert (await explored(right, "right"))["count"] in (50, rows + 50)


async def test_a_chain_of_servers_is_fetched_through_and_its_length_is_bounded(
    sites: Sites,
) -> None:
    assert (await fuse(sites.owners[2], "end", sites.cell(2))).status == 201
    assert (
        await fuse(sites.owners[1], "middle", sites.cell(2, "end"), sites.cell(1))
    ).status == 201
    assert (await fuse(sites.center, "front", sites.cell(1, "middle"), sites.cell(0))).status == 201
    assert (await explored(sites.center, "front"))["count"] == 150
    path = ",".join(f"server{n}/c/p{n}" for n in range(8))
    told = await sites.center.call(
        "GET", "projects/front/cellStatistics", headers={"sml-fusion-path": path}
    )
    assert (told.status, told.text.split(":")[0]) == (409, "DEPTH_LIMIT")


async def test_a_key_that_was_changed_is_unauthorized_until_it_is_told(sites: Sites) -> None:
    assert (await fuse(sites.center, "all", *sites.cells(0, 1))).status == 201
    wrong = [cell(sites.center, "rows", host=sites.services[1].url), *sites.cells(0)]
    told = await fuse(sites.center, "wrong", *wrong)
    assert told.status == 201, told.body
    assert (await explored(sites.center, "wrong"))["count"] == 50
    assert "UNAUTHORIZED" in await fetch_error(sites.center, "wrong")
    right = sealed(sites.center, sites.cells(0, 1))
    assert (await sites.center.post("projects/fusion/wrong/updateCellsInfo", right)).status == 200
    assert (await explored(sites.center, "wrong"))["count"] == 100


async def test_cells_at_home_on_several_workers_are_asked_by_the_one_that_has_the_fusion(
    tmp_path: Path,
) -> None:
    async with server(tmp_path, QUICK) as service:
        file = tmp_path / "options.properties"
        for _ in range(2):
            await service.another_worker(options_file=file, lease_ttl_s=2.0)
        ann = await customer(service, "ann")
        one = {**third(0), "data": third(0)["data"][:1]}
        pids = [f"part{number}" for number in range(12)]
        for pid in pids:
            await learn(ann, pid, one)
        assert (await fuse(ann, "all", *(cell(ann, pid) for pid in pids))).status == 201
        assert (await explored(ann, "all"))["count"] == 12
        assert (await ann.post("projects/part3/learn", one)).status == 200
        assert (await explored(ann, "all"))["count"] == 13
