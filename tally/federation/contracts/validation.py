"""What is wrong with a contract before any statistics are held against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tally.engine.prescribed import Prescribed
from tally.engine.rows import BINARY
from tally.engine.schema import Schema
from tally.federation.contracts.functions import FUNCTIONS
from tally.federation.contracts.grammar import Problem, read
from tally.federation.contracts.rules import Call, Line, comparisons

PERCENT = 100.0
"""What a whole is in percentages, unless the option `sml.fed.contract.pct.scale` says otherwise."""

EMPTY = "Contract is empty"


class UnreadableContract(Prescribed):
    """A contract with a line that is no rule."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What a contract was found to be.

    Attributes:
        errors: the lines that are no rules, or name what does not exist.
        warnings: rules that probably mean something else than they say.
    """

    errors: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def valid(self) -> bool:
        """Whether nothing is wrong."""
        return not self.errors

    @property
    def status(self) -> str:
        """All errors, one a line; empty if there are none."""
        return "\n".join(self.errors)


def parse(entries: Sequence[str]) -> tuple[Line, ...]:
    """Return the rules of a contract; none if it is empty.

    Raises:
        UnreadableContract: with every line that cannot be read.

    Example:
        >>> [str(line.rule) for line in parse(["500 <= count(x)"])]
        ['COUNT(x) >= 500']
    """
    lines, problems = read(entries)
    if problems:
        raise UnreadableContract("contract", "\n".join(map(str, problems)))
    return lines


def validate(entries: Sequence[str], schema: Schema, *, percent: float = PERCENT) -> Findings:
    """Return what is wrong with a contract for statistics of this schema.

    Args:
        entries: texts of one or several lines each.
        schema: of the federated project.
        percent: what a whole is in the functions `PCT_*`.

    Example:
        >>> validate(["SIZE(x) > 1"], Schema()).status
        'Line 1: unknown function [SIZE]'
    """
    lines, problems = read(entries)
    if not lines and not problems:
        return Findings((EMPTY,), ())
    found, warnings = list(problems), []
    for line in lines:
        for comparison in comparisons(line.rule):
            texts = _wrong_call(comparison.call, schema)
            found += [Problem(line.number, text) for text in texts]
            function, constant = FUNCTIONS.get(comparison.call.function), comparison.constant
            if function and function.percentage and percent != 1 and 0 < float(constant) <= 1:
                name = comparison.call.function
                text = f"[{name}] goes from 0 to {percent:g}, of which {constant} is little"
                warnings.append(str(Problem(line.number, text)))
    found.sort(key=lambda problem: problem.line)
    return Findings(tuple(map(str, found)), tuple(warnings))


def _wrong_call(call: Call, schema: Schema) -> list[str]:
    name, features = call.function, call.features
    function = FUNCTIONS.get(name)
    if function is None:
        return [f"unknown function [{name}]"]
    expected = len(function.arguments)
    if len(features) != expected:
        return [f"function [{name}] expects {expected} argument(s), got {len(features)}"]
    wrong = []
    for k, (feature, types) in enumerate(zip(features, function.arguments, strict=True), 1):
        i = schema.index.get(feature)
        if i is None:
            wrong.append(f"unknown feature [{feature}]")
        elif schema.types[i] not in types:
            assert types == BINARY
            wrong.append(
                f"feature [{feature}] must be binary for argument {k} of [{name}], "
                f"found type {schema.types[i]}"
            )
    return wrong
