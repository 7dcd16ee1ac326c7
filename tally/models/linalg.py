"""Stable solutions of symmetric systems, and what to say where there is none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack, solve_triangular

from tally.errors import FitFailed
from tally.models.base import Floats, Value
from tally.models.parameters import Parameters

SINGULAR = 1e-13
"""The share of a variance that other inputs leave unexplained below which it is rounding."""

REDUNDANT = 1e-10
"""That share below which `svdreduce` leaves an input out."""

POOR = 1e10
"""The condition number of correlations from which on a model carries a warning."""

EPSILON = float(np.finfo(float).eps)
_NAMED = 6
_NEGLIGIBLE = 1e-6


@dataclass(frozen=True, slots=True)
class Solving:
    """How singular systems are met.

    Attributes:
        pseudo: take the solution of least norm, in units of standard deviations.
        tolerance: fail if the reciprocal condition number is below it; None for never.
    """

    pseudo: bool = False
    tolerance: float | None = None

    @classmethod
    def read(cls, parameters: Parameters) -> Solving:
        """Return what the common parameters ask for."""
        pseudo = parameters.flag("matrix_use_pseudoinv")
        checked = parameters.flag("sml_rcond_use")
        tolerance = parameters.number("sml_rcond_tolerance", 1e-14, low=0.0, high=1.0)
        return cls(pseudo, tolerance if checked else None)


@dataclass(frozen=True, slots=True, eq=False)
class Solver:
    """A positive definite matrix, ready to be solved with; its diagonal was scaled to 1.

    Attributes:
        scale: (p,) roots of the diagonal.
        factor: (p, p) the lower Cholesky factor of the scaled matrix; or (rank, p) an F with F'F
            its pseudo-inverse.
        pseudo: which of the two.
        rank: of it.
        rcond: its reciprocal condition number, in the 1-norm.
        log_determinant: of the whole matrix; of its non-zero part if that is smaller.
    """

    scale: Floats
    factor: Floats
    pseudo: bool
    rank: int
    rcond: float
    log_determinant: float

    def solve(self, right: Floats) -> Floats:
        """Return the x with S x = right; (p,) or (p, k)."""
        scale = self.scale if right.ndim == 1 else self.scale[:, None]
        if self.pseudo:
            found: Floats = self.factor.T @ (self.factor @ (right / scale))
        else:
            half = solve_triangular(self.factor, right / scale, lower=True)
            found = solve_triangular(self.factor, half, lower=True, trans="T")
        return found / scale

    def inverse(self) -> Floats:
        """Return the inverse (p, p)."""
        return self.solve(np.eye(len(self.scale)))

    def whitening(self) -> Floats:
        """Return F (rank, p) with F'F the inverse."""
        if self.pseudo:
            return self.factor / self.scale
        inverse: Floats = solve_triangular(self.factor, np.eye(len(self.scale)), lower=True)
        return inverse / self.scale


def solver(
    matrix: Floats,
    names: Sequence[str],
    solving: Solving = Solving(),
    came_from: Floats | None = None,
    where: str = "",
) -> Solver:
    """Return a positive semidefinite matrix of covariances, ready to be solved with.

    Args:
        matrix: (p, p).
        names: of its rows.
        solving: how to meet a singular one.
        came_from: (p,) the variances that a part was taken away from to make the diagonal: by how
            much rounding grew.
        where: within what rows, for errors.

    Raises:
        FitFailed: it is singular; tells which row depends on which.

    Example:
        >>> solver(np.array([[4.0, 0.0], [0.0, 9.0]]), ("x", "y")).solve(np.array([8.0, 9.0]))
        array([2., 1.])
    """
    diagonal = matrix.diagonal()
    base = diagonal if came_from is None else came_from
    constant = diagonal <= SINGULAR * base
    if constant.any() and not solving.pseudo:
        name = names[int(constant.argmax())]
        raise FitFailed(f"attribute [{name}] is constant{where}: {_REMEDY}")
    scale = np.sqrt(np.where(constant, 1.0, diagonal))
    growth = np.where(constant, 1.0, base / np.where(constant, 1.0, diagonal))
    scaled = matrix / np.outer(scale, scale)
    if solving.pseudo:
        scaled[constant] = 0.0
        scaled[:, constant] = 0.0
        return _pseudo(scaled, scale, solving)
    least = max(SINGULAR, 4 * len(names) * EPSILON) * growth
    lower, info = _cholesky(scaled)
    if info or (lower.diagonal() ** 2 < least).any():
        _, explained = independent(scaled, least)
        if explained:
            place, weights = next(iter(explained.items()))
            raise FitFailed(_dependent(names, scale, place, weights, where))
        raise FitFailed(f"the covariances of the inputs are singular{where}: {_REMEDY}")
    rcond = float(lapack.dpocon(lower, _norm(scaled), uplo="L")[0])
    _check(rcond, solving)
    if rcond < EPSILON:
        raise FitFailed(
            f"the inputs are singular{where} as far as 16 digits tell: their reciprocal condition"
            f" number is {rcond:.2g}, so not one digit of the coefficients would be right;"
            f" {_REMEDY}; where inputs are powers of another, take them about its mean"
        )
    log_determinant = 2 * float(np.log(lower.diagonal()).sum() + np.log(scale).sum())
    return Solver(scale, lower, False, len(names), rcond, log_determinant)


