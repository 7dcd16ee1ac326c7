"""Products added to a matrix in place; numpy would make a new one each time.

BLAS thinks in columns: our row-major matrices are its transposes, in the other triangle.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas as _blas

FEW = 40
"""With fewer columns, the general product is faster than the one that skips half of it."""


def add_square(to: NDArray[np.float64], of: NDArray[np.float64], *, lower: bool) -> None:
    """Add of'of to one triangle of `to`; with few columns, the other may be written too.

    Args:
        to: (k, k), C-contiguous.
        of: (n, k), C-contiguous.
        lower: the triangle.
    """
    if len(to) <= FEW:
        add_product(to, of, of)
        return
    _blas.dsyrk(1.0, of.T, beta=1.0, c=to.T, lower=not lower, overwrite_c=1)


def add_product(
    to: NDArray[np.float64], left: NDArray[np.float64], right: NDArray[np.float64]
) -> None:
    """Add left'right to `to`, (k, m); all are C-contiguous, the factors (n, k) and (n, m)."""
    if to.size and len(left):  # BLAS knows no empty matrices
        _blas.dgemm(1.0, right.T, left.T, beta=1.0, c=to.T, trans_b=1, overwrite_c=1)


def sum_of_squares(values: NDArray[np.float64]) -> float:
    """Return the sum of squares of a vector; infinite, without a warning, where it overflows."""
    return float(_blas.ddot(values, values)) if values.size else 0.0
