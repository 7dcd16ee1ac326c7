"""Classifiers and covariances from merged sums against scikit-learn on the rows."""

from __future__ import annotations

import numpy as np
import pytest

from tally.models.model import Model
from tests.extras.agreement.tables import Floats, library, shipped

EXACT, ITERATED = 1e-9, 1e-6


def test_two_classes_are_divided_as_by_scikit_learns_discriminant() -> None:
    analysis = library("sklearn.discriminant_analysis")
    table = shipped("breast_cancer")
    theirs = analysis.LinearDiscriminantAnalysis(solver="lsqr").fit(table.x, table.y)
    model, answers = table.build("lda", ["is1"])
    # Ours divides the scatter by n - 2, theirs by n: the directions are the same.
    weights = np.asarray(model.tables["coefficients"]["coefficient"][: len(table.names)], float)
    n = len(table.x)
    np.testing.assert_allclose(weights * n / (n - 2), theirs.coef_[0], rtol=1e-7)
    agreed = answers("resU") == theirs.predict(table.x)
    # Their threshold has the scale of theirs, which moves the prior's part of it.
    assert agreed.mean() > 0.99


@pytest.mark.parametrize("name", ["wine", "breast_cancer"])
def test_several_classes_are_told_apart_as_by_scikit_learns_discriminant(name: str) -> None:
    analysis = library("sklearn.discriminant_analysis")
    table = shipped(name)
    theirs = analysis.LinearDiscriminantAnalysis(solver="lsqr").fit(table.x, table.y)
    priors = np.log(np.bincount(table.y.astype(int)) / len(table.x))
    # Theirs divides the scatter by n, ours by n less the classes; the priors have no scale.
    scale = len(table.x) / (len(table.x) - table.classes)
    scores = table.x @ theirs.coef_.T + theirs.intercept_
    for targets in (list(table.labels), []):
        _, answers = table.build("mlda", targets)
        told = np.array([answers(label) for label in table.labels]).T
        if table.classes == 2:  # theirs is then the difference of the two
            told, ahead = told[:, 1:] - told[:, :1], priors[1:] - priors[:1]
        else:
            ahead = priors
        np.testing.assert_allclose(told, (scores - ahead) / scale + ahead, 1e-7, 1e-7)


def test_unequal_classes_are_told_apart_as_by_scikit_learns_quadratic_discriminant() -> None:
    analysis, stats = library("sklearn.discriminant_analysis"), library("scipy.stats")
    table = shipped("wine")
    theirs = analysis.QuadraticDiscriminantAnalysis().fit(table.x, table.y)
    _, answers = table.build("mqda", [])
    best = np.array(table.labels)[theirs.predict(table.x).astype(int)]
    assert (np.array(answers("res")) == best).all()
    # Their covariances have divisor n, ours n - 1: the normal density says what ours are.
    for k, label in enumerate(table.labels):
        rows = table.x[table.y == k]
        density = stats.multivariate_normal(rows.mean(0), np.cov(rows.T))
        constant = table.x.shape[1] / 2 * np.log(2 * np.pi) + np.log(len(rows) / len(table.x))
        np.testing.assert_allclose(answers(label), density.logpdf(table.x) + constant, 1e-8)


@pytest.mark.parametrize("name", ["wine", "breast_cancer"])
def test_naive_bayes_tells_what_scikit_learns_does(name: str) -> None:
    naive_bayes = library("sklearn.naive_bayes")
    table = shipped(name)
    theirs = naive_bayes.GaussianNB(var_smoothing=0).fit(table.x, table.y)
    _, answers = table.build("bayes", list(table.labels))
    best = np.array(table.labels)[theirs.predict(table.x).astype(int)]
    assert (np.array(answers("res")) == best).all()
    np.testing.assert_allclose(answers("Prob"), theirs.predict_proba(table.x).max(1), 1e-7)


def test_the_proximal_machine_is_a_ridge_on_signs() -> None:
    linear = library("sklearn.linear_model")
    table = shipped("breast_cancer")
    wide = np.column_stack([table.x, -np.ones(len(table.x))])
    signs = 2 * table.y - 1
    ridge = linear.Ridge(alpha=1.0, fit_intercept=False, solver="svd").fit(wide, signs)
    _, answers = table.build("lsvm", ["is1"])
    np.testing.assert_allclose(answers("resZ"), ridge.predict(wide), 1e-7, 1e-7)


@pytest.mark.parametrize("name", ["wine", "diabetes"])
def test_covariances_shrink_as_scikit_learns_do(name: str) -> None:
    covariance = library("sklearn.covariance")
    table = shipped(name)
    sample = np.cov(table.x.T, bias=True)
    model, _ = table.build("covest", [], estimate_type="l2_reg_sig", alpha="0.2")
    expected = covariance.shrunk_covariance(sample, 0.2)
    np.testing.assert_allclose(_matrix(model, "cxx_est"), expected, rtol=EXACT)


def test_the_graphical_lasso_finds_scikit_learns_precision() -> None:
    covariance = library("sklearn.covariance")
    table = shipped("diabetes")
    sample = np.cov(table.x.T, bias=True)
    penalty = np.abs(sample).max() / 4
    _, expected = covariance.graphical_lasso(
        sample, penalty, tol=1e-6, enet_tol=1e-10, max_iter=1000
    )
    model, _ = table.build("covest", [], estimate_type="graph_lasso", lambda_=repr(float(penalty)))
    found = _matrix(model, "theta")
    np.testing.assert_allclose(found, expected, 1e-5, 1e-5 * np.abs(expected).max())


def _matrix(model: Model, name: str) -> Floats:
    table = model.tables[name]
    return np.array([table[column] for column in table["attribute"]], float)
