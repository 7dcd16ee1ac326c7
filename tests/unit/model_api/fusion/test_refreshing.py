from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from model_api.fusion.limits import FusionLimits
from model_api.fusion.state import Fused
from model_api.fusion.told import last_error
from model_api.fusion.trail import Trail
from model_api.projects.changes import Freeze
from tally.clock import ManualClock
from tally.engine import project_draft
from tally.errors import StoreUnavailable
from tally.ids import NodeId
from tally.projects.errors import NotHome
from tally.projects.records import project_partition
from tally.wire.status import Refused
from tests.unit.model_api.fusion.cells import Fusion
from tests.unit.model_api.projects.acts import Nodes, Troubled, create, feed, rows, until, worker

LIMITS = FusionLimits(fetch_s=5.0)
GRADED = b'{"attributeNames":["grade","x"],"attributeTypes":["S","C"],"data":[["%s","1"]]}'


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Troubled]:
    opened = Troubled(tmp_path / "store.db")
    yield opened
    await opened.close()


@pytest.fixture
def nodes() -> Nodes:
    return Nodes()


@pytest.fixture
async def fusion(store: Troubled, clock: ManualClock, nodes: Nodes) -> AsyncIterator[Fusion]:
    """Give a fusion of two cells of 50 and 100 rows."""
    async with worker(store, clock, nodes) as homes:
        made = Fusion(homes, clock, LIMITS)
        await made.learn("a", 50)
        await made.learn("b", 100)
        await made.fuse(["a", "b"])
        yield made


async def test_cells_are_fetched_once_in_fifteen_seconds(
    fusion: Fusion, clock: ManualClock
) -> None:
    assert await fusion.count() == 150
    await fusion.learn("a")
    await clock.advance(14.9)
    assert await fusion.count() == 150
    assert sorted(fusion.asked) == ["a", "b"]
    await clock.advance(1.1)
    assert await fusion.count() == 151
    assert sorted(fusion.asked) == ["a", "a", "b", "b"]
    assert await fusion.states() == {"a": "OK", "b": "NOT_MODIFIED"}


async def test_all_who_ask_meanwhile_wait_for_the_refresh_under_way(fusion: Fusion) -> None:
    fusion.gate.clear()
    asking = [asyncio.create_task(fusion.count()) for _ in range(20)]
    await until(lambda: len(fusion.asked) == 2, "the cells are asked")
    await asyncio.sleep(0.01)
    fusion.gate.set()
    assert await asyncio.gather(*asking) == [150] * 20
    assert sorted(fusion.asked) == ["a", "b"]


async def test_a_refresh_goes_on_when_whoever_began_it_goes_away(fusion: Fusion) -> None:
    fusion.gate.clear()
    first = asyncio.create_task(fusion.count())
    await until(lambda: len(fusion.asked) == 2, "the cells are asked")
    second = asyncio.create_task(fusion.count())
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    fusion.gate.set()
    assert await second == 150
    assert sorted(fusion.asked) == ["a", "b"]


async def test_a_failed_attempt_also_postpones_the_next(fusion: Fusion, clock: ManualClock) -> None:
    fusion.gone = {"a", "b"}
    assert await fusion.count() == 0
    fusion.gone = set()
    assert await fusion.count() == 0
    await clock.advance(15)
    assert await fusion.count() == 150


async def test_a_cell_that_is_gone_keeps_what_it_gave(fusion: Fusion, clock: ManualClock) -> None:
    assert await fusion.count() == 150
    fusion.gone = {"b"}
    await fusion.learn("a")
    await clock.advance(15)
    assert await fusion.count() == 151
    assert await fusion.states() == {"a": "OK", "b": "UNREACHABLE: no connection"}


async def test_a_frozen_fusion_asks_nobody(fusion: Fusion, clock: ManualClock) -> None:
    assert await fusion.count() == 150
    await fusion.homes.change(fusion.project, Freeze(True), "")
    await fusion.learn("a")
    await clock.advance(100)
    assert await fusion.count() == 150
    assert len(fusion.asked) == 2


