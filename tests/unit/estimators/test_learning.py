"""Estimators that learn from statistics: in parts, merged, forgetting; against scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import ArrayLike, NDArray
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import ElasticNet, LinearRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tally.sklearn import TallyClassifier, TallyRegressor

Floats = NDArray[np.float64]

X, Y = load_diabetes(return_X_y=True)
FLOWERS, SPECIES = load_iris(return_X_y=True)
WINES, REGIONS = load_wine(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[SPECIES]


def close(found: ArrayLike, expected: ArrayLike, rtol: float = 1e-9) -> None:
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=rtol, atol=1e-9)


def test_a_regression_is_that_of_scikit_learn() -> None:
    ours, theirs = TallyRegressor().fit(X, Y), LinearRegression().fit(X, Y)
    close(ours.coef_, theirs.coef_)
    close(ours.intercept_, theirs.intercept_)
    close(ours.predict(X), theirs.predict(X))
    close(ours.score(X, Y), theirs.score(X, Y))
    assert ours.model_.info["r2"] == pytest.approx(theirs.score(X, Y))
    shrunk = TallyRegressor("elasticnet", {"lambda": 0.2, "standardize": False}).fit(X, Y)
    close(shrunk.coef_, ElasticNet(0.2, l1_ratio=0.5, tol=1e-12).fit(X, Y).coef_, 1e-6)


@pytest.mark.parametrize(
    ("algo", "theirs"),
    [
        ("mlda", LinearDiscriminantAnalysis()),
        ("mqda", QuadraticDiscriminantAnalysis()),
        ("bayes", GaussianNB(var_smoothing=0)),
    ],
)
def test_classes_are_those_of_scikit_learn(algo: str, theirs: Any) -> None:
    ours, theirs = TallyClassifier(algo).fit(FLOWERS, NAMES), theirs.fit(FLOWERS, NAMES)
    assert ours.classes_.tolist() == theirs.classes_.tolist()
    assert ours.predict(FLOWERS).tolist() == theirs.predict(FLOWERS).tolist()
    assert ours.score(FLOWERS, NAMES) == theirs.score(FLOWERS, NAMES)
    # scikit-learn divides covariances by the rows; ours by the rows less the means taken off.
    tolerance = 1e-7 if algo == "bayes" else 0.01
    np.testing.assert_allclose(
        ours.predict_proba(FLOWERS), theirs.predict_proba(FLOWERS), atol=tolerance
    )


def test_posteriors_are_those_of_normal_classes() -> None:
    parts = [FLOWERS[k == SPECIES] for k in range(3)]
    pooled = sum(49 * np.cov(part.T) for part in parts) / 147
    for algo, spreads in (("mlda", [pooled] * 3), ("mqda", [np.cov(part.T) for part in parts])):
        density = np.column_stack(
            [
                multivariate_normal(part.mean(axis=0), spread).pdf(FLOWERS)
                for part, spread in zip(parts, spreads, strict=True)
            ]
        )
        found = TallyClassifier(algo).fit(FLOWERS, NAMES).predict_proba(FLOWERS)
        close(found, density / density.sum(axis=1, keepdims=True), 1e-7)


def test_the_coefficients_are_those_of_the_decision_function() -> None:
    two = SPECIES < 2
    for estimator, x, y in (
        (TallyClassifier("mlda"), WINES, REGIONS),
        (TallyClassifier("mlda"), FLOWERS[two], NAMES[two]),
        (TallyClassifier("lda"), FLOWERS[two], NAMES[two]),
        (TallyClassifier("lsvm"), FLOWERS[two], NAMES[two]),
    ):
        estimator.fit(x, y)
        line = x @ estimator.coef_.T + estimator.intercept_
        found = estimator.decision_function(x)
        close(line.reshape(found.shape), found, 1e-7)
    proba = TallyClassifier("lda").fit(FLOWERS[two], NAMES[two]).predict_proba(FLOWERS[two])
    close(proba.sum(axis=1), 1)
    assert not hasattr(TallyClassifier("lsvm"), "predict_proba")
    assert not hasattr(TallyClassifier("bayes"), "decision_function")


def test_parts_merged_learn_what_the_whole_does_and_forget_again() -> None:
    whole = TallyRegressor().fit(X, Y)
    here = TallyRegressor().partial_fit(X[:150], Y[:150]).partial_fit(X[150:151], Y[150:151])
    there = TallyRegressor().partial_fit(X[151:], Y[151:])
    both = TallyRegressor().merge(here).merge(there)
    close(both.coef_, whole.coef_)
    assert (both.n_samples_seen_, here.n_samples_seen_) == (442, 151)
    close(both.forget(X[:100], Y[:100]).coef_, TallyRegressor().fit(X[100:], Y[100:]).coef_)

    sites = [
        TallyClassifier("mqda").partial_fit(FLOWERS[k::3], NAMES[k::3], classes=np.unique(NAMES))
        for k in range(3)
    ]
    site = sites[0].merge(sites[1]).merge(sites[2])
    every = TallyClassifier("mqda").fit(FLOWERS, NAMES)
    close(site.predict_proba(FLOWERS), every.predict_proba(FLOWERS), 1e-7)
    less = site.forget(FLOWERS[:20], NAMES[:20]).predict_proba(FLOWERS)
    close(less, TallyClassifier("mqda").fit(FLOWERS[20:], NAMES[20:]).predict_proba(FLOWERS), 1e-7)


def test_a_class_may_come_late() -> None:
    early = SPECIES < 2
    estimator = TallyClassifier().partial_fit(FLOWERS[early], NAMES[early], np.unique(NAMES))
    found = estimator.predict_proba(FLOWERS)
    assert not found[:, 2].any()
    estimator.partial_fit(FLOWERS[~early], NAMES[~early])
    assert estimator.predict(FLOWERS[100:101]).tolist() == ["virginica"]


def test_a_frame_gives_its_names_and_cells_may_be_missing() -> None:
    frame = pd.DataFrame(FLOWERS.copy(), columns=["SL", "SW", "PL", "PW"])
    frame.iloc[::7, 1] = np.nan
    estimator = TallyRegressor().fit(frame[["SW", "PL", "PW"]], frame["SL"])
    assert estimator.feature_names_in_.tolist() == ["SW", "PL", "PW"]
    assert estimator.model_.tables["coefficients"]["attribute"] == ("SW", "PL", "PW", "intercept")
    assert np.isfinite(estimator.predict(frame[["SW", "PL", "PW"]])).all()
    plain = TallyRegressor().fit(frame[["SW"]].rename(columns={"SW": "y"}), frame["SL"])
    assert plain.model_.targets == ("y_",)


def test_inputs_that_others_determine_are_refused_or_left_out() -> None:
    twins = np.column_stack([FLOWERS, FLOWERS[:, 0]])
    y = FLOWERS[:, 3] + np.arange(150) % 7
    with pytest.raises(ValueError, match=r"the inputs are singular: attribute \[x4\]"):
        TallyRegressor().fit(twins, y)
    estimator = TallyRegressor(svdreduce=True).fit(twins, y)
    close(estimator.coef_, [*TallyRegressor().fit(FLOWERS, y).coef_, 0.0])
    close(estimator.predict(twins), twins @ estimator.coef_ + estimator.intercept_)
    two = SPECIES < 2
    classes = TallyClassifier(svdreduce=True).fit(twins[two], NAMES[two])
    assert classes.coef_.shape == (1, 5)
    assert classes.coef_[0, 4] == 0


def test_it_works_inside_pipelines_and_searches() -> None:
    scored = cross_val_score(make_pipeline(StandardScaler(), TallyClassifier()), WINES, REGIONS)
    assert scored.mean() > 0.95
    grid = {"parameters": [{"lambda": 10.0**power} for power in range(-4, 2)]}
    search = GridSearchCV(TallyRegressor("ridge"), grid).fit(X, Y)
    assert search.best_params_["parameters"]["lambda"] < 10
    again = clone(search.best_estimator_)
    with pytest.raises(NotFittedError):
        again.predict(X)


def test_what_cannot_be_done_says_why() -> None:
    with pytest.raises(ValueError, match="algo='lda' is none of mlr, ridge, "):
        TallyRegressor("lda").fit(X, Y)
    with pytest.raises(ValueError, match=r"lambda: -1\.0 is not a number from 0 up"):
        TallyRegressor("ridge", {"lambda": -1.0}).fit(X, Y)
    with pytest.raises(ValueError, match="tells 2 classes apart, y has 3: choose 'mlda'"):
        TallyClassifier("lda").fit(FLOWERS, NAMES)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        TallyClassifier().partial_fit(FLOWERS, NAMES)
    fitted = TallyClassifier().fit(FLOWERS, NAMES)
    with pytest.raises(ValueError, match="label 'rose' of y is none of the classes"):
        fitted.partial_fit(FLOWERS[:1], ["rose"])
    with pytest.raises(ValueError, match="are not those of the first call"):
        fitted.partial_fit(FLOWERS[:1], NAMES[:1], classes=["rose", "tulip"])
    with pytest.raises(ValueError, match="a TallyRegressor cannot be merged"):
        fitted.merge(TallyRegressor())
    with pytest.raises(ValueError, match=r"are not \('x0', 'x1', 'x2', 'x3'\)"):
        fitted.merge(TallyClassifier().fit(WINES, REGIONS))
    with pytest.raises(ValueError, match="classes"):
        fitted.merge(TallyClassifier().fit(FLOWERS, SPECIES))
    with pytest.raises(NotFittedError):
        TallyRegressor().forget(X, Y)
    little = TallyRegressor().partial_fit(X[:3], Y[:3])
    with pytest.raises(ValueError, match="3 rows are too few for 10 inputs"):
        little.predict(X)
    with pytest.raises(ValueError, match="442 rows would be forgotten, but 3 were learned"):
        little.forget(X, Y)
