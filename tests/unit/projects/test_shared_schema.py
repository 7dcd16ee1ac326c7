"""The row that says what names mean in all shards: it grows, by one writer at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from tally.clock import ManualClock
from tally.engine.frame import Frame
from tally.engine.options import Options as EngineOptions
from tally.engine.part import Known
from tally.engine.project import Project
from tally.errors import InvalidInput, NotFound
from tally.projects.projects import Projects
from tally.projects.records import Options, project_partition
from tally.projects.shared_schema import SCHEMA, SharedSchema
from tally.wire.projects import ProjectUuid
from tests.unit.model_api.projects.acts import Troubled


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Troubled]:
    opened = Troubled(tmp_path / "store.db")
    yield opened
    await opened.close()


@pytest.fixture
async def project(store: Troubled, clock: ManualClock) -> ProjectUuid:
    return await Projects(store, clock).create("c1", "p", Options(cells=2))


def part(known: Known, name: str, letter: str = "C") -> Project:
    """Return a part that has learned a number under a name that it may not know yet."""
    draft = known.told_to(Project.part(EngineOptions())).draft()
    draft.learn(Frame((name,), letter, (np.array([1.0]),), 1))
    return draft.done()


async def test_names_come_in_the_order_in_which_they_were_written(
    store: Troubled, project: ProjectUuid
) -> None:
    one, other = SharedSchema(store, project), SharedSchema(store, project)
    assert await one.extend(part(one.known, "x"))
    # The other was too late: it reads what there is, and has to learn again by that.
    assert not await other.extend(part(other.known, "y", "B"))
    assert other.known.schema.names == ("x",)
    assert await other.extend(part(other.known, "y", "B"))
    assert await one.refresh()
    assert not await one.refresh()
    assert (one.known.schema.names, one.known.schema.types) == (("x", "y"), "CB")
    assert one.known.types == {"x": "C", "y": "B"}
    assert not one.known.lacks(part(one.known, "x"))
    draft = one.known.told_to(Project.part(EngineOptions())).draft()
    with pytest.raises(InvalidInput, match="is not 0 or 1"):
        draft.learn(Frame(("y",), "C", (np.array([5.0]),), 1))


async def test_an_extension_of_unknown_outcome_is_found_again(
    store: Troubled, project: ProjectUuid
) -> None:
    schema = SharedSchema(store, project)
    store.troubles = ["unheard"]
    assert await schema.extend(part(schema.known, "x"))
    store.troubles = ["unsaid"]
    assert await schema.extend(part(schema.known, "y"))
    assert schema.known.schema.names == ("x", "y")


async def test_no_row_is_left_of_a_project_that_was_deleted_meanwhile(
    store: Troubled, project: ProjectUuid, clock: ManualClock
) -> None:
    schema = SharedSchema(store, project)
    made = part(schema.known, "x")
    await Projects(store, clock).delete(project)
    with pytest.raises(NotFound):
        await schema.extend(made)
    assert await store.get(project_partition(project), SCHEMA) is None