async def test_a_fusion_that_is_frozen_while_it_fetches_stays_as_it_is(fusion: Fusion) -> None:
    fusion.gate.clear()
    fetching = asyncio.create_task(fusion.count())
    await until(lambda: len(fusion.asked) == 2, "the cells are asked")
    await fusion.homes.change(fusion.project, Freeze(True), "")
    fusion.gate.set()
    assert await fetching == 0


async def test_nothing_is_written_while_nothing_has_changed(
    fusion: Fusion, clock: ManualClock, store: Troubled
) -> None:
    assert await fusion.count() == 150
    before = len(store.commits)
    for _ in range(3):
        await clock.advance(15)
        assert await fusion.count() == 150
    assert len(store.commits) == before


async def test_cells_that_left_the_list_meanwhile_do_not_count(fusion: Fusion) -> None:
    fusion.gate.clear()
    asking = asyncio.create_task(fusion.count())
    await until(lambda: len(fusion.asked) == 2, "the cells are asked")
    await fusion.set(["b"])
    fusion.gate.set()
    assert await asking == 100


async def test_cells_that_came_into_the_list_meanwhile_are_asked_next(fusion: Fusion) -> None:
    await fusion.learn("c", 7)
    fusion.gate.clear()
    asking = asyncio.create_task(fusion.count())
    await until(lambda: len(fusion.asked) == 2, "the cells are asked")
    await fusion.set(["a", "b", "c"])
    fusion.gate.set()
    assert await asking == 150
    assert await fusion.count() == 157


async def test_a_cell_that_stays_in_the_list_keeps_its_snapshot(fusion: Fusion) -> None:
    assert await fusion.count() == 150
    fusion.gone = {"a", "b"}
    await fusion.set(["b", "c"])
    assert await fusion.count() == 100


