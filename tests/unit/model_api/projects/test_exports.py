"""Projects are exported, imported and merged."""

from __future__ import annotations

import pytest

from model_api.projects.changes import Merge
from model_api.projects.exports import Restore, opened, sealed
from model_api.projects.homes import Homes, snapshot
from tally.engine.options import Options
from tally.engine.project import Project
from tally.errors import TooLarge
from tally.projects.records import MAX_OPTIONS_BYTES
from tally.wire.status import Refused
from tests.unit.model_api.projects.acts import (
    asked,
    create,
    rows,
)


async def test_an_export_comes_back_as_another_project(homes: Homes) -> None:
    project = await create(homes)
    await homes.change(project, rows("a", count=3), "1")
    text = sealed((await homes.ask(project)).project)
    export = opened(b'"' + text + b'"', 2**20)
    copy = await homes.projects.create("c1", "copy", export.options, snapshot=export.data)
    assert await asked(homes, copy) == {"a": 3}
    memory = await create(homes, "memory", persisted=False)
    await homes.change(memory, Restore(export), "2")
    assert await asked(homes, memory) == {"a": 3}


@pytest.mark.parametrize("text", [b"", b"nonsense", "für".encode(), b"VEFMTFlQUko="])
async def test_what_is_no_export_is_refused(text: bytes) -> None:
    with pytest.raises(Refused, match="Invalid export"):
        opened(text, 2**20)


async def test_an_export_with_more_options_than_a_project_may_have_is_refused() -> None:
    def export(count: int) -> bytes:
        return sealed(Project.empty(Options("cpu", {"lr_x": "x" * count})))

    most = MAX_OPTIONS_BYTES - len("lr_x")
    assert opened(export(most), 2**20).options.params["lr_x"] == "x" * most
    with pytest.raises(TooLarge, match="creation options have more than 65536 bytes"):
        opened(export(most + 1), 2**20)


async def test_a_merge_adds_the_other_project_once(homes: Homes) -> None:
    project, other = await create(homes), await create(homes, "other")
    await homes.change(project, rows("a"), "1")
    await homes.change(other, rows("a", "b"), "2")
    for _ in range(2):  # the other one may have changed before the second try
        data = snapshot(await homes.ask(other))
        await homes.change(project, Merge(data, other), "3")
        await homes.change(other, rows("c"), "")
    assert await asked(homes, project) == {"a": 2, "b": 1}
