from __future__ import annotations

import asyncio

import pytest

from tally.errors import CorruptState
from tally.projects.names import check_pid
from tally.projects.projects import Projects
from tally.projects.records import Options
from tally.wire.status import Refused, StatusCode


async def _names(projects: Projects, customer: str = "c1") -> list[str]:
    return [pid for pid, _ in await projects.names.all(customer)]


@pytest.mark.parametrize(
    "pid", ["", "a b", "a/b", "x" * 129, "ä", "list", "fusion", "dataDrift", ".", ".."]
)
def test_a_name_that_no_project_may_have_is_refused(pid: str) -> None:
    with pytest.raises(Refused, match=r"^Invalid project id \["):
        check_pid(pid)


async def test_a_project_that_got_a_name_before_it_was_refused_is_found_and_renamed(
    projects: Projects, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr("tally.projects.names._DOTS", ())
        project = await projects.create("c1", "..", Options())
    found = await projects.names.find("c1", "..")
    assert found is not None
    assert found.project == project
    await projects.names.rename("c1", project, "..", "dots")
    assert await _names(projects) == ["dots"]


async def test_a_project_is_found_by_its_name_and_by_its_customer_only(projects: Projects) -> None:
    project = await projects.create("c1", "p", Options(kind="gpu"))
    found = await projects.names.find("c1", "p")
    assert found is not None
    assert (found.project, found.kind) == (project, "gpu")
    assert await projects.names.find("c2", "p") is None
    assert await projects.names.find("c1", "q") is None
    assert await _names(projects, "c2") == []


async def test_a_name_is_taken_once(projects: Projects) -> None:
    await projects.create("c1", "p", Options())
    with pytest.raises(Refused) as error:
        await projects.create("c1", "p", Options())
    assert error.value.status is StatusCode.CONFLICT
    assert error.value.text == "Customer [c1] already have SYMETRYML with id[p], "
    await projects.create("c2", "p", Options())


async def test_of_many_who_take_a_name_one_gets_it(projects: Projects) -> None:
    made = await asyncio.gather(
        *(projects.create("c1", "p", Options()) for _ in range(8)), return_exceptions=True
    )
    won = [one for one in made if isinstance(one, str)]
    assert len(won) == 1
    found = await projects.names.find("c1", "p")
    assert found is not None
    assert found.project == won[0]


async def test_making_the_same_project_again_changes_nothing(projects: Projects) -> None:
    project = await projects.create("c1", "p", Options())
    assert await projects.create("c1", "p", Options(), project=project) == project
    assert await _names(projects) == ["p"]


async def test_the_name_of_a_deleted_project_is_free_even_if_it_was_not_released(
    projects: Projects,
) -> None:
    project = await projects.create("c1", "p", Options())
    name = await projects.names.find("c1", "p")
    assert name is not None
    await projects.delete(project)
    await projects.names.take("c1", "p", name)  # as if its deletion had died on the way
    assert await projects.create("c1", "p", Options()) != project


async def test_a_renamed_project_leaves_its_old_name_free(projects: Projects) -> None:
    project = await projects.create("c1", "p", Options())
    for _ in range(2):  # the answer to the first was lost
        await projects.names.rename("c1", project, "p", "q")
    assert await _names(projects) == ["q"]
    await projects.create("c1", "p", Options())
    with pytest.raises(Refused, match=r"already have SYMETRYML with id\[p\]"):
        await projects.names.rename("c1", project, "q", "p")
    with pytest.raises(CorruptState, match="not named 'other'"):
        await projects.names.rename("c1", project, "other", "r")


async def test_the_name_of_a_project_is_found_wherever_it_went(projects: Projects) -> None:
    project = await projects.create("c1", "p", Options())
    assert await projects.names.of("c1", project, "p") == "p"
    await projects.names.rename("c1", project, "p", "q")
    assert await projects.names.of("c1", project, "p") == "q"
    await projects.names.release("c1", "q", project)
    assert await projects.names.of("c1", project, "q") is None
