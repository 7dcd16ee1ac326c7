from __future__ import annotations

import numpy as np
import pytest

from tally.engine.rows import Rows
from tally.engine.summary import Summary
from tally.errors import InvalidInput
from tally.models.attributes import Chosen, choose
from tally.models.base import Statistics
from tally.models.families import FAMILIES, family
from tests.unit.models.iris import partitioned, plain


def colors() -> Statistics:
    draft = Summary.empty().draft()
    names = ("x", "color$red", "color$blue", "7")
    values = np.array([[1.0, 1, 0, 3], [2.0, 0, 1, 4]])
    draft.add(Rows(names, "CBBC", (None, "color", "color", None), values))
    return Statistics(draft.done())


def test_indexes_names_and_categories_are_understood() -> None:
    # 7 is an index where it is not told to be a name.
    found = choose(family("mlr"), colors(), ["0", "color", "color$red", "0"], ["3"])
    assert found == Chosen((0, 1, 2), (3,))
    named = choose(
        family("mlr"), colors(), ["x", "color"], ["7"],
        inputs_are_names=True, targets_are_names=True,
    )  # fmt: skip
    assert named == Chosen((0, 1, 2), (3,))


def test_a_target_among_the_inputs_is_only_a_target() -> None:
    assert choose(family("mlr"), plain(), ["0", "1", "2"], ["1"]) == Chosen((0, 2), (1,))


def test_a_family_without_targets_takes_all_attributes_unless_it_is_told() -> None:
    assert choose(family("covest"), plain(), [], ["12"]) == Chosen(tuple(range(15)), ())
    assert choose(family("covest"), plain(), ["2"], []) == Chosen((2,), ())


def test_the_partition_column_is_a_target() -> None:
    for targets in ([], ["species"]):
        assert choose(family("mqda"), partitioned(), ["0"], targets) == Chosen((0,), ())
    one_hot = ["12", "13", "14"]
    assert choose(family("mlda"), partitioned(), ["0"], one_hot) == Chosen((0,), (12, 13, 14))


@pytest.mark.parametrize(
    ("algo", "inputs", "targets", "text"),
    [
        ("mlr", ["0"], [], "targets: 0 given; mlr predicts one attribute"),
        ("mlr", ["0"], ["1", "2"], "targets: 2 given; mlr predicts one attribute"),
        ("mlr", [], ["1"], "inputAttributes: mlr needs at least one input"),
        ("mlr", ["1"], ["1"], "inputAttributes: mlr needs at least one input"),
        ("mlr", ["99"], ["1"], r"Unknown attribute \[99\]"),
        ("mlr", ["0"], ["nobody"], r"Unknown attribute \[nobody\]"),
        ("lsvm", ["0"], ["1"], r"targets: \[sepal_width\] is continuous; lsvm predicts one binary"),
        ("bayes", ["0"], [], "targets: 0 given; bayes predicts one or more binary attributes"),
        ("mlda", ["0"], ["12"], "targets: 1 given; mlda predicts the partition column, or two"),
        ("mqda", ["0"], ["12"], "targets: mqda predicts the partition column: the project must"),
    ],
)
def test_what_a_family_cannot_take_is_refused(
    algo: str, inputs: list[str], targets: list[str], text: str
) -> None:
    with pytest.raises(InvalidInput, match=text):
        choose(family(algo), plain(), inputs, targets)


def test_an_unknown_family_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidInput, match=r"^algo: \[xgb\] is unknown; there are mlr, ridge"):
        family("xgb")
    assert family(" MLR ") is FAMILIES["mlr"]
