"""From the rules of classifiers to scores, probabilities and coefficients, by class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tally.models.base import Floats, Rule
from tally.models.bayes import Bayes
from tally.models.lda import Discriminant
from tally.models.linear import weighted
from tally.models.mlda import Linears
from tally.models.proximal import Margin


def scores(rule: Rule, x: Floats, classes: Sequence[str]) -> Floats:
    """Return scores (n, k) of rows for each class, of which the largest wins.

    For all but a margin they are the logarithms of posteriors, up to a number for each row. Of
    two classes the first may be 0 throughout. A class that had no rows has -inf.

    Args:
        rule: of a classifier.
        x: (n, p) inputs, none missing.
        classes: (k,) what they are called in the rule.
    """
    if isinstance(rule, Discriminant):
        return _of_two(weighted(x - rule.center, rule.weights))
    if isinstance(rule, Margin):
        return _of_two(rule.level + weighted(x - rule.center, rule.weights))
    if isinstance(rule, Bayes):
        with np.errstate(divide="ignore"):
            found = dict(zip(rule.labels, np.log(rule.posterior(x)), strict=True))
    else:
        found = {key: np.asarray(told) for key, told in rule.answer(x).items() if key in classes}
    nowhere = np.full(len(x), -np.inf)
    return np.column_stack([found.get(name, nowhere) for name in classes])


def line(rule: Rule, classes: Sequence[str]) -> tuple[Floats, Floats] | None:
    """Return the coefficients (k, p) of the decision function, and where it is at 0 (k,).

    One of each for two classes; None where the function is no line.
    """
    if isinstance(rule, Discriminant):
        return rule.weights[None, :], np.array([-rule.threshold])
    if isinstance(rule, Margin):
        level = rule.level - float(rule.center @ rule.weights)
        return rule.weights[None, :], np.array([level])
    if not isinstance(rule, Linears) or set(rule.labels) != set(classes):
        return None
    order = [rule.labels.index(name) for name in classes]
    weights = (rule.weights + rule.shared)[order]
    levels = rule.levels[order] + rule.base - weights @ rule.center
    if len(classes) > 2:
        return weights, levels
    return weights[1:] - weights[:1], levels[1:] - levels[:1]


def function(found: Floats) -> Floats:
    """Return the decision function of scores (n, k): (n,) of two classes, above 0 for the second.

    Example:
        >>> function(np.array([[1.0, 3.0], [2.0, 1.0]]))
        array([ 2., -1.])
    """
    apart: Floats = found[:, 1] - found[:, 0]
    return apart if found.shape[1] == 2 else found


def probabilities(found: Floats) -> Floats:
    """Return the posteriors (n, k) of scores (n, k).

    Example:
        >>> probabilities(np.log([[1.0, 3.0], [2.0, 2.0]]))
        array([[0.25, 0.75],
               [0.5 , 0.5 ]])
    """
    shares: Floats = np.exp(found - found.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return shares


def _of_two(apart: Floats) -> Floats:
    return np.column_stack([np.zeros(len(apart)), apart])
