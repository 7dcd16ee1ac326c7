"""Models by the client, over a real service, with the numbers of the protocol's reference."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pandas as pd
import polars as pl
import pytest
import pytest_asyncio

from tally.client import (
    AsyncProject,
    AsyncTally,
    JobFailed,
    ProjectRefused,
    Tally,
    UnknownModel,
)
from tests.integration.client.conftest import IRIS, PL, PW, SL, SPECIES, SW, X3, X4

pytestmark = pytest.mark.asyncio(loop_scope="module")

FILE = IRIS / "Iris_rtlm.csv"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def flowers(ann: AsyncTally) -> AsyncProject:
    """Give a project that has learned Iris."""
    made = await ann.create("flowers")
    await made.learn(FILE)
    return made


async def test_a_linear_model_is_built_inspected_and_used(flowers: AsyncProject) -> None:
    told = await flowers.build("length", "mlr", targets=SL, inputs=X3)
    assert (told.id, told.type, told.targets, told.rows) == ("length", "mlr", (SL,), 150)
    assert [each.name for each in told.inputs] == X3
    assert told.number("r2") == pytest.approx(0.8592166649106592, rel=1e-9)
    coefficients = told.coefficients
    assert coefficients is not None
    assert coefficients[SW]["coefficient"] == pytest.approx(0.6548642427853542, rel=1e-9)
    assert coefficients["intercept"]["std.error"] == pytest.approx(0.2504224582117963, rel=1e-9)
    assert coefficients[PW]["p.values"] == pytest.approx(1.8689551990594722e-05, rel=1e-8)
    lines = str(told).splitlines()
    assert lines[0].startswith("length: mlr of sepal_length, version 1, rows 150, R2 0.8592")
    assert lines[1].split() == [
        "attribute", "coefficient", "std.", "error", "t", "p", "low", "high",
    ]  # fmt: skip
    assert lines[2].split()[:3] == [SW, "0.6549", "0.06667"]

    rows = pd.read_csv(FILE).iloc[[0, 1, 2, 5]]
    expected = [4.535565951525374, 4.748884825891162, 4.885477541624961, 5.540341784410315]
    for form in (rows, pl.from_pandas(rows), rows.to_dict("list"), rows.to_dict("records")):
        found = await flowers.model("length").predict(form)
        assert found.version == 1
        assert found.result == pytest.approx(expected, rel=1e-9)


async def test_what_is_missing_stands_at_its_mean_or_is_imputed(flowers: AsyncProject) -> None:
    await flowers.build("filling", "mlr", targets=[SL], inputs=X3)
    model = flowers.model("filling")
    row = {SW: [3.0], PL: [1.1]}
    assert (await model.predict(row)).result == pytest.approx([3.9174913953990136], rel=1e-9)
    imputed = (await model.predict(row, impute=True)).result
    assert imputed == pytest.approx([4.559425210494885], rel=1e-8)
    assert len(await model.predict({SW: []})) == 0


async def test_answers_are_numbers_and_classes_are_texts(flowers: AsyncProject) -> None:
    await flowers.build("one", "lda", targets="Iris_versicolor", inputs=X4)
    row = pd.read_csv(FILE).iloc[[0, 75]]
    one = await flowers.model("one").predict(row)
    assert (one.result, one["z1LTz0"]) == ((0, 1), (False, False))
    assert one["resZ"] == pytest.approx([-7.30448447562, -4.87486867292], rel=1e-8)
    await flowers.build("three", "mlda", targets=SPECIES, inputs=X4)
    three = await flowers.model("three").predict(row)
    assert three.result == ("Iris_setosa", "Iris_versicolor")
    assert three["Iris_versicolor"][1] == pytest.approx(73.5959541205, rel=1e-8)
    assert next(iter(three))["res"] == "Iris_setosa"
    await flowers.build("posterior", "bayes", targets=SPECIES, inputs=X4)
    posterior = await flowers.model("posterior").predict(row)
    assert posterior.result == ("Iris_setosa", "Iris_versicolor")


async def test_versions_are_kept_rolled_back_and_deleted(flowers: AsyncProject) -> None:
    await flowers.build("moving", "mlr", targets=[SL], inputs=X3)
    await flowers.build("moving", "ridge", targets=[SL], inputs=X3, lambda_=1.0)
    model = flowers.model("moving")
    assert (await model.info()).info["lambda"] == "1.0"
    told = await model.versions()
    assert [(each.version, each.type) for each in told.versions] == [(1, "mlr"), (2, "ridge")]
    assert "2 *" in str(told)
    back = await model.rollback()
    assert (back.current, back.previous) == (1, 2)
    assert (await model.rollback(2)).current == 2
    assert (await flowers.models())["moving"] == "ridge"
    await model.delete()
    assert not await model.exists()
    with pytest.raises(UnknownModel, match="no such model <moving>"):
        await model.predict({SW: [1.0]})
    with pytest.raises(UnknownModel):
        await model.delete()


async def test_a_model_is_written_as_code_and_moves_to_another_project(
    flowers: AsyncProject, ann: AsyncTally
) -> None:
    await flowers.build("code", "mlr", targets=[SL], inputs=X3)
    model = flowers.model("code")
    assert (await model.code()).startswith("def code_score(")
    assert "public double code_score(" in await model.code("java")
    empty = await ann.create("elsewhere")
    moved = await empty.import_model("moved", await model.export())
    row = {SW: [3.5], PL: [1.4], PW: [0.2]}
    assert (await moved.predict(row)).result == (await model.predict(row)).result


async def test_rows_are_answered_and_learned_in_one_call(ann: AsyncTally) -> None:
    project = await ann.create("growing")
    frame = pd.read_csv(FILE)[[*X4, "Iris_setosa"]]
    await project.learn(frame[:100])
    await project.build("m", "mlr", targets=[SL], inputs=X3)
    model = project.model("m")
    before = await model.predict(frame[100:])
    told = await model.learn_predict(frame[100:], keep=[SL], rebuild=True)
    assert told.result == before.result
    assert told.numbers(SL) == tuple(frame[SL][100:])
    info = await model.info()
    assert (info.rows, info.version) == (150, 2)
    assert info.number("r2") == pytest.approx(0.8592166649106592, rel=1e-9)


async def test_inputs_that_do_not_matter_are_left_out(flowers: AsyncProject) -> None:
    told = await flowers.reduce(
        "reduced", targets="Iris_virginica", inputs=X4, delta=0.5, iterations=5
    )
    assert told.type == "lda"
    assert 0 < len(told.inputs) < 4
    left = await flowers.build("left", "mlr", targets=SL, inputs=[*X3, *SPECIES], svdreduce=True)
    assert list(left.dropped) == ["Iris_virginica"]
    assert "left out: Iris_virginica: linear combination of" in str(left)


async def test_what_cannot_be_built_says_why(flowers: AsyncProject) -> None:
    with pytest.raises(ProjectRefused, match=r"algo: \[magic\] is unknown"):
        await flowers.build("bad", "magic", targets=SL, inputs=X3)
    with pytest.raises(JobFailed, match="the inputs are singular"):
        await flowers.build("bad", "mlr", targets=SL, inputs=SPECIES)
    with pytest.raises(UnknownModel):
        await flowers.model("bad").info()


async def test_the_path_and_the_coefficients_are_drawn(
    flowers: AsyncProject, tmp_path: Path
) -> None:
    await flowers.build("path", "lasso", targets=SL, inputs=X3, aicc=True, num_lambda=20)
    model = flowers.model("path")
    await model.plot(tmp_path / "coefficients.svg")
    await model.plot_path(tmp_path / "path.svg")
    await flowers.plot_pca(*X4, file=tmp_path / "scree.svg")
    for name in ("coefficients", "path", "scree"):
        assert b"<svg" in (tmp_path / f"{name}.svg").read_bytes()


async def test_the_blocking_client_does_the_same(flowers: AsyncProject, ann: AsyncTally) -> None:
    account = ann.account

    def use() -> tuple[object, ...]:
        with Tally(account.cid, account.key, account.url) as tally:
            project = tally.project("flowers")
            first = project.build("blocked", "mlr", targets=SL, inputs=X3).version
            model = project.model("blocked")
            job = project.start_build("blocked", "ridge", targets=SL, inputs=X3)
            job.result()
            assert model.rollback().current == first
            return model.predict({SW: [3.5]}).version - first, repr(model)

    assert await asyncio.to_thread(use) == (0, "Model('flowers', 'blocked')")


async def test_the_best_model_is_selected_by_rows_that_are_not_learned(
    flowers: AsyncProject,
) -> None:
    rows = pd.read_csv(FILE)
    told = await flowers.auto_select(
        "best",
        rows,
        targets="Iris_setosa",
        inputs=X4,
        task="binary_classifier",
        autoselect_grid_type="autoselect_grid_type_tiny",
        sml_model_assessment_type="auc",
    )
    assert told.type in ("lda", "bayes", "lsvm")
    assert told.targets == ("Iris_setosa",)
    assert told.number("selection_score") == 1.0
    one = await flowers.select_model("one_best", "mlr", FILE, targets=SL, inputs=X3)
    assert (one.type, {each.name for each in one.inputs}) == ("mlr", set(X3))
    assert {each.count for each in await flowers.describe()} == {150}
    job = await flowers.start_auto_select("by_job", rows.to_dict("list"), targets=SL, inputs=X3)
    await job
    assert await flowers.model("by_job").exists()
