"""The numbers that the families must reach on Iris, from the libraries that define them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tally.models.linear import Linear
from tally.models.model import Cells, Model
from tests.unit.models.iris import (
    SETOSA,
    SPECIES,
    VERSICOLOR,
    VIRGINICA,
    X3,
    X4,
    Floats,
    answers,
    build,
    columns,
    partitioned,
    table,
)

SL = ("0",)


def close(expected: Any) -> Any:
    """Return what equals the same numbers to eight digits."""
    return pytest.approx(expected, rel=1e-8)


def coefficients(model: Model) -> list[float]:
    """Return the coefficients and then the intercept."""
    found = model.tables["coefficients" if "coefficients" in model.tables else "model"]
    last = list(found)[1] if "coefficients" in model.tables else list(found)[-1]
    return [float(value) for value in found[last]]


def confusion(model: Model, target: int, key: str = "res") -> tuple[object, ...]:
    """Return true positives, false positives, and accuracy."""
    truth = table()[1][:, target] == 1
    found = answers(model, key) == 1
    return int((found & truth).sum()), int((found & ~truth).sum()), float((found == truth).mean())


def auc(model: Model, target: int, key: str) -> float:
    truth, score = table()[1][:, target] == 1, answers(model, key)
    above = score[truth][:, None] - score[~truth]
    return float(((above > 0) + 0.5 * (above == 0)).mean())


def test_mlr_tells_what_statsmodels_tells() -> None:
    model = build("mlr", X3, SL)
    found = model.tables["coefficients"]
    assert found["attribute"] == ("sepal_width", "petal_length", "petal_width", "intercept")
    expected = {
        "coefficient": [
            0.6548642427853542, 0.7110629145526262, -0.5625678605519066, 1.8450608032166143,
        ],
        "std.error": [
            0.06666949060300685, 0.056614796475069985, 0.12711108285128417, 0.2504224582117963,
        ],
        "scores": [9.822547568044854, 12.559665649698816, -4.42579708970061, 7.367792874455944],
        "p.values": [
            8.529018586159027e-18, 5.409930484606795e-25, 1.8689551990594722e-05,
            1.1815774112773628e-11,
        ],
        "ci.low": [0.5231022847381186, 0.5991725075534085, -0.8137832967957561, 1.35013946611703],
        "ci.high": [
            0.7866262008325897, 0.8229533215518439, -0.311352424308057, 2.3399821403161987,
        ],
    }  # fmt: skip
    for column, values in expected.items():
        assert list(found[column]) == close(values), column
    assert model.info["sse"] == close(14.383598707186142)
    assert model.info["sigma2"] == close(0.09851779936428864)
    assert model.info["r2"] == close(0.8592166649106592)
    assert model.info["rmse"] == close(0.3096621676083593)
    errors = np.abs(answers(model, "res") - table()[1][:, 0])
    assert errors.mean() == close(0.249573952369386)
    predicted = [4.535565951525374, 4.748884825891162, 4.885477541624961, 5.540341784410315]
    assert answers(model, "res", [0, 1, 2, 5]) == close(predicted)


def test_a_missing_input_is_the_mean_or_what_the_others_let_expect() -> None:
    model = build("mlr", X3, SL)
    row: dict[str, Cells] = {"sepal_width": np.array([3.0]), "petal_length": ["1.1"]}
    assert model.predict(row, 1)["res"][0] == close(3.9174913953990136)
    imputed = model.predict(row, 1, impute=True)["res"][0]
    assert imputed == close(4.559425210494885)
    zero = model.predict({**row, "petal_width": ["0"]}, 1)["res"][0]
    assert zero == close(4.591822737580566)


@pytest.mark.parametrize(
    ("algo", "parameters", "standardized", "raw"),
    [
        (
            "ridge", {"lambda": "1"},
            (0.114694319144, 0.150565162246, 0.287806100595, 4.58214904693),
            (0.0528812605, 0.2821139999, 0.0990568212, 4.5027253665),
        ),
        (
            "lasso", {"lambda": ".1"},
            (0.197426560997, 0.372662051763, 0, 3.83968018415),
            (0, 0.3767888156, 0, 4.4271097719),
        ),
        (
            "elasticnet", {"lambda": ".1", "eta": ".5"},
            (0.332373881884, 0.373287394613, 0.0554452344888, 3.35874025643),
            (0.1692605045, 0.4039178013, 0, 3.8082193767),
        ),
        (
            "elasticnet", {"lambda": ".01", "eta": "0.5"},
            (0.593916984538, 0.572380441398, -0.258357393042, 2.18780797195),
            (0.5712156656, 0.5901987977, -0.2992542155, 2.2391861960),
        ),
    ],
)  # fmt: skip
def test_penalised_regressions_are_those_of_scikit_learn(
    algo: str,
    parameters: dict[str, str],
    standardized: tuple[float, ...],
    raw: tuple[float, ...],
) -> None:
    model = build(algo, X3, SL, None, parameters)
    assert coefficients(model) == close(standardized)
    model = build(algo, X3, SL, None, parameters, standardize="false")
    assert coefficients(model) == close(raw)


def test_a_descent_that_does_not_come_to_its_end_warns() -> None:
    twins = tuple(map(str, range(4, 12)))  # of these, each two make 1
    short, whole = (
        build("lasso", twins, SL, lambda_="1e-9", maxiter=count).info for count in ("1", "100000")
    )
    assert short["converged"] is False
    assert str(short["warning"]).startswith("the descent did not come to its end in 1 sweeps")
    assert whole["converged"] is True
    assert "warning" not in whole


def test_a_lasso_with_a_large_penalty_predicts_the_mean() -> None:
    model = build("lasso", X3, SL, lambda_="1")
    assert coefficients(model) == [0, 0, 0, 5.843333333333334]


def test_ridge_has_the_standard_errors_of_its_sandwich() -> None:
    found = build("ridge", X3, SL, lambda_="1").tables["coefficients"]["std.error"]
    expected = [0.0443264631727, 0.00780372381581, 0.0185663108927]
    assert list(found[:3]) == close(expected)


def test_a_ridge_of_another_scale_is_the_classical_one() -> None:
    model = build("ridge", X3, SL, lambda_=repr(1 / 150), standardize="false")
    expected = [0.612228810881, 0.652190907952, -0.435147902766, 2.043815605]
    assert coefficients(model) == close(expected)


def test_aicc_finds_the_penalty_that_the_data_support() -> None:
    model = build("elasticnet", X3, SL, aicc="true")
    assert model.info["eta"] == 0
    assert model.info["lambda"] == close(4.977023564332113e-4)
    assert model.info["aicc_value"] == close(-343.422071286)
    expected = [0.6521493, 0.70401316, -0.54715358, 1.86137333]
    assert coefficients(model) == pytest.approx(expected, rel=1e-7)
    plain = build("ridge", X3, SL, aicc="1", min_lambda_power="-99", num_lambda="1")
    assert plain.info["aicc_value"] == close(-343.406145228)


@pytest.mark.parametrize(
    ("algo", "parameters", "expected", "rmse"),
    [
        ("pcr", {}, (0.498534758548, 0.217676488333, 0.542339939052, 2.85255001297),
         0.383010944136),
        ("pcr", {"standardize": "false"},
         (0.538876692957, 0.36256601497, 0.236380795989, 2.55149733732), None),
        ("plsq", {}, (0.530019033981, 0.249906756857, 0.477179599581, 2.71335972675),
         0.374973484161),
        ("plsq", {"standardize": "false"},
         (0.615511848545, 0.449254526872, 0.049662014285, 2.21543393175), None),
    ],
)  # fmt: skip
def test_regressions_on_two_components(
    algo: str, parameters: dict[str, str], expected: tuple[float, ...], rmse: float | None
) -> None:
    model = build(algo, X3, SL, None, parameters, q="2")
    assert coefficients(model) == close(expected)
    if rmse is not None:
        assert model.info["rmse"] == close(rmse)
    assert tuple(model.predict(columns(), 150)) == ("res", "1", "2")


@pytest.mark.parametrize("algo", ["pcr", "plsq"])
@pytest.mark.parametrize("standardize", ["true", "false"])
def test_all_components_are_least_squares(algo: str, standardize: str) -> None:
    model = build(algo, X3, SL, q="3", standardize=standardize)
    assert coefficients(model) == pytest.approx(coefficients(build("mlr", X3, SL)), rel=1e-9)


def test_pcr_selects_among_inputs_and_components_alike() -> None:
    model = build("pcr", X3, SL, pcr_type="full", lambda_=".1")
    expected = [0.386260201772, 0.459038250618, -0.160564969052, 3.13078678204]
    assert coefficients(model) == close(expected)
    assert model.rule.keys == ("res",)


@pytest.mark.parametrize(
    ("target", "weights", "z0", "contribution"),
    [
        (VERSICOLOR, (-0.128708538344, -2.63279278498, 1.30545547479, -2.88660428074),
         -7.09026702117, 1.23856382112),
        (SETOSA, (3.14768357512, 11.6269472342, -10.6817449057, -3.03779607379),
         17.3631565584, 6.59632568651),
    ],
)  # fmt: skip
def test_lda_finds_the_published_direction(
    target: str, weights: tuple[float, ...], z0: float, contribution: float
) -> None:
    model = build("lda", X4, [target])
    assert list(model.tables["coefficients"]["coefficient"]) == close(weights)
    assert model.info["z0"] == close(z0)
    assert model.info["OverallContribution"] == close(contribution)


def test_lda_tells_versicolor_as_well_as_one_line_can() -> None:
    model = build("lda", X4, [VERSICOLOR])
    assert confusion(model, 13) == (40, 26, 0.76)
    assert confusion(model, 13, "resU") == (24, 14, pytest.approx(0.73333, abs=1e-5))
    assert auc(model, 13, "normZ") == pytest.approx(0.8258, abs=5e-5)
    rows = [0, 75, 149]
    projected = [-7.30448447562, -4.87486867292, -9.65798780765]
    normed = [0.492447352118, 0.577484693947, 0.410439873994]
    assert answers(model, "resZ", rows) == close(projected)
    assert answers(model, "normZ", rows) == close(normed)
    assert answers(model, "res", rows).tolist() == [0, 1, 0]
    assert confusion(build("lda", X4, [SETOSA]), 12)[2] == 1


def test_lda_is_what_published_servers_answered() -> None:
    model = build("lda", X3_OF_FIRST, ["3"])
    row = {"sepal_length": ["4.3"], "sepal_width": ["3"], "petal_length": ["1.1"]}
    found = model.predict(row, 1)
    assert found["resZ"][0] == close(-0.4559922893809558)
    assert found["z0"][0] == close(-3.840891864408794)
    weights = (0.26570302, -0.28908743, -0.66477546)
    table_ = model.tables["coefficients"]
    assert list(table_["coefficient"]) == pytest.approx(weights, rel=1e-7)
    filled = model.predict({"petal_length": ["1.5"], "sepal_width": ["5"]}, 1)["resZ"][0]
    assert filled == close(-0.8900089953955936)

    setosa = build("lda", X4, [SETOSA])
    assert setosa.info["z"] == '"l0 <- c(3.14768 ,11.6269 ,-10.6817 ,-3.0378 )\\n"'
    assert setosa.info["OverallContribution"] == pytest.approx(6.5963256865144695, rel=1e-12)
    assert setosa.info["z0"] == pytest.approx(17.363156558415202, rel=1e-12)

    score = np.sort(answers(build("lda", X4, [VERSICOLOR]), "normZ"))[::-1].reshape(10, 15)
    deciles = score.mean(axis=1)[[0, 1, 2, 9]]
    assert deciles == pytest.approx([0.5743831, 0.5472461, 0.524552, 0.4045657], abs=5e-8)

    reduced = (*X4, "8", "6", "11")
    weights_ = build("lda", reduced, [VERSICOLOR]).tables["coefficients"]["coefficient"]
    # That build divided the scatter by n - 1.
    assert float(weights_[2]) * 149 / 148 == close(-8.780458794255027)


X3_OF_FIRST = ("0", "1", "2")


@pytest.mark.parametrize("partitions", [False, True])
def test_mlda_tells_three_classes(partitions: bool) -> None:
    if partitions:
        model = build("mlda", X4, [], partitioned())
    else:
        model = build("mlda", X4, [SETOSA, VERSICOLOR, VIRGINICA])
    assert correct(model) == [50, 48, 49]
    discriminants = [answers(model, name, [75])[0] for name in SPECIES]
    expected = [21.2657706381, 73.5959541205, 66.1162011057]
    assert discriminants == close(expected)
    assert answers(model, "resZ", [75])[0] == close(max(expected))


def test_mqda_tells_three_classes() -> None:
    model = build("mqda", X4, [], partitioned())
    assert correct(model) == [50, 48, 49]
    discriminants = [answers(model, name, [75])[0] for name in SPECIES]
    expected = [-189.687091124, 1.45963198688, -5.34957805478]
    assert discriminants == close(expected)


def test_bayes_of_continuous_inputs() -> None:
    assert correct(build("bayes", X4, [SETOSA, VERSICOLOR, VIRGINICA])) == [50, 47, 47]
    assert correct(build("bayes", X4, ["species"], partitioned())) == [50, 47, 47]
    model = build("bayes", X4, [VERSICOLOR])
    assert confusion(model, 13) == (45, 6, pytest.approx(0.926667, abs=1e-6))
    assert auc(model, 13, "prob1") == pytest.approx(0.9818, abs=5e-5)
    assert answers(model, "prob1", [75])[0] == close(0.987701308812)
    assert confusion(build("bayes", X4, [SETOSA]), 12)[2] == 1
    means, variances = model.tables["means"], model.tables["variances"]
    assert [means["1"][2], variances["1"][2]] == close([4.26, 0.2164])
    assert [means["0"][2], variances["0"][2]] == close([3.508, 4.341936])


def test_bayes_of_binary_inputs() -> None:
    model = build("bayes", [str(i) for i in range(4, 12)], [VERSICOLOR])
    assert confusion(model, 13)[2] == pytest.approx(0.633333, abs=1e-6)
    expected = [2.4010221579993e-05, 0.978850322055]
    assert answers(model, "prob1", [0, 75]) == close(expected)


def test_proximal_machines() -> None:
    setosa, versicolor = build("lsvm", X4, [SETOSA]), build("lsvm", X4, [VERSICOLOR])
    expected = [0.0808974441341, 0.44104657483, -0.436333572444, -0.115146658638]
    assert coefficients(setosa) == close(expected)
    assert setosa.info["svmGamma"] == close(0.372462306929)
    assert confusion(setosa, 12)[2] == 1
    expected = [0.109379612312, -0.78243697176, 0.349669216278, -0.861657104522]
    assert coefficients(versicolor) == close(expected)
    assert versicolor.info["svmGamma"] == close(-1.12811648892)
    assert confusion(versicolor, 13)[2] == pytest.approx(0.733333, abs=1e-6)
    regression = build("lsvr", X3, SL)
    expected = [0.807252675592, 0.733582600479, -0.557708229056]
    assert coefficients(regression) == close(expected)
    assert regression.info["svmGamma"] == close(-1.28065972679)
    assert answers(regression, "res", [0])[0] == close(4.45358779119)


def test_covest_shrinks_by_as_much_as_its_tunings_say() -> None:
    model = build("covest", X4, [], estimate_type="l2_reg_sig", tuning_type="oas")
    assert model.info["alpha"] == close(0.0156158336093)
    estimate = model.tables["cxx_est"]
    assert estimate["sepal_length"][0] == close(0.688205331845)
    assert estimate["petal_length"][0] == close(1.24543409724)
    model = build("covest", X4, [], estimate_type="l2_reg_sig", tuning_type="rblw")
    assert model.info["alpha"] == close(0.0199798913522)


def test_covest_finds_the_pairs_that_matter() -> None:
    found = build("covest", X4, [], estimate_type="graph_lasso", lambda_=".1").tables["theta"]
    theta = np.array([found[name] for name in found["attribute"]], float)
    expected: Floats = np.array(
        [
            [4.130673978, 0, -1.556391756, 0],
            [0, 5.842455004, 0.414825325, 0],
            [-1.556391756, 0.414825325, 2.145066421, -3.139462538],
            [0, 0, -3.139462538, 8.173937166],
        ]
    )
    assert theta == close(expected)
    assert (theta == 0).sum() == 6


def correct(model: Model) -> list[int]:
    """Return how many rows of each species are told."""
    found, values = answers(model, "res"), table()[1]
    return [int((found[values[:, 12 + k] == 1] == name).sum()) for k, name in enumerate(SPECIES)]


def test_a_regression_goes_through_the_means() -> None:
    rule = build("mlr", X3, SL).rule
    assert isinstance(rule, Linear)
    assert rule.answer(rule.center[None])["res"] == pytest.approx([5.843333333333334])
