"""Models of a project as estimators of scikit-learn, over a real service."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import pytest_asyncio
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression
from sklearn.metrics import roc_auc_score

from tally.client import AsyncTally, Project, ProjectRefused, Tally
from tally.errors import InvalidInput
from tally.sklearn import TallyClassifier
from tests.integration.client.conftest import IRIS, PL, SL, SPECIES, SW, X3, X4

pytestmark = pytest.mark.asyncio(loop_scope="module")

FRAME = pd.read_csv(IRIS / "Iris_rtlm.csv")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def account(ann: AsyncTally) -> AsyncTally:
    """Give a customer whose project has learned Iris."""
    made = await ann.create("estimators")
    await made.learn(FRAME)
    return ann


@pytest.fixture
def flowers(account: AsyncTally) -> Iterator[Project]:
    """Give that project to callers that block; the service runs in the tests' loop."""
    with Tally(account.account.cid, account.account.key, account.account.url) as tally:
        yield tally.project("estimators")


async def test_a_regression_is_an_estimator(flowers: Project) -> None:
    def use() -> None:
        found = flowers.fit("mlr", target=SL, inputs=X3)
        theirs = LinearRegression().fit(FRAME[X3], FRAME[SL])
        np.testing.assert_allclose(found.coef_, theirs.coef_, rtol=1e-9)
        assert found.intercept_ == pytest.approx(theirs.intercept_, rel=1e-9)
        assert found.score(FRAME, FRAME[SL]) == pytest.approx(0.8592166649106592, rel=1e-9)
        assert (found.n_features_in_, found.feature_names_in_.tolist()) == (3, X3)
        rows = FRAME[X3].to_numpy()
        np.testing.assert_allclose(found.predict(rows), theirs.predict(FRAME[X3]), rtol=1e-9)
        assert found.model.id == "mlr_sepal_length"
        frozen = FrozenEstimator(found).fit(FRAME[X3], FRAME[SL])
        told = permutation_importance(frozen, FRAME[X3][:30], FRAME[SL][:30], n_repeats=1)
        assert told.importances.shape == (3, 1)

    await asyncio.to_thread(use)


async def test_each_family_of_regressions_has_its_coefficients(flowers: Project) -> None:
    def use() -> None:
        zero = np.zeros((1, 3))
        families: dict[str, dict[str, Any]] = {
            "ridge": {"lambda_": 0.1},
            "lasso": {"lambda_": 0.01},
            "pcr": {"q": 2},
            "plsq": {"q": 2},
            "lsvr": {},
        }
        for algo, given in families.items():
            found = flowers.fit(algo, target=SL, inputs=X3, **given)
            line = FRAME[X3].to_numpy() @ found.coef_ + found.intercept_
            np.testing.assert_allclose(found.predict(FRAME), line, rtol=1e-9, err_msg=algo)
            assert found.predict(zero)[0] == pytest.approx(found.intercept_, rel=1e-8)

    await asyncio.to_thread(use)


async def test_two_classes_are_told_apart(flowers: Project) -> None:
    def use() -> None:
        target = "Iris_versicolor"
        for algo in ("lda", "lsvm", "bayes"):
            found = flowers.fit(algo, target=target, inputs=X4)
            assert found.classes_.tolist() == [0, 1]
            labels = found.predict(FRAME)
            assert set(labels) == {0, 1}
            assert found.score(FRAME, FRAME[target]) == np.mean(labels == FRAME[target])
            if algo == "bayes":
                assert not hasattr(found, "decision_function")
            else:
                margin = found.decision_function(FRAME)
                assert ((margin > 0) == labels).all()
                line = FRAME[X4].to_numpy() @ found.coef_[0] + found.intercept_[0]
                np.testing.assert_allclose(margin, line, rtol=1e-7)
            if algo == "lsvm":
                assert not hasattr(found, "predict_proba")
                continue
            proba = found.predict_proba(FRAME)
            assert (proba.argmax(axis=1) == labels).all()
            score = roc_auc_score(FRAME[target], proba[:, 1])
            assert score == pytest.approx({"lda": 0.8258, "bayes": 0.9818}[algo], abs=1e-4)

    await asyncio.to_thread(use)


async def test_several_classes_are_told_apart_as_they_are_here(flowers: Project) -> None:
    def use() -> None:
        names = FRAME[SPECIES].idxmax(axis=1)
        here = TallyClassifier("mlda").fit(FRAME[X4], names)
        found = flowers.fit("mlda", target=SPECIES, inputs=X4, model="species")
        assert found.classes_.tolist() == SPECIES
        assert found.score(FRAME, names) == pytest.approx(0.98)
        proba = found.predict_proba(FRAME)
        np.testing.assert_allclose(proba, here.predict_proba(FRAME[X4]), atol=1e-9)
        np.testing.assert_allclose(found.coef_, here.coef_, rtol=1e-7)
        np.testing.assert_allclose(found.intercept_, here.intercept_, rtol=1e-7)
        posterior = flowers.fit("bayes", target=SPECIES, inputs=X4)
        assert posterior.classes_.tolist() == SPECIES
        assert posterior.score(FRAME, names) == pytest.approx(0.96)
        assert not hasattr(posterior, "predict_proba")

    await asyncio.to_thread(use)


async def test_an_estimator_follows_its_model(flowers: Project) -> None:
    def use() -> None:
        found = flowers.fit("mlr", target=SL, inputs=X3, model="followed")
        before = found.coef_
        flowers.build("followed", "ridge", targets=SL, inputs=X3, lambda_=1.0)
        assert found.coef_.tolist() == before.tolist()  # nothing was asked since
        found.predict(FRAME)
        assert found.coef_.tolist() != before.tolist()

    await asyncio.to_thread(use)


async def test_what_it_cannot_answer_it_says(flowers: Project) -> None:
    def use() -> None:
        found = flowers.fit("mlr", target=SL, inputs=X3)
        with pytest.raises(ValueError, match="X has no column 'petal_width'"):
            found.predict(FRAME[[SW, PL]])
        with pytest.raises(ValueError, match="is expecting 3 features as input"):
            found.predict([[1.0, 2.0]])
        with pytest.raises(NotImplementedError, match="is fitted on the server"):
            found.fit(FRAME, FRAME[SL])
        with pytest.raises(InvalidInput, match="a model of covest does not predict"):
            flowers.fit("covest", target=(), inputs=X4, estimate_type="l2_reg_sig")
        with pytest.raises(ProjectRefused, match="magic"):
            flowers.fit("magic", target=SL, inputs=X3)

    await asyncio.to_thread(use)