def conditioning(solved: Solver) -> dict[str, Value]:
    """Return how far the solution can be trusted: the condition number, and a warning if large."""
    number = 1 / solved.rcond if solved.rcond else math.inf
    found: dict[str, Value] = {"condition_number": number}
    if number > POOR:
        found["warning"] = (
            f"the inputs almost determine each other (condition number {number:.2g}): only few"
            " digits of the coefficients are right, though predictions of rows like those learned"
            " are better"
        )
    return found


def independent(
    matrix: Floats, least: Floats | float = REDUNDANT
) -> tuple[list[int], dict[int, Floats]]:
    """Return the rows that those before them do not determine, and how the others depend.

    Args:
        matrix: (p, p), positive semidefinite with 1 on the diagonal.
        least: that a row must leave unexplained, (p,) or the same for all.

    Returns:
        The rows kept, and for each other one its (p,) weights on the rows kept before it.

    Example:
        >>> independent(np.array([[1.0, -1.0], [-1.0, 1.0]]))
        ([0], {1: array([-1.,  0.])})
    """
    p = len(matrix)
    bounds = np.broadcast_to(least, p)
    factor, info = _cholesky(matrix)
    if not info and (factor.diagonal() ** 2 >= bounds).all():
        return list(range(p)), {}
    lower = np.zeros_like(matrix)
    kept: list[int] = []
    explained: dict[int, Floats] = {}
    for row in range(p):
        k = len(kept)
        factor = lower[:k, :k]
        part = solve_triangular(factor, matrix[kept, row], lower=True) if k else np.zeros(0)
        left = float(matrix[row, row] - part @ part)
        if left < bounds[row]:
            weights = np.zeros(p)
            if k:
                weights[kept] = solve_triangular(factor, part, lower=True, trans="T")
            explained[row] = weights
            continue
        lower[k, :k], lower[k, k] = part, math.sqrt(left)
        kept.append(row)
    return kept, explained


def told(names: Sequence[str], scale: Floats, weights: Floats) -> str:
    """Return a linear combination in words, in the units of the attributes."""
    if not weights.any():
        return "nothing that agrees with the rows with missing cells"
    # From the largest share on; what is left of the others is rounding.
    order = [k for k in np.argsort(-np.abs(weights), kind="stable") if abs(weights[k]) > 0]
    main = [k for k in order if abs(weights[k]) > _NEGLIGIBLE * abs(weights[order[0]])]
    terms = [f"{weights[k] / scale[k]:+.6g} [{names[k]}]" for k in sorted(main[:_NAMED])]
    more = f" and {len(main) - _NAMED} more" if len(main) > _NAMED else ""
    return f"{' '.join(terms)}{more} and a constant"


_REMEDY = (
    "leave it out, or build with svdreduce=true, matrix_use_pseudoinv=true, or a family that"
    " shrinks, such as ridge"
)


def _dependent(names: Sequence[str], scale: Floats, place: int, weights: Floats, where: str) -> str:
    name = names[place]
    if not weights.any():
        return f"attribute [{name}] contradicts the others in rows with missing cells: {_REMEDY}"
    combination = told(names, scale, weights * scale[place])
    return (
        f"the inputs are singular{where}: attribute [{name}] is a linear combination of"
        f" {combination}; {_REMEDY}"
    )


def _cholesky(matrix: Floats) -> tuple[Floats, int]:
    lower, info = lapack.dpotrf(matrix, lower=1, clean=1)
    return lower, int(info)


def _norm(matrix: Floats) -> float:
    return float(np.abs(matrix).sum(axis=0).max())


def _pseudo(scaled: Floats, scale: Floats, solving: Solving) -> Solver:
    values, vectors = np.linalg.eigh(scaled)
    largest = float(values[-1])
    cut = max(SINGULAR, len(values) * EPSILON) * largest
    kept = values > cut
    if not kept.any():
        raise FitFailed("no input varies: learn rows in which they differ")
    rcond = float(values[kept].min() / largest)
    _check(rcond, solving)
    root: Floats = (vectors[:, kept] / np.sqrt(values[kept])).T
    log_determinant = float(np.log(values[kept]).sum() + 2 * np.log(scale).sum())
    return Solver(scale, root, True, int(kept.sum()), rcond, log_determinant)


def _check(rcond: float, solving: Solving) -> None:
    if solving.tolerance is not None and rcond < solving.tolerance:
        raise FitFailed(
            f"the reciprocal condition number {rcond:.3g} of the inputs is below"
            f" sml_rcond_tolerance {solving.tolerance:.3g}: {_REMEDY}"
        )
