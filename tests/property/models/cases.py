"""What the conformance suite builds: one model, or more, of every family."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tally.models.base import Statistics
from tally.models.model import Model
from tests.unit.models.iris import (
    SETOSA,
    SPECIES,
    VERSICOLOR,
    VIRGINICA,
    X3,
    X4,
    build,
    merged,
    partitioned_of,
    summary_of,
    table,
)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """One model to build.

    Attributes:
        family: its name.
        inputs, targets: indexes of Iris.
        parameters: of the fit.
        partitions: whether it is made from the states of classes.
    """

    family: str
    inputs: tuple[str, ...] = X4
    targets: tuple[str, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)
    partitions: bool = False

    def statistics(self, *pieces: Floats) -> Statistics:
        """Return the statistics of rows that were learned in pieces, and merged."""
        summary = merged(*map(summary_of, pieces))
        if not self.partitions:
            return Statistics(summary)
        states = [partitioned_of(piece).partitions for piece in pieces]
        parts = {name: merged(*(state[name] for state in states)) for name in SPECIES}
        return Statistics(summary, parts, "species")

    def model(self, statistics: Statistics | None = None, **parameters: str) -> Model:
        """Return the model, of all rows unless other statistics are given."""
        given = statistics or self.statistics(table()[1])
        every = {**self.parameters, **parameters}
        return build(self.family, self.inputs, self.targets, given, every)


def forgotten(case: Case, values: Floats, extra: Floats) -> Statistics:
    """Return the statistics of rows, with others that were learned and forgotten again."""
    statistics = case.statistics(np.concatenate([values, extra]))

    def less(of: Callable[[Floats], Statistics]) -> Statistics:
        gone = of(extra)
        draft = statistics.summary.draft()
        draft.merge(gone.summary, -1)
        parts = {}
        for name, part in statistics.partitions.items():
            left = part.draft()
            left.merge(gone.partitions[name], -1)
            parts[name] = left.done()
        return Statistics(draft.done(), parts, statistics.partition_column)

    return less(case.statistics)


CASES = {
    "mlr": Case("mlr", X3, ("0",)),
    "mlr of singular inputs": Case(
        "mlr", (*X3, "4", "5"), ("0",), {"matrix_use_pseudoinv": "true"}
    ),
    "ridge": Case("ridge", X3, ("0",), {"lambda": "0.1"}),
    "lasso": Case("lasso", X3, ("0",), {"lambda": "0.1"}),
    "elasticnet": Case("elasticnet", X3, ("0",), {"lambda": "0.01"}),
    "elasticnet by aicc": Case("elasticnet", X3, ("0",), {"aicc": "true", "num_lambda": "20"}),
    "lasso, refitted": Case("lasso", X3, ("0",), {"lambda": "0.1", "debias": "1"}),
    "pcr": Case("pcr", X3, ("0",), {"q": "2"}),
    "pcr, one size": Case("pcr", X3, ("0",), {"q": "2", "oneq": "true"}),
    "pcr, full": Case("pcr", X3, ("0",), {"pcr_type": "full", "lambda": "0.1"}),
    "plsq": Case("plsq", X3, ("0",), {"q": "2"}),
    "lsvr": Case("lsvr", X3, ("0",), {"clip_negative_predictions": "true"}),
    "lda": Case("lda", X4, (VERSICOLOR,)),
    "lda, shrunk": Case("lda", X4, (VERSICOLOR,), {"estimate_type": "l2_reg_sig"}),
    "lda of a number": Case("lda", ("0", "1", "2"), ("3",)),
    "lsvm": Case("lsvm", X4, (SETOSA,)),
    "bayes": Case("bayes", (*X4, "5", "7"), (VERSICOLOR,)),
    "bayes of classes": Case("bayes", X4, (SETOSA, VERSICOLOR, VIRGINICA)),
    "bayes of partitions": Case("bayes", X4, ("species",), partitions=True),
    "mlda": Case("mlda", X4, (SETOSA, VERSICOLOR, VIRGINICA)),
    "mlda of partitions": Case("mlda", X4, partitions=True),
    "mqda": Case("mqda", X4, partitions=True),
    "covest": Case("covest", X4, (), {"estimate_type": "l2_reg_sig", "tuning_type": "oas"}),
    "covest by graph_lasso": Case(
        "covest", X4, (), {"estimate_type": "graph_lasso", "lambda": "0.1"}
    ),
}
