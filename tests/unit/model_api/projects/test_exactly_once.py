"""One batch id counts once, whatever is repeated, lost or taken over in between."""

from __future__ import annotations

import asyncio

import pytest

from model_api.projects.changes import Freeze, Save, Unload
from model_api.projects.homes import Homes
from tally.clock import ManualClock
from tally.errors import IdempotencyMismatch, OutcomeUnknown, StoreUnavailable
from tally.projects import held
from tally.projects.errors import NotHome
from tally.wire.status import Refused
from tests.unit.model_api.projects.acts import (
    Nodes,
    Troubled,
    asked,
    bad,
    being_written,
    create,
    rows,
    until,
    worker,
)


async def test_the_same_change_again_is_acknowledged_and_not_counted_again(homes: Homes) -> None:
    project = await create(homes)
    for _ in range(3):
        await homes.change(project, rows("b"), "1")
    assert await asked(homes, project) == {"b": 1}


async def test_another_change_with_the_same_id_is_refused(homes: Homes) -> None:
    project = await create(homes)
    await homes.change(project, rows("b"), "1")
    for other in (rows("c"), rows("b", op="forget")):
        with pytest.raises(IdempotencyMismatch, match="'1'"):
            await homes.change(project, other, "1")
    assert await asked(homes, project) == {"b": 1}


async def test_without_an_id_every_change_counts(homes: Homes) -> None:
    project = await create(homes)
    for _ in range(2):
        await homes.change(project, rows("b"), "")
    assert await asked(homes, project) == {"b": 2}


async def test_a_refused_change_may_be_asked_for_again_under_its_id(homes: Homes) -> None:
    project = await create(homes)
    with pytest.raises(Refused):
        await homes.change(project, rows("b", op="forget"), "1")
    await homes.change(project, rows("b"), "2")
    await homes.change(project, rows("b", op="forget"), "1")
    assert await asked(homes, project) == {}


async def test_twins_in_one_group_count_once_and_both_are_told(
    homes: Homes, store: Troubled
) -> None:
    project = await create(homes)
    await homes.ask(project)
    first = await being_written(store, homes.change(project, rows("first"), "first"))
    changes = [rows("b"), rows("b"), bad(), bad(), rows("c")]
    ids = ["1", "1", "2", "2", "1"]
    tasks = [
        asyncio.create_task(homes.change(project, change, id_))
        for change, id_ in zip(changes, ids, strict=True)
    ]
    [home] = homes.loaded
    await until(lambda: home.waiting == 5, "they wait")
    store.gate.set()
    await first
    told = await asyncio.gather(*tasks, return_exceptions=True)
    kinds = [type(None), type(None), Refused, Refused, IdempotencyMismatch]
    assert [type(one) for one in told] == kinds
    assert await asked(homes, project) == {"first": 1, "b": 1}


@pytest.mark.parametrize("trouble", ["unheard", "unsaid"])
async def test_a_commit_of_unknown_outcome_is_decided_before_it_is_acknowledged(
    homes: Homes, store: Troubled, trouble: str
) -> None:
    project = await create(homes)
    await homes.change(project, rows("a"), "1")
    store.troubles = [trouble]
    await homes.change(project, rows("b"), "2")
    assert await asked(homes, project) == {"a": 1, "b": 1}
    await homes.change(project, rows("c"), "3")
    assert await asked(homes, project) == {"a": 1, "b": 1, "c": 1}


@pytest.mark.parametrize("done", [True, False])
async def test_one_that_stays_unknown_is_not_acknowledged_and_counts_once_when_asked_again(
    homes: Homes, store: Troubled, done: bool
) -> None:
    project = await create(homes)
    await homes.change(project, rows("a"), "1")
    store.troubles = ["unheard" if done else "unsaid", *["unsaid"] * (held._ROUNDS - 1)]
    with pytest.raises(OutcomeUnknown):
        await homes.change(project, rows("b"), "2")
    store.troubles = []
    # Memory follows what the store has decided, also before anybody asks again.
    assert await asked(homes, project) == {"a": 1} | ({"b": 1} if done else {})
    await homes.change(project, rows("b"), "2")
    assert await asked(homes, project) == {"a": 1, "b": 1}


@pytest.mark.parametrize("done", [True, False])
async def test_a_save_whose_outcome_stays_unknown_loses_nothing_that_is_in_memory_only(
    homes: Homes, store: Troubled, done: bool
) -> None:
    project = await create(homes, params={"sml_project_autosave": "false"})
    await homes.change(project, rows("a"), "1")
    store.troubles = ["unheard" if done else "unsaid", *["unsaid"] * (held._ROUNDS - 1), "away"]
    with pytest.raises(OutcomeUnknown):
        await homes.change(project, Save(), "2")
    with pytest.raises(StoreUnavailable):  # still nobody knows, and nothing is told
        await homes.change(project, rows("b"), "3")
    assert store.troubles == []
    assert await asked(homes, project) == {"a": 1}
    for _ in range(2):
        await homes.change(project, rows("a"), "1")
        await homes.change(project, rows("b"), "3")
        assert await asked(homes, project) == {"a": 1, "b": 1}
    await homes.change(project, Save(), "4")
    await homes.change(project, Unload(), "5")
    assert await asked(homes, project) == {"a": 1, "b": 1}


