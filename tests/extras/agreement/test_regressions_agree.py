"""Regressions from merged sums against scikit-learn and statsmodels on the rows."""

from __future__ import annotations

import numpy as np
import pytest

from tests.extras.agreement.tables import coefficients, library, shipped

EXACT, ITERATED = 1e-9, 1e-6

REGRESSIONS = ["diabetes", ".stackloss", ".longley", ".statecrime", ".ccard"]


@pytest.mark.parametrize("name", REGRESSIONS)
def test_least_squares_tell_what_statsmodels_tells(name: str) -> None:
    sm = library("statsmodels.api")
    table = shipped(name)
    theirs = sm.OLS(table.y, sm.add_constant(table.x, prepend=False)).fit()
    model, answers = table.build("mlr")
    found = model.tables["coefficients"]
    expected = {
        "coefficient": theirs.params,
        "std.error": theirs.bse,
        "scores": theirs.tvalues,
        "p.values": theirs.pvalues,
        "ci.low": theirs.conf_int()[:, 0],
        "ci.high": theirs.conf_int()[:, 1],
    }
    for column, values in expected.items():
        # An interval's end may lie near 0, where its size says nothing of its digits.
        near = EXACT * np.abs(theirs.params).max() if column.startswith("ci") else 0
        np.testing.assert_allclose(
            np.asarray(found[column], float), values, EXACT, near, err_msg=column
        )
    np.testing.assert_allclose(answers("res"), theirs.fittedvalues, rtol=EXACT)
    assert float(model.info["r2"]) == pytest.approx(theirs.rsquared, rel=EXACT)
    # Theirs counts no parameter for the variance; neither do we.
    assert float(model.info["aic"]) == pytest.approx(theirs.aic, rel=EXACT)


@pytest.mark.parametrize("name", ["diabetes", ".stackloss", ".longley"])
def test_a_condition_number_is_told_of_inputs_in_any_units(name: str) -> None:
    table = shipped(name)
    model, _ = table.build("mlr")
    told = float(model.info["condition_number"])
    correlations = np.corrcoef(table.x.T)
    assert told == pytest.approx(np.linalg.cond(correlations, 1), rel=1e-6)


@pytest.mark.parametrize("name", ["diabetes", ".stackloss", ".statecrime"])
@pytest.mark.parametrize("penalty", [0.01, 1.0])
@pytest.mark.parametrize(("algo", "mix"), [("ridge", 0.0), ("lasso", 1.0), ("elasticnet", 0.5)])
def test_penalised_regressions_find_what_scikit_learn_finds(
    name: str, penalty: float, algo: str, mix: float
) -> None:
    linear = library("sklearn.linear_model")
    table = shipped(name)
    z = (table.x - table.x.mean(0)) / table.x.std(0)
    if algo == "ridge":
        theirs = linear.Ridge(alpha=penalty * len(z), solver="cholesky").fit(z, table.y)
    else:
        strict = {"tol": 1e-14, "max_iter": 10**6}
        theirs = linear.ElasticNet(alpha=penalty, l1_ratio=mix, **strict).fit(z, table.y)
    model, answers = table.build(algo, lambda_=str(penalty), eta=str(mix))
    found, _ = coefficients(model)
    tolerance = EXACT if algo == "ridge" else ITERATED
    scaled = found * table.x.std(0)
    np.testing.assert_allclose(scaled, theirs.coef_, tolerance, tolerance * table.y.std())
    np.testing.assert_allclose(answers("res"), theirs.predict(z), tolerance)


@pytest.mark.parametrize("name", ["diabetes", ".stackloss", ".statecrime"])
def test_partial_least_squares_are_those_of_scikit_learn(name: str) -> None:
    cross_decomposition = library("sklearn.cross_decomposition")
    table = shipped(name)
    theirs = cross_decomposition.PLSRegression(2).fit(table.x, table.y)
    _, answers = table.build("plsq", q="2")
    np.testing.assert_allclose(answers("res"), theirs.predict(table.x).ravel(), rtol=EXACT)


@pytest.mark.parametrize("name", ["diabetes", ".stackloss", ".statecrime"])
def test_regression_on_components_is_that_of_scikit_learn(name: str) -> None:
    linear, decomposition = library("sklearn.linear_model"), library("sklearn.decomposition")
    table = shipped(name)
    z = (table.x - table.x.mean(0)) / table.x.std(0)
    scores = decomposition.PCA(2, svd_solver="full").fit_transform(z)
    expected = linear.LinearRegression().fit(scores, table.y).predict(scores)
    _, answers = table.build("pcr", q="2")
    np.testing.assert_allclose(answers("res"), expected, rtol=EXACT)


@pytest.mark.parametrize("name", ["diabetes", ".stackloss", ".statecrime"])
def test_the_proximal_regression_is_a_ridge_whose_offset_shrinks_too(name: str) -> None:
    linear = library("sklearn.linear_model")
    table = shipped(name)
    wide = np.column_stack([table.x, -np.ones(len(table.x))])
    ridge = linear.Ridge(alpha=1 / 0.5, fit_intercept=False, solver="svd").fit(wide, table.y)
    _, answers = table.build("lsvr", sml_model_svm_nu="0.5")
    np.testing.assert_allclose(answers("res"), ridge.predict(wide), rtol=EXACT)
