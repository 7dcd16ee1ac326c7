"""The table of families. A new one is one module with a `Fitter`, and one line here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from tally.errors import InvalidInput
from tally.models.base import Fitter, Rule
from tally.models.bayes import Bayes, NaiveBayes
from tally.models.covest import Covest, Nothing
from tally.models.lda import Discriminant, Lda
from tally.models.linear import Linear
from tally.models.mlda import Linears, Mlda
from tally.models.mlr import Mlr
from tally.models.mqda import Mqda, Quadratics
from tally.models.pcr import Pcr
from tally.models.penalised import Lasso, Penalised, Ridge
from tally.models.plsq import Plsq
from tally.models.proximal import Lsvm, Lsvr, Margin
from tally.models.sized import Sized


class Targets(Enum):
    """What a family wants to predict."""

    NUMBER = "one attribute"
    CLASS = "one binary attribute"
    CLASSES = "one or more binary attributes"
    PARTITION = "the partition column, or two or more binary attributes"
    ONLY_PARTITION = "the partition column"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Family:
    """One line of the table.

    Attributes:
        name: what users write as `algo`.
        fitter: reads its parameters.
        rules: what its models predict by, one of these.
        targets: what it predicts.
        exact: its models are closed formulas; the others are iterated to a tolerance.
        dependent: copes with inputs that determine each other.
    """

    name: str
    fitter: type[Fitter]
    rules: tuple[type[Rule], ...]
    targets: Targets
    exact: bool = True
    dependent: bool = True


_LINES = (
    Family("mlr", Mlr, (Linear,), Targets.NUMBER, dependent=False),
    Family("ridge", Ridge, (Linear,), Targets.NUMBER),
    Family("lasso", Lasso, (Linear,), Targets.NUMBER, exact=False),
    Family("elasticnet", Penalised, (Linear,), Targets.NUMBER, exact=False),
    Family("pcr", Pcr, (Sized, Linear), Targets.NUMBER),
    Family("plsq", Plsq, (Sized,), Targets.NUMBER),
    Family("lsvr", Lsvr, (Linear,), Targets.NUMBER),
    Family("lda", Lda, (Discriminant,), Targets.NUMBER, dependent=False),
    Family("lsvm", Lsvm, (Margin,), Targets.CLASS),
    Family("bayes", NaiveBayes, (Bayes,), Targets.CLASSES),
    Family("mlda", Mlda, (Linears,), Targets.PARTITION, dependent=False),
    Family("mqda", Mqda, (Quadratics,), Targets.ONLY_PARTITION, dependent=False),
    Family("covest", Covest, (Nothing,), Targets.NONE, exact=False),
)

FAMILIES: Mapping[str, Family] = {line.name: line for line in _LINES}


def family(name: str) -> Family:
    """Return the family of this name.

    Raises:
        InvalidInput: there is none.
    """
    found = FAMILIES.get(name.strip().lower())
    if found is None:
        raise InvalidInput("algo", f"[{name}] is unknown; there are {', '.join(FAMILIES)}")
    return found
