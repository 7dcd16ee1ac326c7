from __future__ import annotations

import numpy as np
import pytest

from tally.errors import FitFailed, InvalidInput
from tally.models.attributes import choose
from tally.models.base import Source, Statistics
from tally.models.extra import extra
from tally.models.families import family
from tally.models.fitting import check, fit
from tally.models.penalties import Point, aicc, best
from tests.unit.models.iris import (
    SETOSA,
    VERSICOLOR,
    VIRGINICA,
    X3,
    X4,
    build,
    plain,
    summary_of,
    table,
)


class Stopped(Exception):
    """What a job raises to end a fit."""


@pytest.mark.parametrize(
    ("algo", "parameters"),
    [
        ("elasticnet", {"aicc": "true"}),
        ("lasso", {"lambda": "0.1"}),
        ("ridge", {"aicc": "true"}),
        ("pcr", {"pcr_type": "full", "aicc": "true"}),
        ("covest", {"estimate_type": "graph_lasso", "tuning_type": "ebic"}),
        ("plsq", {"q": "3"}),
        ("mlr", {}),
    ],
)
def test_a_fit_of_many_steps_ends_where_its_checkpoint_raises(
    algo: str, parameters: dict[str, str]
) -> None:
    calls = 0

    def checkpoint() -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise Stopped

    line = family(algo)
    chosen = choose(line, plain(), X3, ("0",))
    with pytest.raises(Stopped):
        fit(line, plain(), chosen, parameters, checkpoint=checkpoint)
    assert calls == 2


def test_a_model_knows_what_it_was_made_from() -> None:
    line = family("mlr")
    chosen = choose(line, plain(), X3, ("0",))
    sources = (Source("north", "12", 100), Source("south", "7", 50))
    model = fit(line, plain(), chosen, {"owner": "Ann"}, sources=sources)
    assert model.sources == sources
    assert (model.rows, model.learned) == (150, 150)
    assert model.info["owner"] == "Ann"
    assert model.targets == ("sepal_length",)


@pytest.mark.parametrize(
    ("algo", "parameters", "text"),
    [
        ("ridge", {"lambda": "-1"}, "lambda: -1 is not a number from 0 up"),
        ("ridge", {"lambda": "inf"}, "lambda: inf is not a number from 0 up"),
        ("ridge", {"lambda": "nan"}, "lambda: nan is not a number from 0 up"),
        ("elasticnet", {"eta": "1.5"}, "eta: 1.5 is not a number from 0 to 1"),
        ("lasso", {"maxiter": "2.5"}, "maxiter: 2.5 is not a whole number from 1 to 1e"),
        ("lasso", {"standardize": "maybe"}, "standardize: 'maybe' is neither true nor false"),
        ("lasso", {"aicc": "1", "num_lambda": "0"}, "num_lambda: 0 is not a whole number from 1"),
        (
            "lasso",
            {"aicc": "1", "min_lambda_power": "4"},
            "max_lambda_power: 3 is below min_lambda_power 4",
        ),
        (
            "elasticnet",
            {"aicc": "1", "min_eta": "0.5", "max_eta": "0.2"},
            "max_eta: 0.2 is below min_eta 0.5",
        ),
        ("pcr", {}, "q: is missing: the number of components"),
        ("plsq", {}, "q: is missing: the number of components"),
        ("pcr", {"pcr_type": "half"}, "pcr_type: 'half' is none of qfirst, full"),
        ("covest", {}, "estimate_type: '' is none of l2_reg_thinkhonov"),
        ("covest", {"estimate_type": "eigen_trunc"}, "q: is missing"),
        ("lda", {"estimate_type": "graph_lasso"}, "estimate_type: graph_lasso is for covest alone"),
    ],
)
def test_a_parameter_out_of_range_is_refused_by_name_and_value(
    algo: str, parameters: dict[str, str], text: str
) -> None:
    with pytest.raises(InvalidInput, match=f"^{text}"):
        check(family(algo), parameters)


def test_more_components_than_there_are_is_refused() -> None:
    with pytest.raises(FitFailed, match=r"^4 components, but the inputs have only 3"):
        build("pcr", X3, ("0",), q="4")
    with pytest.raises(FitFailed, match=r"^4 components of 3 inputs: choose a smaller q"):
        build("plsq", X3, ("0",), q="4")


def test_each_column_and_each_number_is_a_table_too() -> None:
    model = build("mlr", X3, ("0",))
    found = extra(model)
    assert {"coefficients", "coefficient", "scores", "p.values", "ci.low", "ci.high"} <= set(found)
    assert found["mean_sepal_length"]["mean_sepal_length"] == pytest.approx([5.843333333333334])
    np.testing.assert_array_equal(
        found["std.error"]["std.error"], model.tables["coefficients"]["std.error"]
    )
    assert found["model_bias"]["model_bias"] == pytest.approx([1.8450608032166143])
    assert "matrix_use_pseudoinv" not in found


def test_a_graph_is_chosen_by_its_criterion() -> None:
    model = build(
        "covest", X4, (), estimate_type="graph_lasso", tuning_type="ebic",
        min_lambda_power="-3", num_lambda="30",
    )  # fmt: skip
    values = np.asarray(model.tables["ebic_vec"]["ebic_vec"], float)
    penalties = np.asarray(model.tables["lambda_vec"]["lambda_vec"], float)
    assert model.info["lambda"] == penalties[values.argmin()]
    assert model.tables["theta"]["petal_length"][0] != 0


def test_of_equal_criteria_the_larger_penalty_wins() -> None:
    b = np.zeros(1)
    points = [Point(penalty, 1.0, b, value, 0) for penalty, value in ((1, 5), (3, 2), (2, 2))]
    assert best(points).penalty == 3
    with pytest.raises(FitFailed, match="no penalty leaves enough rows for the AICc: learn more"):
        best([Point(1.0, 1.0, b, aicc(5, 1.0, 4), 0)])


@pytest.mark.parametrize("algo", ["mlda", "bayes"])
def test_classes_that_overlap_or_leave_rows_out_are_refused(algo: str) -> None:
    with pytest.raises(FitFailed, match=r"add up to 0\.66\d* in the mean row, not to 1"):
        build(algo, X4, [SETOSA, VERSICOLOR])
    values = table()[1].copy()
    values[0, 13], values[149, 14] = 1, 0  # a row of two classes, and one of none
    with pytest.raises(FitFailed, match="overlap: each row must be of one class"):
        build(algo, X4, [SETOSA, VERSICOLOR, VIRGINICA], Statistics(summary_of(values)))
