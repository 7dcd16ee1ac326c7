from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from model_api.fusion.wiring import origins
from model_api.projects.homes import Homes
from model_api.settings import WorkerSettings
from tally.clock import ManualClock
from tally.installation import installation_id
from tally.projects.cells import FUSION
from tally.store.sqlite import SqliteStore
from tests.unit.model_api.projects.acts import Nodes, create, rows, worker
from tests.unit.model_api.projects.wire import Broker, questions


@pytest.fixture
async def homes(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Homes]:
    store = SqliteStore(tmp_path / "store.db")
    async with worker(store, clock, Nodes()) as running:
        yield running
    await store.close()


@pytest.mark.parametrize("verb", ["explore", "info", "build", "fusionCreate", "fusionStatus"])
async def test_a_worker_without_the_master_key_says_so(homes: Homes, verb: str) -> None:
    fusion = await create(homes, "sum", kind=FUSION)
    told = await Broker(homes)(fusion, verb)
    assert told.status == 500
    assert "TALLY_MASTER_KEY" in told.text


async def test_without_the_master_key_other_projects_are_served(homes: Homes) -> None:
    plain = await create(homes, "plain")
    await homes.change(plain, rows("x", count=3), "")
    asked = questions({"targetAttributeNames": ["x"], "inputAttributeNames": ["x"]})
    told = await Broker(homes)(plain, "explore", asked, metric="uni")
    assert told.json["KSVDMap"]["values"][0]["count"] == 3


async def test_what_needs_rows_is_refused_also_without_the_key(homes: Homes) -> None:
    fusion = await create(homes, "sum", kind=FUSION)
    told = await Broker(homes)(fusion, "learn", {})
    assert told.text == "Operation [learn] is not available on a Fusion project"


def test_cells_at_our_own_origins_are_ours() -> None:
    settings = WorkerSettings(
        public_origin="https://Tally.example/", public_origins=" http://10.0.0.1:5000, ,"
    )
    assert origins(settings) == {"https://tally.example", "http://10.0.0.1:5000"}
    assert origins(WorkerSettings()) == frozenset()


async def test_all_parts_of_an_installation_agree_on_its_id(tmp_path: Path) -> None:
    first, second = SqliteStore(tmp_path / "store.db"), SqliteStore(tmp_path / "store.db")
    told = await asyncio.gather(*(installation_id(s) for s in (first, second, first, second)))
    assert len(set(told)) == 1
    other = SqliteStore(tmp_path / "other.db")
    assert await installation_id(other) != told[0]
    for store in (first, second, other):
        await store.close()
