"""Selecting models on statistics whose best model is known."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tally.engine.explore import Context
from tally.errors import FitFailed, InvalidInput
from tally.models.attributes import Chosen
from tally.models.base import OutOfTime, Statistics
from tally.models.families import family
from tally.models.fitting import fit
from tally.selection.candidates import candidates
from tally.selection.grids import GRIDS
from tally.selection.metrics import METRICS
from tally.selection.select import check, select
from tests.unit.models import iris
from tests.unit.selection.planted import CLASS, INPUTS, MATTER, NUMBER, asked, columns, learned

PLANTED = tuple(INPUTS[k] for k in MATTER)
SETOSA = iris.SPECIES[0]


def names(selection: Any) -> tuple[str, ...]:
    return tuple(one.name for one in selection.model.inputs)


@pytest.mark.parametrize(
    ("selector", "inputs"),
    [
        ("fw_bw", INPUTS),
        ("simple", (*PLANTED, *INPUTS[:3])),
        ("brute", (*INPUTS[:3], *PLANTED)),
        ("iteration", (*INPUTS[:2], *PLANTED)),
        ("genetic", INPUTS),
        ("bayesian", INPUTS),
    ],
)
def test_each_selector_finds_the_inputs_that_make_the_target(
    selector: str, inputs: tuple[str, ...]
) -> None:
    found = select(
        asked(
            inputs=inputs,
            algo="mlr",
            selector_type=f"selector_type_{selector}",
            selector_max_iterations="300",
            genetic_population_size="30",
        )
    )
    # Any set with these inputs fits exactly; of equal ones the smallest is wanted.
    assert set(PLANTED) <= set(names(found))
    assert found.value < 1e-12
    if selector != "bayesian":
        assert set(names(found)) == set(PLANTED)


def test_of_equal_models_the_one_with_fewer_inputs_and_the_earlier_family_wins() -> None:
    found = select(asked())
    assert (found.model.family, names(found)) == ("mlr", PLANTED)
    # Without noise ridge is worse; where its penalty is nothing, it is as good, and comes later.
    assert found.model.info["selection_candidates"] == "mlr, ridge 3, lasso 3, elasticnet 3, lsvr"
    again = select(asked(given={"lambda": "0"}))
    assert (again.model.family, names(again)) == ("mlr", PLANTED)
    assert again.model.info["selection_candidates"] == "mlr, ridge, lasso, elasticnet, lsvr"


def test_of_sets_that_are_equal_in_everything_the_first_one_wins() -> None:
    # Petal length and petal width tell setosa apart, each alone.
    found = select(_iris(SETOSA, tuple(iris.table()[0][:4])))
    assert (found.value, found.model.family, names(found)) == (1.0, "lda", ("petal_length",))


def test_a_class_is_told_by_what_makes_it() -> None:
    found = select(asked(CLASS))
    assert set(PLANTED) <= set(names(found))
    assert found.model.family in ("lda", "bayes", "lsvm")
    assert found.value > 0.99
    assert found.model.info["selection_metric"] == "auc"


def test_the_model_is_the_one_that_a_build_with_its_parameters_makes() -> None:
    found = select(asked(inputs=INPUTS[:8], noise=0.5))
    model = fit(family(found.model.family), learned(0.5), found.chosen, found.parameters)
    rows = columns(0.5)
    expected = model.predict(rows, 200)["res"]
    np.testing.assert_array_equal(found.model.predict(rows, 200)["res"], expected)
    truth = rows[NUMBER]
    assert found.value == pytest.approx(METRICS["rmse"].measure(truth, np.asarray(expected)))
    assert found.value == found.model.info["selection_score"]


@pytest.mark.parametrize("selector", ["genetic", "bayesian", "iteration"])
def test_the_same_question_has_the_same_answer(selector: str) -> None:
    parameters = {
        "selector_type": f"selector_type_{selector}",
        "selector_max_iterations": "20",
        "genetic_num_generations": "3",
        "bayesian_num_iterations": "10",
    }
    one, two = (select(asked(noise=0.5, algo="mlr", given=parameters)) for _ in range(2))
    assert (one.chosen, one.value, one.fits) == (two.chosen, two.value, two.fits)
    seeds = {
        select(asked(noise=0.5, algo="mlr", given=parameters, rnd_seed=str(seed))).chosen
        for seed in range(4)
    }
    assert len(seeds) > 1


def test_progress_and_the_checkpoint_are_told_of_every_step() -> None:
    steps: list[tuple[int, int]] = []
    select(
        asked(algo="mlr", selector_type="selector_type_simple"),
        progress=lambda done, most: steps.append((done, most)),
    )
    assert steps == [(k, 30) for k in range(1, 31)]

    class Enough(Exception):
        pass

    def stop() -> None:
        if len(steps) >= 35:
            raise Enough

    with pytest.raises(Enough):
        select(asked(), checkpoint=stop, progress=lambda done, most: steps.append((done, most)))
    assert len(steps) == 35


def test_where_the_time_is_over_the_best_so_far_is_returned_with_a_warning() -> None:
    scored = 0

    def count(done: int, most: int) -> None:
        nonlocal scored
        scored = done

    def stop() -> None:
        if scored >= 5:
            raise OutOfTime("it has taken more than 1 s")

    question = asked(algo="mlr", selector_type="selector_type_simple")
    found = select(question, checkpoint=stop, progress=count)
    first = select(asked(inputs=INPUTS[:5], algo="mlr", selector_type="selector_type_simple"))
    assert names(found) == names(first)
    assert found.value == first.value
    assert found.model.info["warning"] == (
        "the search was cut short after 5 sets of inputs: it has taken more than 1 s"
    )
    assert found.model.info["selection_failed"] == 0
    assert "warning" not in first.model.info


def test_where_the_time_is_over_after_the_last_set_nothing_was_cut_short() -> None:
    over = False

    def count(done: int, most: int) -> None:
        nonlocal over
        over = done == most

    def stop() -> None:
        if over:
            raise OutOfTime("it has taken more than 1 s")

    question = asked(algo="mlr", selector_type="selector_type_simple")
    found = select(question, checkpoint=stop, progress=count)
    assert over
    assert found.value == select(question).value
    assert "warning" not in found.model.info


def test_where_the_time_is_over_before_the_first_model_that_is_told() -> None:
    def stop() -> None:
        raise OutOfTime("it has taken more than 1 s")

    with pytest.raises(OutOfTime, match="more than 1 s"):
        select(asked(algo="mlr"), checkpoint=stop)


def test_a_search_that_is_stopped_after_its_time_returns_nothing() -> None:
    class Stopped(Exception):
        pass

    scored, over = 0, False

    def count(done: int, most: int) -> None:
        nonlocal scored
        scored = done

    def stop() -> None:
        nonlocal over
        if over:
            raise Stopped
        if scored >= 5:
            over = True
            raise OutOfTime("it has taken more than 1 s")

    with pytest.raises(Stopped):
        select(asked(algo="mlr"), checkpoint=stop, progress=count)


def test_a_family_that_cannot_be_fitted_is_skipped() -> None:
    # All 12 inputs of Iris are singular: lda fails on many sets, and not on others.
    found = select(_iris(SETOSA, tuple(iris.table()[0][:12])))
    assert found.value == 1.0
    failing = select(_iris(SETOSA, ("sepal_lengt_b1", "sepal_lengt_b2"), selector="simple"))
    assert failing.model.info["selection_failed"] == 1
    assert "linear combination" in str(failing.model.info["selection_failed_lda"])


@pytest.mark.parametrize("algo", ["pcr", "plsq"])
def test_sets_with_fewer_inputs_than_components_are_skipped(algo: str) -> None:
    def question(selector: str, q: str) -> Any:
        selector = f"selector_type_{selector}"
        return asked(inputs=INPUTS[:4], algo=algo, selector_type=selector, q=q)

    found = select(question("brute", "2"))
    assert len(names(found)) >= 2
    assert found.model.info["selection_failed"] == 4
    with pytest.raises(FitFailed, match=r"2 components.* choose a smaller q"):
        select(question("fw_bw", "2"))  # it begins with one input
    with pytest.raises(InvalidInput, match=r"^q: 5 is not a whole number from 1 to 4"):
        question("fw_bw", "5")


def test_where_nothing_can_be_fitted_the_reasons_are_told() -> None:
    constant = {name: np.zeros(8) for name in iris.table()[0]}
    constant[SETOSA] = np.array([0.0, 1.0] * 4)
    statistics = Statistics(iris.summary_of(np.zeros((8, 15))))
    context = Context(("sepal_width",), (SETOSA,))
    with pytest.raises(FitFailed) as caught:
        select(check(statistics, context, constant, 8))
    text = str(caught.value)
    assert text.startswith("no candidate could be fitted: ")
    assert all(f"{name}: " in text for name in ("lda", "bayes", "lsvm"))


def _iris(target: str, inputs: tuple[str, ...], selector: str = "fw_bw", **more: str) -> Any:
    parameters = {"selector_type": f"selector_type_{selector}", **more}
    return check(iris.plain(), Context(inputs, (target,), parameters), iris.columns(), 150)


def test_classes_are_told_apart_by_targets_and_by_partitions() -> None:
    x4 = tuple(iris.table()[0][:4])
    found = select(check(iris.plain(), Context(x4, iris.SPECIES), iris.columns(), 150))
    assert found.model.family == "mlda"
    assert found.value > 0.97
    labels = np.array(iris.SPECIES)[iris.table()[1][:, 12:].argmax(axis=1)]
    rows: dict[str, Any] = {**iris.columns(), "species": tuple(labels.tolist())}
    whole = iris.partitioned()
    # A project calls its partitions as it calls the values of a category.
    parts = replace(whole, partitions={k.lower(): one for k, one in whole.partitions.items()})
    for targets in ((), ("species",)):
        parted = select(
            check(
                parts,
                Context(x4, targets, {"sml_model_assessment_type": "mkappa"}),
                rows,
                150,
            )
        )
        assert parted.value >= 0.97
        assert parted.model.targets == ("species",)
        assert parted.model.info["selection_candidates"] == "mlda, mqda"


def test_without_inputs_all_but_the_targets_may_be_chosen() -> None:
    selection = asked(inputs=())
    assert len(selection.chosen.inputs) == len(INPUTS) + 1  # the class, too
    assert selection.chosen.targets == (len(INPUTS),)


def test_cells_that_are_missing_are_means_and_rows_without_truth_do_not_count() -> None:
    rows = columns()
    rows["x4"] = np.where(np.arange(200) < 5, np.nan, rows["x4"])
    rows[NUMBER] = np.where(np.arange(200) < 50, np.nan, rows[NUMBER])
    selection = asked(frame=rows)
    assert selection.validation.x.shape == (150, 30)
    rows = columns()
    del rows["x0"]
    mean = learned().summary.moments(0)
    expected = mean.origin + mean.s1 / mean.n
    assert asked(frame=rows).validation.x[:, 0].tolist() == [expected] * 200


def test_a_grid_gives_penalties_and_points_that_are_the_same_are_tried_once() -> None:
    grid = GRIDS["autoselect_grid_type_tiny"]
    every = candidates(("mlr", "ridge", "lasso", "elasticnet", "lsvr"), grid, {})
    assert len(every) == 1 + 3 + 3 + 3 + 1
    assert len(candidates(("elasticnet",), grid, {})) == 9
    assert len(candidates(("elasticnet",), grid, {"eta": "0.3"})) == 3
    assert len(candidates(("elasticnet",), grid, {"lambda": "2", "eta": "0.3"})) == 1
    assert len(candidates(("ridge", "lasso"), grid, {"aicc": "true"})) == 2
    assert len(candidates(("ridge",), grid, {"alpha": "2"})) == 1
    large = candidates(("elasticnet",), GRIDS["autoselect_grid_type_large"], {})
    assert len(large) == 6 * 13
    assert {float(one.parameters["lambda"]) for one in large} == {10.0**k for k in range(-9, 4)}
    normal = GRIDS["autoselect_grid_type_normal"]
    assert (len(normal.etas), len(normal.lambdas)) == (4, 6)
    assert GRIDS["autoselect_grid_type_small"].lambdas[-1] == 1.0


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"selector_type": "selector_type_magic"}, "selector_type"),
        ({"autoselect_grid_type": "autoselect_grid_type_huge"}, "autoselect_grid_type"),
        ({"sml_model_assessment_type": "auc"}, "sml_model_assessment_type"),
        ({"target": CLASS, "sml_model_assessment_type": "rmse"}, "sml_model_assessment_type"),
        ({"sml_model_assessment_type": "rmslogp1e"}, "sml_model_assessment_type"),
        ({"autoselect_thread_pool_size": "0"}, "autoselect_thread_pool_size"),
        ({"rnd_seed": "-1"}, "rnd_seed"),
        ({"selector_type": "selector_type_brute"}, "selector_type"),
        ({"selector_type": "selector_type_iteration"}, "selector_max_iterations"),
        ({"lambda": "much"}, "lambda"),
        ({"eta": "2"}, "eta"),
        ({"task": "magic"}, "task"),
        ({"task": "multiclass_classifier"}, "targets"),
        ({"target": ""}, "targets"),
        ({"target": "nothing"}, "Unknown attribute [nothing]"),
        ({"inputs": ("x0", "nothing")}, "Unknown attribute [nothing]"),
        ({"inputs": (NUMBER,)}, "inputAttributes"),
        ({"algo": "magic"}, "algo"),
        ({"algo": "covest"}, "algo"),
        ({"algo": "lsvm"}, "targets"),
        ({"algo": "plsq"}, "q"),
        ({"frame": {NUMBER: np.ones(3)}}, "dataframe"),
        ({"frame": {"x0": np.ones(3)}}, "dataframe"),
        ({"frame": {"x0": np.ones(3), NUMBER: np.full(3, math.nan)}}, "dataframe"),
        ({"target": CLASS, "frame": {"x0": np.ones(3), CLASS: np.ones(3)}}, "dataframe"),
        ({"target": CLASS, "frame": {"x0": np.ones(3), CLASS: np.arange(3.0)}}, "dataframe"),
    ],
)
def test_what_cannot_be_used_is_named_before_anything_is_fitted(
    changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        asked(**changes)
    assert str(caught.value).startswith(field), caught.value


def test_a_number_of_0_and_1_can_be_told_by_the_family_that_takes_numbers() -> None:
    statistics = Statistics(learned().summary)
    rows = columns()
    rows["x0"] = (rows["x0"] > 0).astype(float)
    context = Context(PLANTED, ("x0",))
    selection = check(statistics, context, rows, 200, task="binary_classifier")
    assert [one.family.name for one in selection.candidates] == ["lda"]
    assert selection.chosen == Chosen(MATTER, (0,))