@pytest.mark.parametrize("trouble", ["unheard", "unsaid"])
async def test_a_project_that_is_not_persisted_outlives_an_unknown_outcome(
    homes: Homes, store: Troubled, trouble: str
) -> None:
    project = await create(homes, persisted=False)
    await homes.change(project, rows("a"), "1")
    store.troubles = [trouble, *["unsaid"] * (held._ROUNDS - 1)]
    with pytest.raises(OutcomeUnknown):
        await homes.change(project, Freeze(True), "2")
    store.troubles = []
    home = await homes.ask(project)
    assert home.head.frozen == (trouble == "unheard")
    await homes.change(project, Freeze(False), "3")
    await homes.change(project, rows("b"), "4")
    assert await asked(homes, project) == {"a": 1, "b": 1}


@pytest.mark.parametrize("trouble", ["unheard", "unsaid"])
async def test_an_unknown_outcome_leaves_the_log_of_a_project_that_is_not_persisted(
    homes: Homes, store: Troubled, trouble: str
) -> None:
    project = await create(homes, persisted=False)
    await homes.ask(project)
    store.troubles = [trouble, *["unsaid"] * (held._ROUNDS - 1)]
    together = (homes.change(project, bad(), "1"), homes.change(project, Freeze(True), "2"))
    told = await asyncio.gather(*together, return_exceptions=True)
    assert [type(one) for one in told] == [OutcomeUnknown, OutcomeUnknown]
    store.troubles = []
    together = (homes.change(project, Freeze(False), "3"), homes.change(project, bad(), "4"))
    told = await asyncio.gather(*together, return_exceptions=True)
    assert [type(one) for one in told] == [type(None), Refused]
    await homes.change(project, rows("b"), "5")
    await homes.change(project, Save(), "6")
    await homes.change(project, Unload(), "7")
    assert await asked(homes, project) == {"b": 1}
    uses = (await homes.ask(project)).uses.all()
    assert {use.status: use.count for use in uses} == {"BAD_REQUEST": 1, "OK": 1}


async def test_memory_of_unknown_standing_does_not_outlive_a_takeover(
    homes: Homes, store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    project = await create(homes, params={"sml_project_autosave": "false"})
    await homes.change(project, rows("a"), "1")
    store.troubles = ["unsaid"] * held._ROUNDS
    with pytest.raises(OutcomeUnknown):
        await homes.change(project, Save(), "2")
    store.troubles = []
    nodes.alive.clear()
    async with worker(store, clock, nodes, "b_1") as others:
        assert await asked(others, project) == {}
        for change in (Save(), rows("b")):
            with pytest.raises(NotHome):
                await homes.change(project, change, "3")


async def test_an_unknown_outcome_followed_by_an_outage_is_unknown(
    homes: Homes, store: Troubled
) -> None:
    project = await create(homes)
    await homes.ask(project)
    store.troubles = ["unheard", *["away"] * (held._ROUNDS - 1)]
    with pytest.raises(StoreUnavailable) as error:
        await homes.change(project, rows("b"), "1")
    assert isinstance(error.value, OutcomeUnknown)
    store.troubles = []
    assert await asked(homes, project) == {"b": 1}


async def test_the_next_home_knows_the_ids_of_the_last_one(
    store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    async with worker(store, clock, nodes, "a_1") as homes:
        project = await create(homes)
        await homes.change(project, rows("b"), "1")
    async with worker(store, clock, nodes, "b_1") as homes:
        await homes.change(project, rows("b"), "1")
        with pytest.raises(IdempotencyMismatch):
            await homes.change(project, rows("c"), "1")
        assert await asked(homes, project) == {"b": 1}


async def test_ids_of_changes_that_were_never_saved_go_with_them(
    store: Troubled, clock: ManualClock, nodes: Nodes
) -> None:
    async with worker(store, clock, nodes, "a_1") as homes:
        project = await create(homes, params={"sml_project_autosave": "false"})
        await homes.change(project, rows("b"), "1")
        await homes.change(project, rows("b"), "1")
        assert await asked(homes, project) == {"b": 1}
    async with worker(store, clock, nodes, "b_1") as homes:
        assert await asked(homes, project) == {}
        await homes.change(project, rows("b"), "1")
        assert await asked(homes, project) == {"b": 1}
