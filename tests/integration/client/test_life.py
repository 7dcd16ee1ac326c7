"""A project from its creation to its end, over a real service."""

from __future__ import annotations

import asyncio

import pandas as pd
import pyarrow as pa
import pytest

from tally.client import (
    AsyncTally,
    ChangeStopped,
    JobFailed,
    NameTaken,
    NotAuthorized,
    ProjectRefused,
    Tally,
    UnknownProject,
)
from tally.wire.secret_key import SecretKey
from tests.integration.client.conftest import IRIS

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROWS = {"x": [1.0, 2.0, None, 4.0], "y": [1, 0, 1, None], "color": ["Red", "blue", "red", None]}


async def test_forgetting_undoes_learning(ann: AsyncTally) -> None:
    project = await ann.create("undone")
    await project.learn(ROWS, {"color": "T"})
    before = await project.describe()
    await project.learn(pa.table(ROWS))
    assert (await project.describe("x"))["x"].count == 6
    await project.forget(pd.DataFrame(ROWS))
    assert [(each.name, each.count) for each in await project.describe()] == [
        (each.name, each.count) for each in before
    ]
    with pytest.raises(ProjectRefused):
        await project.forget({"x": [1.0] * 10})
    await project.forget(ROWS)
    assert {each.count for each in await project.describe()} == {0}


async def test_projects_are_merged_renamed_exported_and_deleted(ann: AsyncTally) -> None:
    project = await ann.create("first", params={"lr_rate": 2})
    await project.learn(ROWS, {"color": "T"})
    copy = await ann.import_project("second", await project.export())
    assert str(await copy.describe()) == str(await project.describe())
    assert (await copy.info()).params["lr_rate"] == "2"
    await copy.merge(project)
    assert (await copy.describe("x"))["x"].count == 6
    with pytest.raises(NameTaken):
        await copy.rename("first")
    await copy.rename("third")
    assert (copy.pid, {"first", "third"} - set(await ann.projects())) == ("third", set())
    assert [info.pid for info in await ann.infos()] == await ann.projects()
    await copy.delete()
    assert not await copy.exists()
    with pytest.raises(UnknownProject, match=r"^Customer\[ann\] does not have .*\[third\]"):
        await copy.delete()


async def test_a_project_is_frozen_and_its_histogram_dropped(ann: AsyncTally) -> None:
    project = await ann.create("frozen")
    await project.freeze()
    assert (await project.info()).frozen
    with pytest.raises(ProjectRefused, match="is frozen"):
        await project.learn(ROWS, {"color": "X"})
    await project.unfreeze()
    await project.enable_histogram(False)
    await project.learn(ROWS, {"color": "X"})
    with pytest.raises(ProjectRefused, match="Histogram is not enabled"):
        await project.density("x")
    await project.save()
    await project.unload()
    assert (await project.info()).names == ("x", "y")


async def test_jobs_are_told_and_awaited(ann: AsyncTally) -> None:
    project = await ann.create("jobs")
    job = await project.start_learn(ROWS, {"color": "T"})
    await job
    assert await ann.job(job.id) == {}
    assert (await project.describe("x"))["x"].count == 3
    again = await project.start_forget(ROWS)
    await again
    assert {job.id, again.id} <= {each.id for each in await ann.jobs()}
    known = len(await ann.jobs())
    with pytest.raises(ProjectRefused, match=r"^Unknown attribute \[z\]$"):
        await project.vif("z")
    assert len(await ann.jobs()) == known
    with pytest.raises(JobFailed, match=r"^No such job$"):
        await ann.job(999_999)


async def test_another_customer_sees_none_of_it(ann: AsyncTally, bob: AsyncTally) -> None:
    await ann.create("private")
    assert "private" not in await bob.projects()
    with pytest.raises(UnknownProject) as caught:
        await bob.project("private").info()
    with pytest.raises(UnknownProject) as nothing:
        await bob.project("nothing").info()
    assert caught.value.text.replace("private", "nothing") == nothing.value.text


async def test_a_wrong_key_is_told_as_that(ann: AsyncTally) -> None:
    async with AsyncTally("ann", SecretKey.generate(), ann.account.url) as stranger:
        with pytest.raises(NotAuthorized, match=r"^Invalid Signature$") as caught:
            await stranger.projects()
    assert "SECRETKEY" in str(caught.value.values["stringToSign"])


async def test_a_broken_learn_is_resumed_and_counts_every_row_once(ann: AsyncTally) -> None:
    project = await ann.create("resumed")
    rows = [{"x": str(number)} for number in range(10)]
    rows[7]["x"] = "seven"
    with pytest.raises(ChangeStopped, match=r"\"seven\" is not a number .*row 7 of all") as caught:
        await project.learn(rows, "C", rows_per_request=3)
    assert caught.value.rows == 6
    rows[7]["x"] = "7"
    told = await project.learn(rows, "C", resume=caught.value.resume)
    assert told.rows == 10
    await project.learn(rows, "C", resume=caught.value.resume)  # the ids are known by now
    each = (await project.describe())["x"]
    assert (each.count, each.mean) == (10, 4.5)


async def test_everything_works_without_an_event_loop_too(ann: AsyncTally) -> None:
    def blocking() -> None:
        account = ann.account
        with Tally(account.cid, account.key, account.url) as tally:
            flowers = tally.create("blocking", exist_ok=True)
            assert flowers.learn(IRIS / "Iris_rtlm.csv").rows == 150
            copy = tally.import_project("blocking2", flowers.export())
            copy.merge(flowers)
            assert flowers.drift(copy, "global", "sepal_length").score < 1e-7
            job = flowers.start_pca("sepal_length", "sepal_width")
            assert len(job.result(30).values) == 2
            assert job.status() is None
            assert flowers.start_svd("sepal_length").result().values == pytest.approx(
                [0.6811], 1e-3
            )
            assert flowers.start_vif("sepal_length").result()["sepal_length"] == 1
            flowers.start_forget(IRIS / "Iris_rtlm.csv").result()
            flowers.start_learn({"sepal_length": [1]}).result()
            assert tally.job(job.id).cancel()
            assert flowers.describe("sepal_length")["sepal_length"].count == 1
            copy.delete()
            flowers.delete()

    await asyncio.to_thread(blocking)
