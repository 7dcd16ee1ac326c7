"""From what a request calls them to the inputs and targets of a fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tally.engine.explore.addressing import values
from tally.engine.rows import BINARY
from tally.engine.schema import Schema
from tally.errors import InvalidInput
from tally.models.base import Statistics
from tally.models.families import Family, Targets


@dataclass(frozen=True, slots=True)
class Chosen:
    """Attributes by index, each once, no target among the inputs."""

    inputs: tuple[int, ...]
    targets: tuple[int, ...]


def choose(
    family: Family,
    statistics: Statistics,
    inputs: Sequence[str],
    targets: Sequence[str],
    *,
    inputs_are_names: bool = False,
    targets_are_names: bool = False,
) -> Chosen:
    """Return the inputs and targets of a fit.

    A category stands for its values, a token that is no whole number is a name, what is there
    twice counts once, and a target among the inputs is only a target. No inputs at all stand for
    all attributes in families without targets.

    Raises:
        UnknownAttribute: there is no such attribute.
        InvalidInput: the family wants other targets, or there are no inputs.
    """
    schema = statistics.summary.schema
    aims = _aims(family, statistics, targets, targets_are_names)
    asked: Sequence[str] = inputs
    if not inputs and family.targets is Targets.NONE:
        asked, inputs_are_names = schema.names, True
    found = expanded(schema, asked, inputs_are_names)
    chosen = tuple(i for i in found if i not in aims)
    if not chosen:
        raise InvalidInput("inputAttributes", f"{family.name} needs at least one input")
    return Chosen(chosen, aims)


def _aims(
    family: Family, statistics: Statistics, targets: Sequence[str], named: bool
) -> tuple[int, ...]:
    wanted, schema = family.targets, statistics.summary.schema
    column = statistics.partition_column
    if wanted is Targets.NONE:
        return ()
    if wanted in (Targets.CLASSES, Targets.PARTITION, Targets.ONLY_PARTITION):
        implied = not targets and wanted is not Targets.CLASSES
        if column is not None and (implied or list(targets) == [column]):
            return ()
        if wanted is Targets.ONLY_PARTITION:
            raise InvalidInput(
                "targets",
                f"{family.name} predicts {wanted.value}: the project must be of type partition",
            )
    found = expanded(schema, targets, named)
    fewest = 2 if wanted is Targets.PARTITION else 1
    several = wanted in (Targets.CLASSES, Targets.PARTITION)
    if len(found) < fewest or (len(found) > 1 and not several):
        raise InvalidInput("targets", f"{len(found)} given; {family.name} predicts {wanted.value}")
    if wanted is not Targets.NUMBER:
        for i in found:
            if schema.types[i] != BINARY:
                raise InvalidInput(
                    "targets",
                    f"[{schema.names[i]}] is continuous; {family.name} predicts {wanted.value}",
                )
    return found


def expanded(schema: Schema, tokens: Sequence[str], named: bool) -> tuple[int, ...]:
    """Return the indexes that tokens stand for, each once; a category stands for its values.

    Raises:
        UnknownAttribute: there is no such attribute.
    """
    every = (i for token in tokens for i in values(schema, token, named=named))
    return tuple(dict.fromkeys(every))
