"""Principal components, singular values and inflation of variances."""

from __future__ import annotations

from dataclasses import dataclass

from tally.client.results.grid import Cell, Grid, Shown, cell_text


@dataclass(frozen=True, slots=True)
class Pca(Shown):
    """Principal components, the largest first.

    Attributes:
        names: of the attributes that the vectors are about; constant ones are left out.
        values: eigenvalues.
        vectors: for each eigenvalue a vector with a number for each name.
        total: sum of all eigenvalues, also of those that were not asked for.

    Example:
        >>> print(Pca(("x", "y"), (1.5, 0.5), ((0.71, 0.71), (0.71, -0.71)), 2.0))
        component  eigenvalue  share     x      y
        1                 1.5   0.75  0.71   0.71
        2                 0.5   0.25  0.71  -0.71
    """

    names: tuple[str, ...]
    values: tuple[float, ...]
    vectors: tuple[tuple[float, ...], ...]
    total: float

    @property
    def shares(self) -> tuple[float, ...]:
        """What each component explains, of 1."""
        return tuple(value / self.total for value in self.values)

    def _grid(self) -> Grid:
        told = zip(self.values, self.shares, self.vectors, strict=True)
        rows: list[tuple[Cell, ...]] = [
            (str(number), value, share, *vector)
            for number, (value, share, vector) in enumerate(told, start=1)
        ]
        return Grid(("component", "eigenvalue", "share", *self.names), tuple(rows))


@dataclass(frozen=True, slots=True)
class Svd(Shown):
    """Singular values of the covariance matrix, the largest first.

    Attributes:
        names: the attributes, in the order in which they were given.
        values: as many; a value belongs to a place, not to the attribute there.
    """

    names: tuple[str, ...]
    values: tuple[float, ...]

    @property
    def condition(self) -> float:
        """The largest value over the smallest; infinite where that is 0."""
        least = self.values[-1] if self.values else 0.0
        return self.values[0] / least if least else float("inf")

    def _title(self) -> str:
        return f"condition number {cell_text(self.condition)}"

    def _grid(self) -> Grid:
        rows = tuple((str(place), value) for place, value in enumerate(self.values, start=1))
        return Grid(("", "singular value"), rows)


@dataclass(frozen=True, slots=True)
class Vif(Shown):
    """How many times larger the variance of each coefficient is for the others' sake.

    Attributes:
        names: of the attributes.
        values: 1 where nothing is shared; NaN where an attribute is constant.
    """

    names: tuple[str, ...]
    values: tuple[float, ...]

    def __getitem__(self, name: str) -> float:
        """Return the number of one attribute."""
        return self.values[self.names.index(name)]

    def _grid(self) -> Grid:
        return Grid(("attribute", "VIF"), tuple(zip(self.names, self.values, strict=True)))
