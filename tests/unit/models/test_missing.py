"""Missing cells: in the rows that a model was made from, and in those that it predicts."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tally.engine.rows import Rows
from tally.engine.summary import Summary
from tally.errors import FitFailed, InvalidInput
from tally.models.attributes import Chosen, choose
from tally.models.base import Statistics
from tally.models.families import family
from tally.models.filling import MOST_KNOWN
from tally.models.fitting import fit
from tally.models.model import Model
from tally.models.moments import sample
from tests.unit.models.iris import (
    SETOSA,
    VERSICOLOR,
    VIRGINICA,
    X3,
    X4,
    answers,
    build,
    partitioned_of,
    table,
)

Floats = NDArray[np.float64]


def statistics_of(values: Floats, types: str, bases: tuple[str | None, ...] = ()) -> Statistics:
    names = tuple(f"x{k}" for k in range(len(types)))
    draft = Summary.empty().draft()
    draft.add(Rows(names, types, bases or (None,) * len(types), values))
    return Statistics(draft.done())


def mlr(values: Floats, *, reduce: bool = False, **parameters: str) -> Model:
    p = values.shape[1] - 1
    chosen = Chosen(tuple(range(p)), (p,))
    source = statistics_of(values, "C" * (p + 1))
    return fit(family("mlr"), source, chosen, parameters, reduce=reduce)


def test_moments_are_those_of_the_rows_with_both() -> None:
    values = np.random.default_rng(1).normal(size=(50, 3))
    values[:10, 0] = np.nan
    values[40:, 1] = np.nan
    found = sample(statistics_of(values, "CCC").summary, (0, 1, 2))
    assert found.n == 30
    np.testing.assert_allclose(found.mean, np.nanmean(values, axis=0))
    both = values[10:40]
    expected = np.cov(both[:, 0], both[:, 1], bias=True)[0, 1]
    assert found.covariance[0, 1] == pytest.approx(expected)


def test_covariances_that_contradict_each_other_are_replaced_by_the_nearest() -> None:
    pairs = np.full((6, 3), np.nan)
    pairs[:2, :2] = [[-1, -1], [1, 1]]
    pairs[2:4, 1:] = [[-1, -1], [1, 1]]
    pairs[4:, [0, 2]] = [[-1, 1], [1, -1]]
    found = sample(statistics_of(pairs, "CCC").summary, (0, 1, 2))
    assert found.clipped
    assert np.linalg.eigvalsh(found.covariance)[0] > -1e-12
    np.testing.assert_allclose(found.covariance.diagonal(), 1)


def test_two_attributes_that_were_never_in_one_row_are_named() -> None:
    apart = np.full((20, 3), np.nan)
    apart[:10, 0] = apart[10:, 1] = np.arange(10)
    apart[:, 2] = np.arange(20) % 7
    with pytest.raises(FitFailed, match=r"\[x0\] and \[x1\] have no row in common: learn rows"):
        mlr(apart)


@pytest.mark.parametrize(
    ("targets", "label"),
    [
        ((VIRGINICA,), "1"),
        ((SETOSA, VERSICOLOR, VIRGINICA), "Iris_virginica"),
        (("species",), "Iris_virginica"),
    ],
    ids=["one target", "a target for each class", "partitions"],
)
def test_a_class_in_which_an_input_never_occurs_is_named(
    targets: tuple[str, ...], label: str
) -> None:
    values = table()[1].copy()
    values[values[:, int(VIRGINICA)] == 1, 1] = np.nan
    told = rf"class \[{label}\] has no value of attribute \[sepal_width\]: learn rows of it"
    with pytest.raises(FitFailed, match=told):
        build("bayes", X4, targets, partitioned_of(values))


def test_many_attributes_with_missing_cells_make_a_model() -> None:
    random = np.random.default_rng(5)
    x = random.normal(size=(3000, 60))
    b = random.normal(size=60)
    values = np.column_stack([x, x @ b + 0.1 * random.normal(size=3000)])
    values[:, :60][random.random(x.shape) < 0.02] = np.nan
    model = mlr(values)
    found = np.asarray(model.tables["coefficients"]["coefficient"], float)[:60]
    np.testing.assert_allclose(found, b, atol=0.25)
    assert model.rows < 3000
    assert model.learned == 3000


def test_svdreduce_leaves_out_what_others_determine_and_says_why() -> None:
    model = build("lda", [str(i) for i in range(12)], ["13"], reduce=True)
    assert [a.index for a in model.inputs] == [0, 1, 2, 3, 4, 6, 8, 10]
    reason = "linear combination of -1 [sepal_lengt_b1] and a constant"
    assert model.dropped["sepal_lengt_b2"] == reason
    assert model.info["dropped_0"] == f"sepal_lengt_b2: {reason}"
    assert model.info["OverallContribution"] == pytest.approx(4.456338, abs=1e-6)
    constant = np.column_stack([np.ones(9), np.arange(9.0) ** 2, np.arange(9.0)])
    assert mlr(constant, reduce=True).dropped == {"x0": "constant"}


def test_an_ill_conditioned_model_carries_a_warning_or_is_refused_on_request() -> None:
    t = np.arange(40.0)
    nearly = np.column_stack([t, t + 1e-4 * np.sin(t), np.cos(t) + t])
    assert "almost determine each other" in str(mlr(nearly).info["warning"])
    with pytest.raises(FitFailed, match=r"is below sml_rcond_tolerance 1e-09: leave it out"):
        mlr(nearly, sml_rcond_use="true", sml_rcond_tolerance="1e-9")


def test_too_few_rows_are_told_with_how_many_are_needed() -> None:
    with pytest.raises(FitFailed, match="5 rows are too few for 4 inputs, 6 are needed: learn"):
        mlr(np.random.default_rng(0).normal(size=(5, 5)))


def test_a_cell_that_is_no_number_is_missing() -> None:
    model = build("mlr", X3, ("0",))
    mean = model.predict({}, 1)["res"][0]
    for cell in (None, "", "NaN", "null", "abc", "1e999", "-Infinity"):
        columns = {a.name: [cell] for a in model.inputs}
        assert model.predict(columns, 1)["res"][0] == mean
    with pytest.raises(InvalidInput, match="petal_width: 2 cells for 1 rows"):
        model.predict({"petal_width": ["1", "2"]}, 1)


def test_a_value_of_a_category_is_read_from_the_category() -> None:
    draft = Summary.empty().draft()
    names = ("c$red", "c$blue", "y")
    values = np.array([[1.0, 0, 3], [0, 1.0, 5], [0, 0, 1], [1, 0, 3], [0, 1, 5.5]])
    draft.add(Rows(names, "BBC", ("c", "c", None), values))
    source = Statistics(draft.done())
    line = family("mlr")
    model = fit(line, source, choose(line, source, ["c"], ["y"]), {})
    found = model.predict({"c": [" Red ", "BLUE", "other", None]}, 4)["res"]
    assert list(np.asarray(found, float)[:3]) == pytest.approx([3, 5.25, 1])
    own = model.predict({"c$red": ["1"], "c$blue": ["0"]}, 1)["res"]
    assert own[0] == pytest.approx(3)


def test_an_imputed_binary_input_stays_between_0_and_1() -> None:
    model = build("bayes", ["2", "11"], ["12"])
    known = model.filler.known
    far = np.full((1, len(known)), np.nan)
    far[0, 0] = 1e6
    assert model.filler.expected(far)[0, 1] == 1.0


def test_imputation_uses_attributes_that_are_no_inputs_but_never_a_target() -> None:
    model = build("mlr", ["3"], ["0"])
    assert [a.name for a in model.filler.known][:2] == ["petal_width", "sepal_width"]
    assert "sepal_length" not in [a.name for a in model.filler.known]
    short = model.predict({"petal_length": ["1.1"]}, 1, impute=True)["res"][0]
    long = model.predict({"petal_length": ["6"]}, 1, impute=True)["res"][0]
    assert float(short) < 5.1 < 6.5 < float(long)


def test_a_model_of_many_inputs_keeps_no_attribute_beside_them() -> None:
    values = np.random.default_rng(3).normal(size=(400, MOST_KNOWN + 3))
    model = mlr(values[:, 1:])
    assert len(model.filler.known) == MOST_KNOWN + 1
    row = {"x0": np.array([1.0])}
    assert model.predict(row, 1, impute=True)["res"][0] != model.predict({}, 1)["res"][0]


def test_clipped_predictions_are_never_negative() -> None:
    plain, clipped = (
        build("mlr", X3, ("3",), None, {"clip_negative_predictions": flag}) for flag in "01"
    )
    rows = {"petal_length": ["-9", "5"]}
    free, found = (model.predict(rows, 2)["res"] for model in (plain, clipped))
    assert float(free[0]) < 0 < float(free[1])
    assert list(found) == [0, free[1]]


def test_debias_fits_what_is_selected_again_without_a_penalty() -> None:
    model = build("lasso", X3, ("0",), lambda_="0.1", debias="true")
    selected = build("mlr", ["1", "2"], ("0",))
    found = np.asarray(model.tables["coefficients"]["coefficient"], float)
    expected = np.asarray(selected.tables["coefficients"]["coefficient"], float)
    assert found[[0, 1, 3]] == pytest.approx(expected, rel=1e-9)
    assert found[2] == 0


def test_a_start_changes_nothing_but_the_way() -> None:
    away = build("lasso", X3, ("0",), lambda_="0.1", sepal_width="-40")
    assert answers(away, "res") == pytest.approx(
        answers(build("lasso", X3, ("0",), lambda_="0.1"), "res"), rel=1e-9
    )
    with pytest.raises(InvalidInput, match=r"^sepal_width: 'odd' is not a number"):
        build("lasso", X3, ("0",), sepal_width="odd")


@pytest.mark.parametrize("kind", ["l2_reg_thinkhonov", "l2_reg_sig", "identity_mixture"])
def test_a_shrunk_lda_copes_with_dependent_inputs(kind: str) -> None:
    model = build("lda", [str(i) for i in range(12)], ["12"], estimate_type=kind)
    assert (answers(model, "res") == table()[1][:, 12]).all()


def test_lda_on_leading_eigenvectors() -> None:
    model = build("lda", X4, ["12"], estimate_type="eigen_trunc", q="4")
    full = build("lda", X4, ["12"])
    assert answers(model, "resZ") == pytest.approx(answers(full, "resZ"), rel=1e-8)
