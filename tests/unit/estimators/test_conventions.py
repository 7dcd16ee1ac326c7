"""scikit-learn's own checks, over every algorithm. What is left out stands here with its reason."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.utils.estimator_checks import check_estimator

from tally.models.families import FAMILIES
from tally.sklearn import TallyClassifier, TallyRegressor

LEFT_OUT: dict[str, str] = {}
"""Checks that are expected to fail, each with its reason: none is."""

SKIPPED = {"check_array_api_input": "runs only where scikit-learn is told to use the array API"}
"""What scikit-learn itself leaves out here, and why."""

ESTIMATORS = [
    *map(TallyRegressor, ("mlr", "ridge", "lasso", "elasticnet", "lsvr")),
    TallyRegressor("pcr", {"pcr_type": "full", "lambda": 0.1}),
    TallyRegressor("plsq", {"q": 1}),
    *map(TallyClassifier, ("lda", "lsvm", "mlda", "mqda", "bayes")),
]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: estimator.algo)
def test_an_estimator_keeps_the_conventions(estimator: Any) -> None:
    told = check_estimator(estimator, expected_failed_checks=LEFT_OUT, on_skip=None, on_fail=None)
    failed = [
        f"{one['check_name']}: {one['exception']}" for one in told if one["status"] == "failed"
    ]
    assert not failed, "\n".join(failed)
    assert {one["check_name"] for one in told if one["status"] == "skipped"} <= SKIPPED.keys()
    assert len(told) > 45


def test_every_family_that_predicts_is_an_estimator() -> None:
    ours = {estimator.algo for estimator in ESTIMATORS}
    assert ours == FAMILIES.keys() - {"covest"}
