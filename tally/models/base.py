"""The contract between a family of statistical models and the rest of Tally."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Protocol, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from tally.engine.project import Project
from tally.engine.summary import Summary
from tally.errors import FitFailed
from tally.models.parameters import Parameters

T = TypeVar("T")

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
Places: TypeAlias = NDArray[np.intp]
Answers: TypeAlias = NDArray[np.float64] | NDArray[np.int64] | tuple[str, ...]
"""One key's answer for each row: numbers, labels 0 and 1, or texts."""

Value: TypeAlias = str | int | float | bool
Table: TypeAlias = Mapping[str, NDArray[np.float64] | tuple[str, ...]]
"""Columns of equal length by name."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """What models are made from: the sums of one project, or those of several, merged.

    Attributes:
        summary: of all rows.
        partitions: of the rows with each value of the partition column, if there is one.
        partition_column: its name.
    """

    summary: Summary
    partitions: Mapping[str, Summary] = field(default_factory=dict)
    partition_column: str | None = None

    @classmethod
    def of(cls, project: Project) -> Statistics:
        """Return the statistics of a project as it is now."""
        return cls(project.summary, project.partitions, project.options.partition)


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a model.

    Attributes:
        name: by which its column is found.
        index: where it stood in the project.
        kind: `C` or `B`.
        base: the category that it is one value of, or None.
    """

    name: str
    index: int
    kind: str
    base: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """One state that a model's statistics came from.

    Attributes:
        name: of the project, or of the site that keeps it.
        version: of its state then.
        rows: that it had.
    """

    name: str
    version: str
    rows: int


Checkpoint = Callable[[], None]
Progress = Callable[[int, int], None]
"""Told by a search after each step: how many it has done, and of how many at most."""


class OutOfTime(FitFailed):
    """Raised by a checkpoint where the time is over; a search may still give its best so far."""


def nothing() -> None:
    """Do nothing: the checkpoint of a fit that nobody watches."""


def untold(done: int, most: int) -> None:
    """Do nothing: the progress of a search that nobody watches."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What one fit is asked for; targets and inputs exist and are apart.

    Attributes:
        statistics: to make the model from.
        inputs: indexes of at least one attribute, each once.
        targets: indexes; as many as the family wants.
        checkpoint: called between the steps of a fit that takes many, on the thread of the fit;
            what it raises ends the fit.
    """

    statistics: Statistics
    inputs: tuple[int, ...]
    targets: tuple[int, ...]
    checkpoint: Checkpoint = nothing
    _made: dict[Callable[[Problem], object], object] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def shared(self, make: Callable[[Problem], T]) -> T:
        """Return what a function makes of this problem, made once for all fits of it."""
        if make not in self._made:
            self._made[make] = make(self)
        return cast(T, self._made[make])

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the inputs."""
        return tuple(self.statistics.summary.schema.names[i] for i in self.inputs)

    @property
    def target(self) -> str:
        """The name of the first target."""
        return self.statistics.summary.schema.names[self.targets[0]]


class Rule(Protocol):
    """How a row becomes an answer: a frozen dataclass of arrays, numbers and texts."""

    @property
    def keys(self) -> tuple[str, ...]:
        """What each row is answered with, in this order; none where prediction makes no sense."""
        ...

    @property
    def shown(self) -> tuple[str, ...]:
        """The keys that become columns of a predicted file, in this order."""
        ...

    @property
    def scores(self) -> tuple[str, ...]:
        """The keys by which rows can be ranked."""
        ...

    def answer(self, x: Floats) -> dict[str, Answers]:
        """Answer rows.

        Args:
            x: (n, p) inputs in the model's order, none missing.
        """
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a fit found.

    Attributes:
        rule: to predict by.
        rows: the fewest rows behind any number of it.
        info: single values for people.
        tables: of coefficients and the like.
        dropped: inputs that play no part, and why.
    """

    rule: Rule
    rows: float
    info: Mapping[str, Value] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)
    dropped: Mapping[str, str] = field(default_factory=dict)


def settled(rule: Rule) -> Rule:
    """Return a rule whose arrays nobody can change, and lie in memory as stored ones will.

    Sums over another layout differ in their last bit.
    """
    arrays = {}
    for field_ in fields(rule):  # type: ignore[arg-type]  # each rule is a dataclass
        value = getattr(rule, field_.name)
        if isinstance(value, np.ndarray):
            arrays[field_.name] = np.array(value, order="C")
            arrays[field_.name].flags.writeable = False
    same: Rule = replace(rule, **arrays)  # type: ignore[type-var]
    return same


class Fitter(Protocol):
    """The options of one family, checked; it makes models. Pure and immutable."""

    @classmethod
    def read(cls, parameters: Parameters) -> Fitter:
        """Return the fitter that these parameters ask for; needs no statistics.

        Raises:
            InvalidInput: one of them cannot be used; names it and its value.
        """
        ...

    def fit(self, problem: Problem) -> Outcome:
        """Make a model.

        Raises:
            FitFailed: these statistics do not allow one; says why, and what would help.
        """
        ...
