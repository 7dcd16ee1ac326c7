"""Metrics against values worked out by hand."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.errors import InvalidInput
from tally.selection.metrics import METRICS, Task, check_truth, names

LABELS = np.array(["a", "a", "a", "b", "b", "c"])
GUESSES = np.array(["a", "a", "b", "b", "c", "c"])
# 3 hits, 2 false alarms, 1 miss, 4 rightly passed.
TRUTH = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0])
FOUND = np.array([1, 1, 1, 0, 1, 1, 0, 0, 0, 0])


@pytest.mark.parametrize(
    ("name", "truth", "found", "expected"),
    [
        ("auc", [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], 0.75),
        ("auc", [0, 1, 1], [0.5, 0.5, 0.5], 0.5),
        ("recall", TRUTH, FOUND, 3 / 4),
        ("precision", TRUTH, FOUND, 3 / 5),
        ("f1", TRUTH, FOUND, 2 / 3),
        ("mcc", TRUTH, FOUND, (3 * 4 - 2 * 1) / math.sqrt(5 * 4 * 6 * 5)),
        ("precision", [1, 0], [0, 0], 0.0),
        ("f1", [1, 0], [0, 0], 0.0),
        ("mcc", [1, 0], [1, 1], 0.0),
        ("rmse", [1.0, 2.0, 3.0], [1.0, 4.0, 1.0], math.sqrt(8 / 3)),
        ("r2", [1.0, 2.0, 3.0], [1.0, 2.0, 4.0], 0.5),
        ("r2", [1.0, 2.0, 3.0], [2.0, 2.0, 2.0], 0.0),
        ("rmslogp1e", [0.0, 0.0], [math.e - 1, 0.0], math.sqrt(0.5)),
        # F1 of a, b, c: 4/5, 1/2, 2/3; of 3, 2 and 1 rows.
        ("mf1_w", LABELS, GUESSES, (3 * 4 / 5 + 2 * 1 / 2 + 1 * 2 / 3) / 6),
        # 4 of 6 agree; by chance (3*2 + 2*2 + 1*2)/36 = 1/3.
        ("mkappa", LABELS, GUESSES, (4 / 6 - 1 / 3) / (1 - 1 / 3)),
    ],
)
def test_a_metric_is_what_it_is_by_hand(
    name: str, truth: object, found: object, expected: float
) -> None:
    value = METRICS[name].measure(np.asarray(truth), np.asarray(found))
    assert value == pytest.approx(expected, rel=1e-14, abs=1e-15)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=2, max_size=30))
def test_auc_is_the_share_of_pairs_in_order(rows: list[tuple[bool, int]]) -> None:
    truth, score = (np.array(column, float) for column in zip(*rows, strict=True))
    ones, zeros = score[truth == 1], score[truth == 0]
    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in product(ones, zeros)]
    if pairs:
        assert METRICS["auc"].measure(truth, score) == pytest.approx(sum(pairs) / len(pairs))


def test_errors_are_better_the_smaller_and_shares_the_larger() -> None:
    falling = [metric.name for metric in METRICS.values() if metric.gain(2.0) < metric.gain(1.0)]
    assert falling == ["rmse", "rmslogp1e"]
    assert METRICS["rmslogp1e"].gain(math.nan) == -math.inf


def test_a_logarithm_that_is_none_is_not_a_number() -> None:
    value = METRICS["rmslogp1e"].measure(np.array([0.0, 1.0]), np.array([-1.0, 1.0]))
    assert math.isnan(value)


def test_each_task_has_its_metrics_and_a_default() -> None:
    assert names(Task.BINARY)[0] == "auc"
    assert names(Task.REGRESSION)[0] == "rmse"
    assert names(Task.MULTICLASS) == ("mf1_w", "mkappa")


@pytest.mark.parametrize(
    ("name", "truth", "text"),
    [
        ("auc", [], "no row has a value of the target [t]"),
        ("auc", [1.0, 1.0], "[t] is 1.0 in every row: auc needs two values"),
        ("recall", [0.0, 2.0], "[t] is 2 in a row; it must be 0 or 1"),
        ("r2", [3.0, 3.0], "r2 needs two values"),
        ("mkappa", ["a", "a"], "[t] is a in every row"),
        ("rmslogp1e", [0.0, -1.0], "which is -1 in a row"),
    ],
)
def test_rows_that_cannot_tell_models_apart_are_refused(
    name: str, truth: list[object], text: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_truth(METRICS[name], np.array(truth), "t")
    assert text in str(caught.value)
    check_truth(METRICS["rmse"], np.array([3.0, 3.0]), "t")
