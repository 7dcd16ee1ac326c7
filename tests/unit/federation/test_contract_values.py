"""Contracts held against statistics: the reference values, and what is said of broken rules."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tally.engine.summary import Summary
from tally.federation.contracts.checking import broken
from tally.federation.contracts.functions import FUNCTIONS, value_of
from tally.federation.contracts.validation import parse
from tests.unit.federation.iris import plain, summary, summary_of

GIVEN_VERSICOLOR = ("sepal_length", "Iris_versicolor")
NARROW = ("sepal_width_b1", "Iris_versicolor")


@pytest.mark.parametrize(
    ("function", "features", "expected"),
    [
        ("COUNT", ("sepal_length",), 150),
        ("COUNT", ("Iris_setosa",), 150),
        ("MEAN", ("sepal_width",), 3.054),
        ("VARIANCE", ("sepal_width",), 0.1867506667),
        ("VARIANCE_UNBIASED", ("sepal_width",), 0.1880040268),
        ("STDDEV", ("petal_length",), 1.7585291834),
        ("STDDEV_UNBIASED", ("petal_length",), 1.7585291834 * math.sqrt(150 / 149)),
        ("COVAR", ("petal_length", "petal_width"), 1.2877448889),
        ("LINCORR", ("petal_length", "petal_width"), 0.9627570971),
        ("COND_COUNT", GIVEN_VERSICOLOR, 50),
        ("COND_MEAN", GIVEN_VERSICOLOR, 5.936),
        ("COND_VARIANCE", GIVEN_VERSICOLOR, 0.261104),
        ("COND_STDDEV", GIVEN_VERSICOLOR, 0.5109833657),
        ("COND_VARIANCE_UNBIASED", GIVEN_VERSICOLOR, 0.2664326531),
        ("COND_STDDEV_UNBIASED", GIVEN_VERSICOLOR, math.sqrt(0.2664326531)),
        ("COMPL_COND_COUNT", GIVEN_VERSICOLOR, 100),
        ("COMPL_COND_MEAN", GIVEN_VERSICOLOR, 5.797),
        ("COMPL_COND_VARIANCE", GIVEN_VERSICOLOR, 0.884691),
        ("COMPL_COND_STDDEV", GIVEN_VERSICOLOR, math.sqrt(0.884691)),
        ("COMPL_COND_VARIANCE_UNBIASED", GIVEN_VERSICOLOR, 0.884691 * 100 / 99),
        ("COMPL_COND_STDDEV_UNBIASED", GIVEN_VERSICOLOR, math.sqrt(0.884691 * 100 / 99)),
        ("MEAN_WHEN_TRUE", GIVEN_VERSICOLOR, 5.936),
        ("MEAN_WHEN_FALSE", GIVEN_VERSICOLOR, 5.797),
        ("NUM_OCCURENCE_WHEN_TRUE", NARROW, 34),
        ("NUM_OCCURENCE_WHEN_FALSE", NARROW, 23),
        ("NUM_OCCURENCE_WHEN_TRUE", ("Iris_setosa", "Iris_setosa"), 50),
        ("PCT_OF_TRUE", NARROW, 68.0),
        ("PCT_OF_FALSE", NARROW, 23.0),
    ],
)
def test_iris_has_its_reference_values(
    function: str, features: tuple[str, ...], expected: float
) -> None:
    assert value_of(function, features, summary()) == pytest.approx(expected, abs=6e-11, rel=1e-10)


def test_the_table_has_every_function() -> None:
    assert len(FUNCTIONS) == 26


@pytest.mark.parametrize(
    ("function", "features"),
    [
        ("MEAN", ("a",)),
        ("VARIANCE_UNBIASED", ("a",)),
        ("COND_MEAN", ("a", "f")),
        ("COMPL_COND_VARIANCE", ("a", "f")),
        ("PCT_OF_TRUE", ("f", "f")),
        ("LINCORR", ("a", "a")),
        ("COUNT", ("unknown",)),
        ("COUNT", ("a", "a")),
        ("COND_COUNT", ("f", "a")),
        ("UNKNOWN", ("a",)),
    ],
)
@pytest.mark.parametrize("relation", [">=", "<", "==", "!="])
def test_no_comparison_with_an_undefined_value_holds(
    function: str, features: tuple[str, ...], relation: str
) -> None:
    draft = summary_of(plain(np.array([[1.0, 1.0]]), "af", "CB")).draft()
    draft.clear()
    contract = parse([f"{function}({','.join(features)}) {relation} 0"])
    assert broken(contract, draft.done())


def test_one_row_has_no_unbiased_variance() -> None:
    one = summary_of(plain(np.array([[7.0, 1.0]]), "af", "CB"))
    assert value_of("VARIANCE", ("a",), one) == 0
    assert math.isnan(value_of("VARIANCE_UNBIASED", ("a",), one))
    assert math.isnan(value_of("COND_STDDEV_UNBIASED", ("a", "f"), one))
    assert value_of("COMPL_COND_COUNT", ("a", "f"), one) == 0


def test_conditional_moments_keep_their_digits_at_a_large_offset() -> None:
    values = np.array([[1e9 + k % 5, k % 2] for k in range(100)])
    far = summary_of(plain(values, "af", "CB"))
    where = values[values[:, 1] == 1, 0]
    for name, expected in (("COND_MEAN", where.mean()), ("COND_VARIANCE", where.var())):
        assert value_of(name, ("a", "f"), far) == pytest.approx(expected, rel=1e-12)


def test_and_binds_tighter_than_or() -> None:
    rule = "COUNT(sepal_length)>=1 OR COUNT(sepal_length)>=1e9 AND COUNT(sepal_length)>=1e9"
    assert broken(parse([rule]), summary()) == []
    first, _, last = rule.partition(" AND ")
    assert broken(parse([f"({first}) AND {last}"]), summary()) == [
        "Contract validation failed: NOT ((COUNT(sepal_length) >= 1 OR COUNT(sepal_length) >= 1e9) "
        "AND COUNT(sepal_length) >= 1e9)"
    ]


@pytest.mark.parametrize(
    ("rule", "denied"),
    [
        ("COUNT(x) >= 500", "COUNT(x) < 500"),
        ("COUNT(x) > 150", "COUNT(x) <= 150"),
        ("COUNT(x) <= 149", "COUNT(x) > 149"),
        ("COUNT(x) < 150", "COUNT(x) >= 150"),
        ("COUNT(x) = 149", "COUNT(x) != 149"),
        ("COUNT(x) != 150.0", "COUNT(x) == 150.0"),
        ("500 <= count(x)", "COUNT(x) < 500"),
    ],
)
def test_a_broken_rule_is_told_negated(rule: str, denied: str) -> None:
    x = summary_of(plain(np.arange(150.0)[:, None], "x"))
    assert broken(parse([rule]), x) == [f"Contract validation failed: {denied}"]


def test_equality_has_a_tolerance() -> None:
    kept = parse(["MEAN(sepal_width) == 3.054000001", "COUNT(sepal_width) == 150.00000001"])
    assert broken(kept, summary()) == []
    missed = parse(["MEAN(sepal_width) == 3.05400001", "MEAN(sepal_width) != 3.054"])
    assert len(broken(missed, summary())) == 2


def test_percentages_may_be_shares() -> None:
    contract = parse(["PCT_OF_TRUE(sepal_width_b1,Iris_versicolor) == 0.68"])
    assert broken(contract, summary(), percent=1.0) == []
    assert broken(contract, summary())


def test_an_attribute_that_became_continuous_is_no_condition() -> None:
    draft = summary_of(plain(np.array([[1.0, 1.0], [2.0, 0.0]]), "af", "CB")).draft()
    draft.merge(summary_of(plain(np.array([[0.5]]), "f")))
    assert broken(parse(["COND_COUNT(a,f) >= 0"]), draft.done())
    assert broken(parse(["COUNT(f) == 3"]), draft.done()) == []


def test_no_rows_break_every_rule_about_a_feature() -> None:
    assert len(broken(parse(["COUNT(x) >= 0"]), Summary.empty())) == 1
