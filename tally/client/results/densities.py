"""Histograms of attributes, and how far two projects lie apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tally.client.results.grid import Grid, Shown, cell_text

_DRIFT = "_drift"
_BLOCKS = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Density(Shown):
    """Rows of one attribute, counted in bins of equal width.

    Attributes:
        name: of the attribute; `x|y` is x over the rows in which y is 1.
        minimum, maximum: the outer edges.
        width: of a bin.
        counts: rows in each.
        note: why this is not the whole answer; empty: it is.

    Example:
        >>> print(Density("x", 0.0, 4.0, 1.0, (8.0, 4.0, 0.0, 1.0), ""))
        x: 13 rows in 4 bins from 0 to 4
        █▄ ▁
    """

    name: str
    minimum: float
    maximum: float
    width: float
    counts: tuple[float, ...]
    note: str = ""

    @property
    def edges(self) -> tuple[float, ...]:
        """Where the bins begin, and the last one ends."""
        bins = len(self.counts)
        span = self.maximum - self.minimum
        return tuple(self.minimum + span * place / bins for place in range(bins + 1))

    def __str__(self) -> str:
        if not self.counts:
            return self._title()
        most = max(self.counts) or 1.0
        bars = "".join(_BLOCKS[-(-int(count) * 8 // int(most))] for count in self.counts)
        return f"{self._title()}\n{bars.rstrip()}"

    def _title(self) -> str:
        if not self.counts:
            return f"{self.name}: {self.note}"
        note = f" ({self.note})" if self.note else ""
        return (
            f"{self.name}: {sum(self.counts):g} rows in {len(self.counts)} bins "
            f"from {self.minimum:g} to {self.maximum:g}{note}"
        )

    def _grid(self) -> Grid:
        edges = zip(self.edges, self.edges[1:], self.counts, strict=False) if self.counts else ()
        return Grid(("from", "to", "rows"), tuple(edges))


@dataclass(frozen=True, slots=True)
class Drift(Shown):
    """How far another project lies from a baseline.

    Attributes:
        metric: by which it is told.
        score: of all attributes together.
        attributes: of each.
    """

    metric: str
    score: float
    attributes: Mapping[str, float]

    @classmethod
    def of(cls, metric: str, told: Mapping[str, float]) -> Drift:
        """Return it as the server tells it."""
        each = {key[: -len(_DRIFT)]: x for key, x in told.items() if key.endswith(_DRIFT)}
        return cls(metric, told["driftScore"], each)

    def _title(self) -> str:
        return f"drift score ({self.metric}): {cell_text(self.score)}"

    def _grid(self) -> Grid:
        return Grid(("attribute", "drift"), tuple(self.attributes.items()))
