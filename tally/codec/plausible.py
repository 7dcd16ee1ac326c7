"""Statistics that rows can have given: what a stranger sends must not spoil what it is added to."""

from __future__ import annotations

import numpy as np

from tally.engine.align import LARGEST
from tally.engine.project import Project
from tally.engine.sums import Floats, Sums
from tally.errors import CorruptState
from tally.wire.cell_statistics import MAX_ROWS

# Rows have numbers up to LARGEST, origins are means of them, and sums are of their differences:
# up to twice that. Twice more for rounding. Then no sum of a thousand projects leaves the floats.
_MOST = 4 * LARGEST


def check(project: Project) -> None:
    """Check that a project's sums are not beyond those of any rows.

    Raises:
        CorruptState: they are.
    """
    for summary in (project.summary, *project.partitions.values()):
        _check(summary.sums)


def _check(sums: Sums) -> None:
    rows = sums.n[sums.schema.group_of]  # (p, G), as `s`
    wrong = (
        _above(sums.origins, LARGEST)
        or _above(sums.n, MAX_ROWS)
        or bool((np.abs(sums.s) > _MOST * np.maximum(rows, 1)).any())  # or a mean is anywhere
        or _above(sums.q, MAX_ROWS * _MOST**2)
        or _above(sums.xxy, MAX_ROWS * _MOST**3)
        or _above(sums.pairs, MAX_ROWS * _MOST**4)
    )
    if wrong:
        raise CorruptState("the statistics are beyond those of any rows")


def _above(array: Floats, most: float) -> bool:
    return array.size > 0 and max(float(array.max()), -float(array.min())) > most
