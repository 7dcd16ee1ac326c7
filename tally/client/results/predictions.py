"""What a model answers to rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tally.client.results.grid import Cell, Grid, Shown

Column: TypeAlias = tuple[Cell, ...]

RESULT = "res"
_TRUTH = {"true": True, "false": False}
_POSTERIOR = (RESULT, "Prob")  # of several classes; with one there is `prob1` as well


@dataclass(frozen=True, slots=True)
class Predictions(Shown):
    """An answer to each row, by key; `res` is the prediction itself.

    Attributes:
        columns: by key, in the model's order, each with as many cells as there were rows:
            numbers, or texts where the answer is the name of a class.
        version: of the model, one for all rows.

    Example:
        >>> told = Predictions.of([{"res": "4.5"}, {"res": "1.0E-5"}], 3)
        >>> told["res"], told.version, len(told)
        ((4.5, 1e-05), 3, 2)
    """

    columns: Mapping[str, Column]
    version: int

    @classmethod
    def of(cls, told: Sequence[Mapping[str, str]], version: int) -> Predictions:
        """Return them as the server tells them."""
        keys = tuple(told[0]) if told else ()
        columns = {key: tuple(row[key] for row in told) for key in keys}
        named = keys == _POSTERIOR or set(columns.get(RESULT, ())) <= set(keys)
        return cls(
            {
                key: column if named and key == RESULT else tuple(map(_cell, column))
                for key, column in columns.items()
            },
            version,
        )

    @property
    def result(self) -> Column:
        """The predictions themselves."""
        return self[RESULT]

    def numbers(self, key: str = RESULT) -> tuple[float, ...]:
        """Return one key's answers as numbers.

        Raises:
            ValueError: they are names of classes.
        """
        return tuple(float(cell) for cell in self[key] if cell is not None)

    def __getitem__(self, key: str) -> Column:
        """Return one key's answers."""
        return self.columns[key]

    def __len__(self) -> int:
        """Return how many rows were answered."""
        return len(next(iter(self.columns.values()), ()))

    def __iter__(self) -> Iterator[dict[str, Cell]]:
        """Iterate over the rows."""
        for cells in zip(*self.columns.values(), strict=True):
            yield dict(zip(self.columns, cells, strict=True))

    def _title(self) -> str:
        return f"{len(self)} row{'' if len(self) == 1 else 's'} by version {self.version}"

    def _grid(self) -> Grid:
        numbers = range(1, len(self) + 1)
        rows = zip(map(str, numbers), *self.columns.values(), strict=True)
        return Grid(("row", *self.columns), tuple(rows))


def _cell(text: str) -> Cell:
    """Return a text as the number that it is; whole numbers are labels."""
    if text in _TRUTH:
        return _TRUTH[text]
    try:
        return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:
        return text
