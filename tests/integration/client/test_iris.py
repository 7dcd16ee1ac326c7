"""The numbers that the protocol's reference prints for the Iris rows, as the client types them."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from typing import Any

import pandas as pd
import pytest
import pytest_asyncio

from tally.client import AsyncProject, AsyncTally
from tests.integration.client.conftest import IRIS

pytestmark = pytest.mark.asyncio(loop_scope="module")

FILE = IRIS / "Iris_rtlm.csv"
with FILE.open() as file:
    NAMES = next(csv.reader(file))
FOUR = NAMES[:4]
ANSWERS: list[dict[str, Any]] = json.loads((IRIS / "answers.json").read_text())


def answers(path: str, query: str) -> list[tuple[list[str], list[str], Mapping[str, Any]]]:
    """Return the names of inputs and targets of the reference's questions, and the answers."""
    found = []
    for answer in ANSWERS:
        if answer["path"] == path and answer.get("query", "") == query:
            asked = answer["context"]
            inputs, targets = (
                [NAMES[int(token)] for token in asked.get(role, ())]
                for role in ("inputAttributes", "targets")
            )
            if not asked.get("extraParameters"):
                found.append((inputs, targets, answer["expected"]))
    assert found, f"the reference has no {path}?{query}"
    return found


def near(value: float) -> Any:
    return pytest.approx(value, rel=1e-6, abs=1e-12)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def iris(ann: AsyncTally) -> AsyncProject:
    """Give a project that has learned the rows from a file, with the types that were guessed."""
    project = await ann.create("iris")
    assert (await project.learn(FILE, rows_per_request=40)).requests == 4
    assert [each.type for each in (await project.info()).attributes] == ["C"] * 4 + ["B"] * 11
    return project


async def test_moments(iris: AsyncProject) -> None:
    told = await iris.describe()
    assert [each.name for each in told] == NAMES
    for (name,), _, expected in answers("explore", "metric=uni"):
        each = told[name]
        assert (each.mean, each.variance, each.median) == (
            near(expected["mean"]),
            near(expected["variance"]),
            near(expected["median"]),
        )
        assert (each.margin_95, each.kurtosis) == (
            near(expected["meanMarginErrorC95"]),
            near(expected["kurtosis"]),
        )


async def test_pairs(iris: AsyncProject) -> None:
    correlations = await iris.correlations()
    for (x, y), _, expected in answers("explore", "metric=bi"):
        told = await iris.bivariate(x, y)
        assert told.correlation == correlations[x, y] == correlations[y, x]
        assert (told.covariance, told.correlation, told.variance) == (
            near(expected["covar"]),
            near(expected["linCorr"]),
            near(expected["condVariance"]),
        )
    assert correlations["sepal_length", "sepal_length"] == near(1)


async def test_tests_of_hypotheses(iris: AsyncProject) -> None:
    for names, _, expected in answers("explore", "metric=ttest"):
        t = await iris.ttest(*names)
        assert (t.t, t.p, t.welch_p) == (
            near(expected["t"]),
            near(expected["tp"]),
            near(expected["tpu"]),
        )
    for names, _, expected in answers("explore", "metric=ztest"):
        z = await iris.ztest(*names)
        if "z" in expected:
            assert (z.z, z.p) == (near(expected["z"]), near(expected["zp"]))
        else:  # what the groups are
            assert z.samples is not None
            assert [sample.mean for sample in z.samples] == [
                near(expected["zm1"]),
                near(expected["zm2"]),
            ]
    for names, _, expected in answers("explore", "metric=ftest"):
        f = await iris.ftest(*names)
        assert (f.f, f.p) == (near(expected["f"]), near(expected["fp"]))
    for (x, y), _, expected in answers("explore", "metric=ztestp"):
        assert (await iris.ztest_of_shares(x, y)).z == near(expected["z"])
    assert (await iris.ttest(FOUR[0], mu=5.8)).t == near(0.6409183514112012)
    assert (await iris.ztest(FOUR[0], mu=5.8)).z == near(0.6430654875809855)
    assert (await iris.ftest(FOUR[0], variance=0.7)).p == near(0.8895095999328851)


async def test_groups_and_categories(iris: AsyncProject) -> None:
    for names, targets, expected in answers("explore", "metric=anova"):
        anova = await iris.anova(*names, by=targets)
        assert (anova.f, anova.p, anova.between) == (
            near(expected["F"]),
            near(expected["P"]),
            near(expected["SSb"]),
        )
    for rows, columns, expected in answers("explore", "metric=chi2"):
        chi2 = await iris.chi2(rows, columns)
        assert (list(chi2.rows), list(chi2.columns)) == (rows, columns)
        assert (chi2.statistic, chi2.p, chi2.tschuprow_t) == (
            near(expected["chiStat"]),
            near(expected["pval"]),
            near(expected["coef"]),
        )
    for (name,), (target,), expected in answers("explore", "metric=gain"):
        assert await iris.gain(name, target) == near(expected["gain"])


async def test_all_attributes_together(iris: AsyncProject) -> None:
    vif = await iris.vif(*FOUR)
    assert vif.names == tuple(FOUR)
    assert vif.values == pytest.approx(
        (7.103113442833282, 2.099038625742088, 31.39729165071975, 16.141563956997683)
    )
    pca = await iris.pca(*FOUR)
    assert pca.values[0] == near(2.9108180837520563)
    assert pca.vectors[0] == pytest.approx(
        (0.5223716204076602, -0.2633549153139402, 0.581254005597648, 0.565611049882649)
    )
    assert (pca.total, sum(pca.shares)) == (near(4), near(1))
    assert len((await iris.pca(*NAMES[:12], explained=0.95)).values) == 4
    svd = await iris.svd(*FOUR)
    assert svd.names == tuple(FOUR)
    assert svd.values == pytest.approx((await iris.pca(*FOUR, covariance=True)).values)
    kept = await iris.svd(*NAMES[:12], independent=True)
    assert [NAMES.index(name) for name in kept.names] == [0, 1, 2, 3, 4, 6, 8, 10]


async def test_densities(iris: AsyncProject) -> None:
    whole = await iris.density(FOUR[0], 5)
    assert whole.counts == (32, 41, 42, 24, 11)
    assert (whole.edges[0], whole.edges[-1]) == (4.3, 7.9)
    assert (await iris.density(FOUR[0], 5, given="Iris_setosa")).counts == (28, 21, 1, 0, 0)
    assert (await iris.density("nothing", 5)).note
    assert sum((await iris.density(FOUR[0], 3, low=5, high=6)).counts) < 150


async def test_drift(iris: AsyncProject, ann: AsyncTally) -> None:
    frame = pd.read_csv(FILE)
    late = await ann.create("virginica")
    await late.learn(frame[frame["Iris_virginica"] == 1])
    told = await iris.drift(late, "global", *FOUR)
    assert told.score == near(0.402063080579519)
    assert told.attributes[FOUR[3]] == near(0.5061377010683902)
    assert (await iris.drift("iris")).score == pytest.approx(0, abs=1e-7)
