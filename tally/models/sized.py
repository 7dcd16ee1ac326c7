"""The rule of regressions on a growing number of components: one answer for each size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tally.models.base import Answers, Floats, Table
from tally.models.linear import INTERCEPT, Linear, Regression


@dataclass(frozen=True, slots=True, eq=False)
class Sized:
    """y = level + (x - center) b, for several b.

    Attributes:
        coefficients: (k, p) by size, ascending.
        center: (p,) means of the inputs.
        level: the prediction there.
        sizes: (k,) as keys.
        clip: whether negative predictions become 0.
    """

    coefficients: Floats
    center: Floats
    level: float
    sizes: tuple[str, ...]
    clip: bool = False

    scores = ("res",)

    @property
    def keys(self) -> tuple[str, ...]:
        """`res`, which is that of the largest size, and each size."""
        return ("res", *self.sizes)

    @property
    def shown(self) -> tuple[str, ...]:
        """The same."""
        return self.keys

    @property
    def largest(self) -> Linear:
        """The rule of the largest size."""
        return Linear(self.coefficients[-1], self.center, self.level, self.clip)

    def answer(self, x: Floats) -> dict[str, Answers]:
        """Answer rows (n, p)."""
        found = self.level + np.einsum("np,kp->kn", x - self.center, self.coefficients)
        if self.clip:
            found = np.maximum(found, 0.0)
        by_size = dict(zip(self.sizes, found, strict=True))
        return {"res": found[-1], **by_size}


def sized(given: Regression, coefficients: Floats, first: int, clip: bool) -> Sized:
    """Return the rule with these coefficients (k, p), of the sizes from `first` on."""
    sizes = tuple(str(first + k) for k in range(len(coefficients)))
    return Sized(coefficients, given.inputs.mean, given.mean, sizes, clip)


def tables(given: Regression, rule: Sized) -> dict[str, Table]:
    """Return the coefficients by size, and the moments that inputs were scaled by."""
    columns = {
        size: np.append(row, Linear(row, rule.center, rule.level).intercept)
        for size, row in zip(rule.sizes, rule.coefficients, strict=True)
    }
    model: Table = {"attribute": (*given.inputs.names, INTERCEPT), **columns}
    return {"model": model, **scaling(given)}


def scaling(given: Regression) -> dict[str, Table]:
    """Return the moments that inputs are scaled by."""
    names = given.inputs.names
    return {
        "mux": {"attribute": names, "mux": given.inputs.mean},
        "sig": {"attribute": names, "sig": given.inputs.scale},
    }
