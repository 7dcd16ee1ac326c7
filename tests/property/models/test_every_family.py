"""One suite over every family: what each promises by its line in the table."""

from __future__ import annotations

import numpy as np
import pytest

from tally.codec.model import decode, encode
from tally.errors import FitFailed, InvalidInput, TallyError
from tally.models.base import Statistics
from tally.models.families import FAMILIES, Targets
from tally.models.fitting import check
from tally.models.model import Model
from tally.models.parameters import Parameters
from tests.property.models.cases import CASES, Case, forgotten
from tests.unit.models.iris import X4, columns, summary_of, table

EVERY = pytest.mark.parametrize("case", CASES.values(), ids=CASES)

REMEDIES = ("learn ", "leave ", "choose ", "svdreduce", "larger", "use ")


def assert_alike(one: Model, other: Model, exact: bool) -> None:
    """Check that two models tell and predict the same."""
    rel = 1e-9 if exact else 1e-6
    assert one.rule.keys == other.rule.keys
    assert list(one.tables) == list(other.tables)
    for name, table_ in one.tables.items():
        for title, column in table_.items():
            theirs = other.tables[name][title]
            if isinstance(column, tuple):
                assert theirs == column, (name, title)
            else:
                np.testing.assert_allclose(np.array(theirs, float), column, rtol=rel, atol=rel)
    if one.rule.keys:
        answered = other.predict(columns(), 150)
        for key, values in one.predict(columns(), 150).items():
            if isinstance(values, tuple):
                assert answered[key] == values
            else:
                np.testing.assert_allclose(np.asarray(answered[key], float), values, rtol=rel)


def test_every_family_has_a_case() -> None:
    assert {case.family for case in CASES.values()} == set(FAMILIES)


@EVERY
def test_building_twice_gives_the_same_bytes(case: Case) -> None:
    assert encode(case.model()) == encode(case.model())


@EVERY
def test_a_model_comes_back_from_its_bytes(case: Case) -> None:
    model = case.model()
    again = decode(encode(model))
    assert encode(again) == encode(model)
    assert again.inputs == model.inputs
    assert list(again.info) == list(model.info)
    if model.rule.keys:
        for impute in (False, True):
            ours = model.predict(columns(), 150, impute=impute)
            theirs = again.predict(columns(), 150, impute=impute)
            assert list(ours) == list(theirs)
            for key in ours:
                np.testing.assert_array_equal(ours[key], theirs[key])


@EVERY
def test_predicting_does_not_change_a_model(case: Case) -> None:
    model = case.model()
    before = encode(model)
    if model.rule.keys:
        given = columns()
        del given["petal_length"]
        model.predict(given, 150)
        model.predict(given, 150, impute=True)
    assert encode(model) == before


@EVERY
def test_merged_thirds_make_the_model_of_the_whole(case: Case) -> None:
    values = table()[1]
    thirds = [values[k::3] for k in range(3)]
    whole, merged = case.model(), case.model(case.statistics(*thirds))
    assert_alike(whole, merged, FAMILIES[case.family].exact)


@EVERY
def test_learning_160_rows_and_forgetting_10_is_learning_150(case: Case) -> None:
    values = table()[1]
    extra = values[::15] + np.where(np.arange(15) < 4, 0.25, 0.0)
    left = case.model(forgotten(case, values, extra))
    assert_alike(case.model(), left, FAMILIES[case.family].exact)


@EVERY
def test_a_row_is_answered_alone_as_it_is_among_others(case: Case) -> None:
    model = case.model()
    if not model.rule.keys:
        return
    together = model.predict(columns(), 150)
    assert tuple(together) == model.rule.keys
    assert set(model.rule.shown) | set(model.rule.scores) <= set(model.rule.keys)
    for row in (0, 75, 149):
        alone = model.predict(columns([row]), 1)
        for key, values in alone.items():
            assert values[0] == together[key][row], key


@EVERY
def test_a_row_of_which_nothing_is_known_is_answered(case: Case) -> None:
    model = case.model()
    if not model.rule.keys:
        with pytest.raises(InvalidInput, match=f"a model of {case.family} does not predict"):
            model.predict({}, 1)
        return
    for impute in (False, True):
        for values in model.predict({}, 2, impute=impute).values():
            assert len(values) == 2
            if isinstance(values, np.ndarray):
                assert np.isfinite(values).all()


@EVERY
def test_a_parameter_that_cannot_be_used_is_refused_by_name(case: Case) -> None:
    line = FAMILIES[case.family]
    read = Parameters(case.parameters)
    line.fitter.read(read)
    for key in read.used:
        with pytest.raises(InvalidInput, match=rf"^{key}: 'odd'"):
            check(line, {**case.parameters, key: "odd"})
    check(line, {**case.parameters, "unknown": "a note"})
    noted = case.model(unknown="a note")
    assert noted.info["unknown"] == "a note"


@EVERY
def test_inputs_that_determine_each_other_are_named(case: Case) -> None:
    line = FAMILIES[case.family]
    values = table()[1].copy()
    values[:, 3] = values[:, 1] - 2 * values[:, 2] + 1
    singular = Case(
        case.family,
        X4[1:] if "0" in case.targets else X4,
        case.targets,
        {k: v for k, v in case.parameters.items() if k != "estimate_type"} | _estimate(case),
        case.partitions,
    )
    if "3" in case.targets or case.parameters.get("matrix_use_pseudoinv"):
        return
    if line.dependent:
        singular.model(singular.statistics(values))
        return
    with pytest.raises(FitFailed, match="singular") as refused:
        singular.model(singular.statistics(values))
    text = str(refused.value)
    assert "[petal_width] is a linear combination of +1 [sepal_width] -2 [petal_length]" in text
    assert "svdreduce=true" in text


@EVERY
def test_one_row_is_refused_with_a_remedy(case: Case) -> None:
    with pytest.raises(TallyError) as refused:
        case.model(_of_one_row(case))
    assert any(remedy in str(refused.value) for remedy in REMEDIES), str(refused.value)


@EVERY
def test_a_target_that_never_differs_is_refused_with_a_remedy(case: Case) -> None:
    line = FAMILIES[case.family]
    if line.targets is Targets.NONE or not case.targets or case.partitions:
        return
    values = table()[1].copy()
    target = int(case.targets[0])
    values[:, target] = values[0, target]
    with pytest.raises(FitFailed, match="learn rows") as refused:
        case.model(case.statistics(values))
    name = table()[0][target]
    assert name in str(refused.value)


def _estimate(case: Case) -> dict[str, str]:
    if case.family == "covest":
        return {"estimate_type": case.parameters["estimate_type"]}
    return {}


def _of_one_row(case: Case) -> Statistics:
    row = table()[1][:1]
    if not case.partitions:
        return case.statistics(row)
    return Statistics(summary_of(row), {"Iris_setosa": summary_of(row)}, "species")
