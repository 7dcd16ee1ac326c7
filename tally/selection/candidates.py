"""What is tried on each set of inputs: families, and their points of the grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tally.errors import InvalidInput
from tally.models import fitting
from tally.models.base import Fitter
from tally.models.families import FAMILIES, Family, Targets
from tally.models.parameters import MOST_INPUTS, Parameters
from tally.selection.grids import Grid
from tally.selection.metrics import Task

AUTOMATIC: Mapping[Task, tuple[str, ...]] = {
    Task.REGRESSION: ("mlr", "ridge", "lasso", "elasticnet", "lsvr"),
    Task.BINARY: ("lda", "bayes", "lsvm"),
    Task.MULTICLASS: ("mlda", "mqda"),
}
"""The families that `autoSelect` tries, of equal ones the earlier wins."""

_CLASSIFIERS: Mapping[str, tuple[Task, ...]] = {
    "lda": (Task.BINARY,),
    "lsvm": (Task.BINARY,),
    "bayes": (Task.BINARY, Task.MULTICLASS),
    "mlda": (Task.MULTICLASS,),
    "mqda": (Task.MULTICLASS,),
}
_MIX: Mapping[str, float | None] = {"ridge": 0.0, "lasso": 1.0, "elasticnet": None}


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to make a model of some inputs.

    Attributes:
        family: of the model.
        parameters: with which a build makes the same model.
        fitter: those, read.
    """

    family: Family
    parameters: Mapping[str, str]
    fitter: Fitter


def tasks(family: Family) -> tuple[Task, ...]:
    """Return what models of a family can be chosen for; nothing if they do not predict."""
    if family.targets is Targets.NONE:
        return ()
    return _CLASSIFIERS.get(family.name, (Task.REGRESSION,))


def candidates(
    families: Sequence[str],
    grid: Grid,
    parameters: Mapping[str, str],
    inputs: int = MOST_INPUTS,
) -> tuple[Candidate, ...]:
    """Return what is tried, in the order in which of equal ones the first wins.

    `ridge` and `lasso` are tried with each lambda, `elasticnet` with each pair; a penalty that is
    given is the only one, and with `aicc` each fit searches its own. Pairs that an earlier family
    has already are left out: eta 0 is `ridge`, eta 1 is `lasso`. A model has `inputs` at most.

    Raises:
        InvalidInput: a parameter cannot be used by one of them.

    Example:
        >>> [one.parameters for one in candidates(
        ...     ("ridge", "elasticnet"), Grid((0.0, 0.5), (0.1,)), {"debias": "true"})]
        ... # doctest: +NORMALIZE_WHITESPACE
        [{'debias': 'true', 'lambda': '0.1'}, {'debias': 'true', 'lambda': '0.1', 'eta': '0.5'}]
    """
    found = []
    seen: set[tuple[float, float]] = set()
    for name in families:
        family = FAMILIES[name]
        fitting.check(family, parameters, inputs)
        for added, place in _points(name, grid, parameters):
            if place is not None and place in seen:
                continue
            if place is not None:
                seen.add(place)
            every = {**parameters, **added}
            found.append(Candidate(family, every, family.fitter.read(Parameters(every))))
    return tuple(found)


def _points(
    name: str, grid: Grid, parameters: Mapping[str, str]
) -> list[tuple[dict[str, str], tuple[float, float] | None]]:
    """Return the parameters of each point of the grid, and its eta and lambda."""
    read = Parameters(parameters)
    # A ridge takes `alpha` as its lambda.
    fixed = read.has("alpha") and not read.has("lambda") and name == "ridge"
    if name not in _MIX or fixed or read.flag("aicc"):
        return [({}, None)]
    mix = _MIX[name]
    lambdas = (read.number("lambda", 0.0),) if read.has("lambda") else grid.lambdas
    etas = grid.etas if mix is None else (mix,)
    if mix is None and read.has("eta"):
        etas = (read.number("eta", 0.0),)
    found: list[tuple[dict[str, str], tuple[float, float] | None]] = []
    for eta in etas:
        for penalty in lambdas:
            added = {"lambda": repr(penalty)}
            if mix is None:
                added["eta"] = repr(eta)
            found.append((added, (eta, penalty)))
    return found


def check_family(family: Family, task: Task | None) -> Task:
    """Return what models of a family are chosen for: the task, or else its first one.

    Raises:
        InvalidInput: they are for something else, or predict nothing.
    """
    possible = tasks(family)
    if not possible:
        raise InvalidInput("algo", f"models of {family.name} do not predict, so no rows can tell")
    if task is None:
        return possible[0]
    if task not in possible:
        raise InvalidInput(
            "algo", f"{family.name} is for {possible[0].value}, and the targets for {task.value}"
        )
    return task
