"""The elastic net on a Gram matrix: coordinate descent, and the exact solution for its signs.

Minimises b'Ab/2 - a'b + penalty [(1 - mix)/2 |b|^2 + mix |b|_1].

Source: Friedman, Hastie, Tibshirani 2010, doi:10.18637/jss.v033.i01.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from tally.models.base import Checkpoint, Floats, Places, nothing

FINE = 1e-10
"""A change of all coefficients, in standard deviations of the target, that is none."""

_SLACK = 1e-9
_SOLUTIONS = 20
_INNER = 20


@dataclass(frozen=True, slots=True, eq=False)
class Descent:
    """What coordinate descent reached.

    Attributes:
        coefficients: (p,) b.
        sweeps: over the coefficients.
        converged: whether the last sweep changed nothing that matters.
    """

    coefficients: Floats
    sweeps: int
    converged: bool


def descend(
    gram: Floats,
    cross: Floats,
    penalty: float,
    mix: float,
    *,
    start: Floats | None = None,
    sweeps: int = 1000,
    tolerance: float = FINE,
    unit: float = 1.0,
    checkpoint: Checkpoint = nothing,
) -> Descent:
    """Return the minimum.

    Args:
        gram: (p, p) A, positive semidefinite; a coefficient whose diagonal entry is 0 stays 0.
        cross: (p,) a.
        penalty: at least 0.
        mix: in [0, 1]: 0 shrinks all, 1 selects.
        start: (p,) where to begin.
        sweeps: at most so many.
        tolerance: stop where no coefficient changes its share of the prediction by this.
        unit: standard deviation of what is predicted.
        checkpoint: called before each sweep over all coefficients, and before each solution.

    Example:
        >>> descend(np.eye(2), np.array([3.0, 0.5]), 1.0, 1.0).coefficients
        array([2., 0.])
    """
    b = np.zeros(len(cross)) if start is None else start.copy()
    size = gram.diagonal()
    live = np.flatnonzero(size > 0)
    b[size <= 0] = 0.0
    weight = np.sqrt(size)
    left = cross - gram @ b
    for done in range(1, sweeps + 1):
        checkpoint()
        # The others are 0 and would stay so: looking at all at once costs next to nothing.
        moving = live[(b[live] != 0) | (np.abs(left[live]) > penalty * mix)]
        change = _sweep(gram, left, b, moving, penalty, mix, weight)
        exact = _settled(gram, cross, b, penalty, mix, checkpoint)
        if exact is not None:
            return Descent(exact, done, True)
        if change <= tolerance * unit:
            return Descent(b, done, True)
        active = np.flatnonzero(b)
        for _ in range(_INNER):
            if _sweep(gram, left, b, active, penalty, mix, weight) <= tolerance * unit:
                break
    return Descent(b, sweeps, False)


def effective_parameters(gram: Floats, b: Floats, ridge: float) -> float:
    """Return the trace of A(A + ridge I)^-1 over the coefficients that are not 0."""
    used = np.flatnonzero(b)
    if ridge == 0:
        return float(len(used))
    values = np.linalg.eigvalsh(gram[np.ix_(used, used)])
    return float((values / (values + ridge)).sum()) if len(used) else 0.0


def _sweep(
    gram: Floats,
    left: Floats,
    b: Floats,
    places: Places,
    penalty: float,
    mix: float,
    weight: Floats,
) -> float:
    """Move each of these coefficients to its minimum; return the largest change."""
    threshold, ridge, largest = penalty * mix, penalty * (1 - mix), 0.0
    for j in places:
        size, old = gram[j, j], b[j]
        rho = left[j] + size * old
        over = abs(rho) - threshold
        new = 0.0 if over <= 0 else (over if rho > 0 else -over) / (size + ridge)
        if new != old:
            left -= gram[j] * (new - old)
            b[j] = new
            largest = max(largest, abs(new - old) * weight[j])
    return largest


def _settled(
    gram: Floats, cross: Floats, b: Floats, penalty: float, mix: float, checkpoint: Checkpoint
) -> Floats | None:
    """Return the minimum, by solving for one set of signs after the other; None: not so.

    As long as the signs hold, the minimum is the solution of a linear system. Where one would
    change on the way there, the way ends, and that coefficient leaves; where a coefficient that is
    0 has a reason not to be, it joins. From signs that are nearly right this takes a few steps;
    from others it may go round in circles, and the sweeps go on.
    """
    bound, ridge = penalty * mix, penalty * (1 - mix)
    found, signs = b.copy(), np.sign(b)
    for _ in range(_SOLUTIONS):
        checkpoint()
        used = np.flatnonzero(signs)
        solved = _solved(gram, cross, used, bound * signs[used], ridge)
        if solved is None:
            return None
        turned = np.sign(solved) != signs[used]
        if turned.any():
            before = found[used]
            way = solved[turned] - before[turned]
            shares = np.divide(-before[turned], way, where=way != 0, out=np.zeros_like(way))
            found[used] = before + shares.min() * (solved - before)
            leaving = used[turned][shares == shares.min()]
            found[leaving] = signs[leaving] = 0.0
            continue
        found[:] = 0.0
        found[used] = solved
        reason = cross - gram @ found
        reason[used] = 0.0
        reason[gram.diagonal() <= 0] = 0.0
        joining = np.abs(reason) > bound * (1 + _SLACK) + np.finfo(float).tiny
        if not joining.any():
            return found
        signs[joining] = np.sign(reason[joining])
    return None


def _solved(gram: Floats, cross: Floats, used: Places, pull: Floats, ridge: float) -> Floats | None:
    """Return the coefficients in use where each is pulled towards 0 by so much; None: singular."""
    if not len(used):
        return np.zeros(0)
    matrix = gram[np.ix_(used, used)] + ridge * np.eye(len(used))
    scale = np.sqrt(matrix.diagonal())
    try:
        factor = cho_factor(matrix / np.outer(scale, scale), lower=True)
    except LinAlgError:
        return None
    if (factor[0].diagonal() ** 2).min() < FINE:
        return None
    solved: Floats = cho_solve(factor, (cross[used] - pull) / scale) / scale
    return solved