async def test_the_next_home_has_the_snapshots_of_the_last_one(
    store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    async with worker(store, clock, nodes) as homes:
        first = Fusion(homes, clock, LIMITS)
        await first.learn("a", 50)
        await first.fuse(["a"])
        assert await first.count() == 50
    async with worker(store, clock, nodes, "b_2") as homes:
        second = Fusion(homes, clock, LIMITS)
        second.project, second.cells, second.gone = first.project, first.cells, {"a"}
        assert await second.count() == 50


async def test_a_home_that_was_taken_over_while_it_fetched_changes_nothing(
    store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    async with worker(store, clock, nodes) as homes, worker(store, clock, nodes, "b_2") as others:
        old, new = Fusion(homes, clock, LIMITS), Fusion(others, clock, LIMITS)
        await old.learn("a", 50)
        await old.fuse(["a"])
        old.gate.clear()
        asking = asyncio.create_task(old.count())
        await until(lambda: old.asked == ["a"], "the cell is asked")
        nodes.alive.discard(NodeId("a_1"))
        new.project, new.cells, new.gone = old.project, old.cells, {"a"}
        assert await new.count() == 0
        old.gate.set()
        with pytest.raises(NotHome):
            await asking
        assert (await new.home()).project.row_count == 0


async def test_a_store_that_is_away_leaves_the_old_sum(
    fusion: Fusion, clock: ManualClock, store: Troubled
) -> None:
    assert await fusion.count() == 150
    await fusion.learn("a")
    await clock.advance(15)
    store.troubles = ["away"]
    with pytest.raises(StoreUnavailable):
        await fusion.count()
    assert await fusion.count() == 150  # not asked again at once
    await clock.advance(15)
    assert await fusion.count() == 151


async def test_what_is_not_persisted_is_in_no_row(fusion: Fusion, store: Troubled) -> None:
    other = Fusion(fusion.homes, fusion.homes.clock, LIMITS)
    other.cells = fusion.cells
    other.project = await fusion.homes.projects.create(
        "c1", "memory", (await fusion.home()).head.options, persisted=False
    )
    await other.set(["a", "b"])
    assert await other.count() == 150
    found = await store.scan(project_partition(other.project))
    assert [row.key for row in found] == ["head"]


async def test_a_large_snapshot_stands_in_a_blob(fusion: Fusion) -> None:
    names = [f"x{n}" for n in range(200)]
    fusion.cells["wide"] = await create(fusion.homes, "wide")
    await fusion.homes.change(fusion.cells["wide"], rows(*names, count=9), "")
    await fusion.set(["wide"])
    assert await fusion.count() == 9
    home = await fusion.home()
    assert home.head.blob is not None
    data = await fusion.homes.projects.store.get_blob(home.head.blob.blob())
    assert Fused.decode(data).project.row_count == 9


async def test_a_project_on_its_own_path_is_a_circle(fusion: Fusion) -> None:
    home = await fusion.home()
    trail = Trail(("other/c/x", "server/c1/sum", "other/c/y"))
    with pytest.raises(Refused) as refused:
        await fusion.refresher.refresh_if_stale(home, trail)
    circle = "server/c1/sum -> other/c/y -> server/c1/sum"
    assert refused.value.text == f"Fusion cycle detected: {circle}"
    assert refused.value.status.http == 409
    assert fusion.asked == []


async def test_a_cell_that_gives_our_own_rows_back_does_not_count_any_more(
    fusion: Fusion, clock: ManualClock
) -> None:
    await fusion.learn("mirror", 7)
    await fusion.set(["a", "mirror"])
    assert await fusion.count() == 57
    fusion.cells["mirror"] = fusion.project
    await clock.advance(15)
    assert await fusion.count() == 50
    assert (await fusion.states())["mirror"].startswith("CYCLE")


async def test_whoever_asks_through_another_is_answered_before_that_ones_time_is_up(
    fusion: Fusion,
) -> None:
    assert await fusion.count() == 150
    (await fusion.home()).seen.stale()
    fusion.gate.clear()
    trail = Trail(("other/c/x",), left_s=0.05)
    await fusion.refresher.refresh_if_stale(await fusion.home(), trail)
    assert (await fusion.home()).project.row_count == 150


@pytest.mark.parametrize(("left_s", "waited_s"), [(3.0, 2.75), (0.3, 2.5), (60.0, 5.0)])
async def test_whoever_waits_for_us_shortens_our_own_waiting_to_half_at_most(
    fusion: Fusion, left_s: float, waited_s: float
) -> None:
    trail = Trail(("other/c/x",), left_s)
    await fusion.refresher.refresh_if_stale(await fusion.home(), trail)
    assert fusion.left_s == waited_s


async def test_a_cell_that_is_late_is_given_up(
    store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    async with worker(store, clock, nodes) as homes:
        fusion = Fusion(homes, clock, FusionLimits(fetch_s=0.05))
        await fusion.learn("a", 50)
        await fusion.fuse(["a"])
        fusion.gate.clear()
        assert await fusion.count() == 0
        assert await fusion.states() == {"a": "TIMEOUT: no answer within 50 ms"}


async def test_cells_beyond_memory_are_left_out_and_named(
    store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    async with worker(store, clock, nodes) as homes:
        one = Fusion(homes, clock, LIMITS)
        await one.learn("a", 50)
        await one.learn("b", 100)
        await one.fuse(["a"])
        assert await one.count() == 50
        fused = (await one.home()).fused
        assert fused is not None
        limits = homes.limits
        homes.limits = replace(limits, memory_bytes=fused.size_bytes + 100)
        small = Fusion(homes, clock, LIMITS)
        homes.limits = limits  # the worker itself has room
        small.project, small.cells = one.project, one.cells
        await small.set(["a", "b"])
        assert await small.count() == 50
        told = await small.states()
        assert told["b"] == "ERROR: with it the project would not fit into memory"
        await small.set(["b"])
        assert await small.count() == 100


async def test_a_cell_that_does_not_fit_in_is_left_out_and_named(
    fusion: Fusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    for pid in ("first", "second"):
        options = {"partitionSplit": "grade"}
        fusion.cells[pid] = await create(fusion.homes, pid, options, kind="partition")
        await fusion.homes.change(fusion.cells[pid], feed(GRADED % pid.encode()), "")
    monkeypatch.setattr(project_draft, "MAX_PARTITIONS", 1)
    await fusion.set(["first", "second"])
    assert await fusion.count() == 1
    error = last_error(await fusion.home())  # which of the two comes first, their ids decide
    assert re.fullmatch(r"cell\[local c1/(first|second)\] ERROR: .*partition.*", error)
