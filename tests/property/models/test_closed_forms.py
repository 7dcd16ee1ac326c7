"""The families against what defines them, computed from the rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from tally.engine.rows import Rows
from tally.engine.summary import Summary
from tally.models.attributes import Chosen
from tally.models.base import Statistics
from tally.models.families import family
from tally.models.fitting import fit
from tally.models.model import Model

Floats = NDArray[np.float64]
laws = settings(max_examples=15)
seeds = st.integers(0, 2**32 - 1)

N, P = 60, 4


def rows_of(seed: int) -> tuple[Floats, Floats, Floats]:
    """Return inputs (n, p) that depend on each other, a number, and a class of 0 and 1."""
    random = np.random.default_rng(seed)
    mixed = random.normal(size=(N, P)) @ (np.eye(P) + random.uniform(-0.2, 0.2, size=(P, P)))
    x = mixed * 10.0 ** random.integers(-3, 4, size=P) + random.normal(size=P) * 5
    y = random.normal(size=N) + (x - x.mean(0)) / x.std(0) @ random.normal(size=P)
    t = (y + random.normal(size=N) > np.median(y)).astype(float)
    return x, y, t


def statistics_of(x: Floats, target: Floats, kind: str) -> Statistics:
    names = (*(f"x{k}" for k in range(x.shape[1])), "target")
    draft = Summary.empty().draft()
    types = "C" * x.shape[1] + kind
    draft.add(Rows(names, types, (None,) * len(names), np.column_stack([x, target])))
    return Statistics(draft.done())


def fitted(algo: str, x: Floats, target: Floats, kind: str = "C", **parameters: str) -> Model:
    given_ = {key.rstrip("_"): value for key, value in parameters.items()}
    p = x.shape[1]
    chosen = Chosen(tuple(range(p)), (p,))
    return fit(family(algo), statistics_of(x, target, kind), chosen, given_)


def answered(model: Model, x: Floats, key: str = "res") -> Floats:
    found = model.predict({f"x{k}": x[:, k] for k in range(x.shape[1])}, len(x))[key]
    return np.asarray(found, float)


def column(model: Model, name: str, table: str = "coefficients") -> Floats:
    return np.asarray(model.tables[table][name], float)


@laws
@given(seeds)
def test_mlr_is_least_squares_on_the_rows(seed: int) -> None:
    x, y, _ = rows_of(seed)
    model = fitted("mlr", x, y)
    center, scale = x.mean(0), np.append(x.std(0), 1.0)
    design = np.column_stack([x - center, np.ones(N)])
    q, r = np.linalg.qr(design / scale)
    b = np.linalg.solve(r, q.T @ y) / scale
    residuals = y - design @ b
    sigma2 = residuals @ residuals / (N - P - 1)
    np.testing.assert_allclose(column(model, "coefficient")[:P], b[:P], rtol=1e-8)
    np.testing.assert_allclose(answered(model, x), design @ b, rtol=1e-8, atol=1e-9)
    inverse = np.linalg.inv(r)
    covariance = sigma2 * (inverse @ inverse.T) / np.outer(scale, scale)
    # From the intercept at the means to that at 0.
    at_zero = np.append(-center, 1.0)
    errors = np.append(np.sqrt(covariance.diagonal()[:P]), np.sqrt(at_zero @ covariance @ at_zero))
    np.testing.assert_allclose(column(model, "std.error"), errors, rtol=1e-6)
    likelihood = stats.norm.logpdf(residuals, scale=np.sqrt(residuals @ residuals / N)).sum()
    assert model.info["aic"] == pytest.approx(2 * (P + 1) - 2 * likelihood)


@laws
@given(seeds, st.floats(1e-4, 10), st.floats(0.05, 1))
def test_an_elastic_net_is_where_its_gradient_is_zero(
    seed: int, penalty: float, mix: float
) -> None:
    x, y, _ = rows_of(seed)
    model = fitted("elasticnet", x, y, lambda_=repr(penalty), eta=repr(mix))
    scale = x.std(0)
    b = column(model, "coefficient")[:P] * scale
    z = (x - x.mean(0)) / scale
    gradient = z.T @ (y - answered(model, x)) / N - penalty * (1 - mix) * b
    bound = penalty * mix
    active = b != 0
    np.testing.assert_allclose(gradient[active], bound * np.sign(b[active]), atol=1e-9)
    assert (np.abs(gradient[~active]) <= bound + 1e-9).all()


@laws
@given(seeds, st.floats(1e-4, 10))
def test_ridge_is_least_squares_with_rows_for_its_penalty(seed: int, penalty: float) -> None:
    x, y, _ = rows_of(seed)
    model = fitted("ridge", x, y, lambda_=repr(penalty))
    z = (x - x.mean(0)) / x.std(0)
    longer = np.vstack([z, np.sqrt(N * penalty) * np.eye(P)])
    b = np.linalg.lstsq(longer, np.append(y - y.mean(), np.zeros(P)), rcond=None)[0]
    np.testing.assert_allclose(answered(model, x), y.mean() + z @ b, rtol=1e-8, atol=1e-9)


@laws
@given(seeds, st.integers(1, P))
def test_partial_least_squares_is_the_best_in_its_krylov_space(seed: int, q: int) -> None:
    x, y, _ = rows_of(seed)
    model = fitted("plsq", x, y, q=str(q))
    z = (x - x.mean(0)) / x.std(0)
    a, c = z.T @ z / N, z.T @ (y - y.mean()) / N
    vectors = [c / np.linalg.norm(c)]
    for _ in range(q - 1):
        turned = a @ vectors[-1]
        for _ in range(2):
            for v in vectors:
                turned = turned - (v @ turned) * v
        vectors.append(turned / np.linalg.norm(turned))
    scores = z @ np.array(vectors).T
    b = np.linalg.lstsq(scores, y - y.mean(), rcond=None)[0]
    np.testing.assert_allclose(answered(model, x), y.mean() + scores @ b, rtol=1e-6, atol=1e-6)


@laws
@given(seeds, st.integers(1, P))
def test_principal_components_regression_is_least_squares_on_the_components(
    seed: int, q: int
) -> None:
    x, y, _ = rows_of(seed)
    model = fitted("pcr", x, y, q=str(q), oneq="true")
    z = (x - x.mean(0)) / x.std(0)
    scores = np.linalg.svd(z, full_matrices=False)[0][:, :q]
    expected = y.mean() + scores @ (scores.T @ (y - y.mean()))
    np.testing.assert_allclose(answered(model, x), expected, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(answered(model, x, str(q)), expected, rtol=1e-7, atol=1e-7)


@laws
@given(seeds, st.floats(1e-3, 1e3), st.booleans())
def test_proximal_machines_solve_the_system_of_the_textbook(
    seed: int, nu: float, classes: bool
) -> None:
    x, y, t = rows_of(seed)
    x = (x - x.mean(0)) / x.std(0) + 1
    target = 2 * t - 1 if classes else y
    e = np.column_stack([x, -np.ones(N)])
    solved = np.linalg.solve(np.eye(P + 1) / nu + e.T @ e, e.T @ target)
    given_ = {"sml_model_svm_nu": repr(nu)}
    if classes:
        model = fitted("lsvm", x, t, "B", **given_)
        np.testing.assert_allclose(answered(model, x, "resZ"), e @ solved, rtol=1e-7, atol=1e-8)
        np.testing.assert_array_equal(answered(model, x), e @ solved > 0)
    else:
        model = fitted("lsvr", x, y, **given_)
        np.testing.assert_allclose(answered(model, x), e @ solved, rtol=1e-7, atol=1e-8)
    assert model.info["svmGamma"] == pytest.approx(solved[-1], rel=1e-7, abs=1e-8)


def parts_of(x: Floats, t: Floats) -> Mapping[str, Floats]:
    return {"0": x[t == 0], "1": x[t == 1]}


@laws
@given(seeds)
def test_lda_is_that_of_the_scatter_within_the_classes(seed: int) -> None:
    x, _, t = rows_of(seed)
    model = fitted("lda", x, t, "B")
    zero, one = parts_of(x, t).values()
    within = ((zero - zero.mean(0)).T @ (zero - zero.mean(0))) / (N - 2)
    within += ((one - one.mean(0)).T @ (one - one.mean(0))) / (N - 2)
    difference = one.mean(0) - zero.mean(0)
    w = np.linalg.solve(within, difference)
    np.testing.assert_allclose(column(model, "coefficient"), w, rtol=1e-6)
    assert model.info["distance"] == pytest.approx(np.sqrt(w @ difference), rel=1e-8)
    above = x @ w - w @ (one.mean(0) + zero.mean(0)) / 2
    np.testing.assert_array_equal(answered(model, x), above > 0)


@laws
@given(seeds)
def test_discriminants_of_partitions_are_log_densities(seed: int) -> None:
    x, _, t = rows_of(seed)
    parts = parts_of(x, t)
    summaries = {}
    for name, rows in parts.items():
        draft = Summary.empty().draft()
        names = tuple(f"x{k}" for k in range(P))
        draft.add(Rows(names, "C" * P, (None,) * P, rows))
        summaries[name] = draft.done()
    draft = summaries["0"].draft()
    draft.merge(summaries["1"])
    source = Statistics(draft.done(), summaries, "class")
    chosen = Chosen(tuple(range(P)), ())
    scale = x.std(0)
    pooled = sum(np.cov(rows.T) * (len(rows) - 1) for rows in parts.values()) / (N - 2)
    linear, quadratic = (fit(family(algo), source, chosen, {}) for algo in ("mlda", "mqda"))
    expected = {}
    for name, rows in parts.items():
        prior = np.log(len(rows) / N)
        own = normal_log(x / scale, rows.mean(0) / scale, np.cov((rows / scale).T))
        own -= np.log(scale).sum()
        found = answered(quadratic, x, name)
        np.testing.assert_allclose(found, own + prior, rtol=1e-6, atol=1e-6)
        shared = pooled / np.outer(scale, scale)
        expected[name] = normal_log(x / scale, rows.mean(0) / scale, shared) + prior
    apart = answered(linear, x, "1") - answered(linear, x, "0")
    np.testing.assert_allclose(apart, expected["1"] - expected["0"], rtol=1e-6, atol=1e-6)


def normal_log(x: Floats, mean: Floats, covariance: Floats) -> Floats:
    """Return the logarithm of a normal density, but for its factor of 2 pi."""
    white = np.linalg.solve(np.linalg.cholesky(covariance), (x - mean).T)
    found: Floats = -(white**2).sum(0) / 2 - np.linalg.slogdet(covariance)[1] / 2
    return found


@laws
@given(seeds)
def test_naive_bayes_is_a_product_of_normal_densities(seed: int) -> None:
    x, _, t = rows_of(seed)
    model = fitted("bayes", x, t, "B")
    log = [
        np.log(len(rows) / N) + stats.norm.logpdf(x, rows.mean(0), rows.std(0)).sum(1)
        for rows in parts_of(x, t).values()
    ]
    expected = 1 / (1 + np.exp(np.clip(log[0] - log[1], -700, 700)))
    np.testing.assert_allclose(answered(model, x, "prob1"), expected, rtol=1e-6, atol=1e-12)
    np.testing.assert_array_equal(answered(model, x), log[1] > log[0])


@laws
@given(seeds, st.lists(st.booleans(), min_size=P, max_size=P))
def test_what_is_missing_is_what_a_regression_on_the_rest_expects(
    seed: int, known: list[bool]
) -> None:
    x, y, _ = rows_of(seed)
    model = fitted("mlr", x, y)
    here = [k for k in range(P) if known[k]]
    row = {f"x{k}": x[:1, k] for k in here}
    filled = x[:1].copy()
    design = np.column_stack([*(x[:, k] - x[:, k].mean() for k in here), np.ones(N)])
    for k in range(P):
        if not known[k]:
            b = np.linalg.lstsq(design, x[:, k], rcond=None)[0]
            filled[0, k] = design[0] @ b
    found = np.asarray(model.predict(row, 1, impute=True)["res"], float)
    np.testing.assert_allclose(found, answered(model, filled), rtol=1e-6, atol=1e-6)


@laws
@given(seeds, st.floats(0.01, 0.5))
def test_the_graphical_lasso_is_where_its_gradient_is_zero(seed: int, penalty: float) -> None:
    x, y, _ = rows_of(seed)
    z = (x - x.mean(0)) / x.std(0)
    source = statistics_of(z, y, "C")
    given_ = {"estimate_type": "graph_lasso", "lambda": repr(penalty)}
    model = fit(family("covest"), source, Chosen(tuple(range(P)), ()), given_)
    theta = np.array([column(model, f"x{k}", "theta") for k in range(P)])
    gradient = np.linalg.inv(theta) - np.cov(z.T, bias=True)
    np.testing.assert_allclose(gradient.diagonal(), 0, atol=1e-7)
    off = ~np.eye(P, dtype=bool)
    active = off & (theta != 0)
    np.testing.assert_allclose(gradient[active], penalty * np.sign(theta[active]), atol=1e-7)
    assert (np.abs(gradient[off]) <= penalty + 1e-7).all()
