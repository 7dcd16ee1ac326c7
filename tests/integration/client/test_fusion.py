"""Fusion projects through the client: two doctors on two servers, and a study over both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tally.client import (
    AsyncTally,
    Cell,
    FusionCycle,
    FusionEmpty,
    NameTaken,
    NotFusion,
    NotOnFusion,
    Tally,
    UnknownProject,
)
from tally.errors import InvalidInput
from tally.wire.secret_key import SecretKey
from tests.integration.fusion.servers import ALWAYS, server
from tests.integration.symetry.conftest import customer
from tests.system.broker.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUICK = {**ALWAYS, "sml.fusion.fetch.timeout.ms": "3000", "sml.fusion.fetch.connect.ms": "500"}
NORTH = {"age": [30, 40, 50, 60], "pressure": [95, 101, 104, 111]}
SOUTH = {"age": [35, 45, 55], "pressure": [98, 102, 109]}


@dataclass(frozen=True)
class Sites:
    """Two servers, each with a customer whose project `patients` has rows; both are ours."""

    services: tuple[Service, Service]
    north: AsyncTally
    south: AsyncTally


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sites(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sites]:
    async with AsyncExitStack() as opened:
        services, tallies = [], []
        for name, rows in (("north", NORTH), ("south", SOUTH)):
            folder: Path = tmp_path_factory.mktemp(name)
            service = await opened.enter_async_context(server(folder, QUICK))
            key = (await customer(service, name)).key
            tally = await opened.enter_async_context(AsyncTally(name, key, service.url))
            await (await tally.create("patients")).learn(rows)
            services.append(service)
            tallies.append(tally)
        yield Sites((services[0], services[1]), *tallies)


def south(sites: Sites, pid: str = "patients") -> Cell:
    """Return a cell on the other server, as somebody writes it who has only its key."""
    account = sites.south.account
    return Cell(account.url, account.cid, pid, account.key)


async def test_a_study_over_two_servers_counts_all_rows(sites: Sites) -> None:
    study = await sites.north.create_fusion(
        "study", [sites.north.project("patients"), south(sites)]
    )
    assert (await study.describe("age"))["age"].count == 7
    info = await study.info()
    assert (info.type, info.names) == ("fusion", ("age", "pressure"))
    assert [(one.name, one.rows, one.counts) for one in info.cells] == [
        ("north/patients", 4, True),
        (f"{sites.services[1].url}/south/patients", 3, True),
    ]
    model = await study.build("m", "mlr", targets="pressure", inputs=["age"])
    assert [one.rows for one in model.cells] == [4, 3]
    assert len((await sites.north.project("patients").info()).cells) == 0


async def test_cells_are_tried_before_there_is_a_project(sites: Sites) -> None:
    strange = Cell("", "south", "patients", SecretKey.generate())
    told = await sites.north.cells_status(
        [sites.south.project("patients"), south(sites, "nothing"), strange]
    )
    assert [one.state for one in told] == ["OK", "NO_SUCH_PROJECT", "UNAUTHORIZED"]
    assert told.missing == told.cells[1:]
    assert told.rows == 3
    assert "tried" not in await sites.north.projects()


async def test_the_list_of_cells_is_read_changed_and_set(sites: Sites) -> None:
    study = await sites.north.create_fusion("growing", [sites.north.project("patients")])
    (mine,) = await study.cells()
    assert (mine.cid, mine.pid, mine.key) == ("north", "patients", sites.north.account.key)
    await study.update_cells([mine, south(sites)])
    assert (await study.describe("age"))["age"].count == 7
    await study.update_cells((await study.cells())[1:])
    assert (await study.describe("age"))["age"].count == 3
    same = await sites.north.create_fusion("growing", [mine], exist_ok=True)
    assert (await same.describe("age"))["age"].count == 4
    with pytest.raises(NameTaken):
        await sites.north.create_fusion("growing", [mine])


async def test_a_cell_whose_rows_came_already_is_told_as_that(sites: Sites) -> None:
    inner = await sites.north.create_fusion("inner", [sites.north.project("patients")])
    both = await sites.north.create_fusion("both", [sites.north.project("patients"), inner])
    assert (await both.describe("age"))["age"].count == 4
    told = await both.cells_status()
    assert [one.state for one in told] == ["NOT_MODIFIED", "DUPLICATE_SOURCE"]
    assert (told.rows, told.cells[1].counts) == (4, False)
    assert told.cells[0].age_s == 0  # it has just said that this is its newest
    assert told.cells[1].words.endswith("; none of its rows count")


async def test_refusals_are_told_apart(sites: Sites) -> None:
    north, patients = sites.north, sites.north.project("patients")
    with pytest.raises(NotFusion):
        await patients.cells()
    with pytest.raises(NotFusion):
        await patients.cells_status()
    with pytest.raises(NotFusion):
        await patients.update_cells([patients])
    with pytest.raises(NotFusion):  # before the cells of another kind of project are touched
        await north.create_fusion("patients", [south(sites)], exist_ok=True)
    with pytest.raises(UnknownProject):
        await north.project("nothing").cells_status()
    with pytest.raises(FusionCycle, match="north/circle -> north/circle"):
        await north.create_fusion("circle", [north.project("circle")])
    empty = await north.create_fusion("empty", [south(sites, "nothing")])
    with pytest.raises(FusionEmpty, match="NO_SUCH_PROJECT"):
        await empty.describe("age")
    with pytest.raises(NotOnFusion, match=r"\[learn\]"):
        await empty.learn(NORTH)


async def test_what_cannot_be_a_list_of_cells_is_not_sent(sites: Sites) -> None:
    patients = sites.north.project("patients")
    with pytest.raises(InvalidInput, match="at least one"):
        await sites.north.cells_status([])
    with pytest.raises(InvalidInput, match="twice"):
        await sites.north.create_fusion("twice", [south(sites), south(sites)])
    with pytest.raises(InvalidInput, match="twice"):
        await patients.update_cells([south(sites), sites.south.project("patients")])


async def test_scripts_without_a_loop_do_the_same(sites: Sites) -> None:
    def script() -> None:
        ours, theirs = sites.north.account, sites.south.account
        with (
            Tally(ours.cid, ours.key, ours.url) as tally,
            Tally(theirs.cid, theirs.key, theirs.url) as other,
        ):
            cells = [tally.project("patients"), other.project("patients")]
            assert not tally.cells_status(cells).missing
            study = tally.create_fusion("script", cells)
            assert study.describe("age")["age"].count == 7
            study.update_cells(study.cells()[:1])
            assert study.cells_status().rows == 4
            assert [one.state for one in study.cells_status([south(sites)])] == ["OK"]

    await asyncio.to_thread(script)


async def test_a_site_that_is_away_is_named_and_its_rows_count(sites: Sites) -> None:
    study = await sites.north.create_fusion(
        "outage", [sites.north.project("patients"), south(sites)]
    )
    assert not (await study.cells_status()).missing
    await sites.services[1].stop("broker")
    assert (await study.describe("age"))["age"].count == 7
    told = await study.cells_status()
    assert [one.state for one in told] == ["NOT_MODIFIED", "UNREACHABLE"]
    assert told.rows == 7
    assert "south/patients cannot be reached" in str(told)
    assert "; its 3 rows of 0 s ago count" in str(told)
    assert (await study.info()).cells.missing[0].cid == "south"
