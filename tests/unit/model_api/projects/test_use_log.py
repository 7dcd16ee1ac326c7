"""The log of learn and forget."""

from __future__ import annotations

import pytest

from model_api.projects.changes import Unload
from model_api.projects.homes import Homes
from model_api.projects.info import use_lines
from tally.errors import StoreUnavailable
from tally.wire.projects import ProjectUuid
from tally.wire.status import Refused
from tests.unit.model_api.projects.acts import (
    Troubled,
    bad,
    create,
    rows,
)


async def test_the_log_counts_calls_that_are_alike_and_outlives_its_home(homes: Homes) -> None:
    project = await create(homes)
    await homes.change(project, rows("a.b", count=2), "1")
    await homes.change(project, rows("a.b", count=3), "2")
    await homes.change(project, rows("a.b", op="forget"), "3")
    with pytest.raises(Refused):
        await homes.change(project, bad(), "4")
    await homes.change(project, rows("c"), "5")  # writes down the refused one, too
    await homes.change(project, Unload(), "6")
    uses = (await homes.ask(project)).uses.all()
    told = {(use.op, use.status, use.names): (use.count, use.rows) for use in uses}
    assert told == {
        ("learn", "OK", ("a.b",)): (2, 5),
        ("forget", "OK", ("a.b",)): (1, 1),
        ("learn", "BAD_REQUEST", ()): (1, 0),
        ("learn", "OK", ("c",)): (1, 1),
    }
    assert any('"client_request_df_attributes_names":"a_b"' in line for line in use_lines(uses))


async def test_a_commit_that_fails_counts_no_call(homes: Homes, store: Troubled) -> None:
    project: ProjectUuid = await create(homes)
    await homes.ask(project)
    store.troubles = ["away"]
    with pytest.raises(StoreUnavailable):
        await homes.change(project, rows("a"), "1")
    await homes.change(project, rows("a"), "1")
    [use] = (await homes.ask(project)).uses.all()
    assert use.count == 1


async def test_the_log_is_counted_as_memory(homes: Homes) -> None:
    project = await create(homes)
    home = await homes.ask(project)
    before = home.size_bytes
    with pytest.raises(Refused):
        await homes.change(project, bad(), "1")
    assert home.uses.size_bytes > 0
    assert home.size_bytes == homes.usage.memory_bytes == before + home.uses.size_bytes
