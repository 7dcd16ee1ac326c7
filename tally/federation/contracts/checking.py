"""Statistics held against a contract."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tally.engine.summary import Summary
from tally.federation.contracts.functions import FUNCTIONS, value_of
from tally.federation.contracts.rules import AllOf, AnyOf, Call, Comparison, Line, Relation, Rule
from tally.federation.contracts.validation import PERCENT

EQUAL_WITHIN = 1e-9
"""Relative to the constant, and absolute for constants below 1."""


def broken(contract: Sequence[Line], summary: Summary, *, percent: float = PERCENT) -> list[str]:
    """Return a text for each line that these statistics do not keep; none if they may pass.

    A comparison with a value that is undefined does not hold, whatever the relation.

    Args:
        contract: its lines.
        summary: what is to be sent, or was received.
        percent: what a whole is in the functions `PCT_*`.

    Example:
        >>> from tally.federation.contracts.validation import parse
        >>> broken(parse(["COUNT(x) >= 500"]), Summary.empty())
        ['Contract validation failed: COUNT(x) < 500']
    """
    return [
        f"Contract validation failed: {_denied(line.rule)}"
        for line in contract
        if not holds(line.rule, summary, percent=percent)
    ]


def holds(rule: Rule, summary: Summary, *, percent: float = PERCENT) -> bool:
    """Return whether statistics keep a rule."""
    match rule:
        case AllOf(parts):
            return all(holds(part, summary, percent=percent) for part in parts)
        case AnyOf(parts):
            return any(holds(part, summary, percent=percent) for part in parts)
        case Comparison(call, relation, constant):
            return _compared(_value(call, summary, percent), relation, float(constant))


def _value(call: Call, summary: Summary, percent: float) -> float:
    value = value_of(call.function, call.features, summary)
    function = FUNCTIONS.get(call.function)
    return value * percent / PERCENT if function and function.percentage else value


def _compared(value: float, relation: Relation, constant: float) -> bool:
    if math.isnan(value):
        return False
    near = abs(value - constant) <= EQUAL_WITHIN * max(1.0, abs(constant))
    return {
        Relation.AT_LEAST: value >= constant,
        Relation.AT_MOST: value <= constant,
        Relation.ABOVE: value > constant,
        Relation.BELOW: value < constant,
        Relation.EQUAL: near,
        Relation.UNEQUAL: not near,
    }[relation]


def _denied(rule: Rule) -> str:
    if isinstance(rule, Comparison):
        return f"{rule.call} {rule.relation.negated} {rule.constant}"
    return f"NOT ({rule})"
