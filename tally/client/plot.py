"""Pictures for notebooks and files; they need the `plot` extra."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from tally.client.results.densities import Density
from tally.errors import AlgorithmUnavailable, InvalidInput

_DPI = 150


class Picture:
    """A picture that a notebook shows by itself.

    Attributes:
        figure: of matplotlib, to be changed at will.
    """

    def __init__(self, figure: Any) -> None:
        self.figure = figure

    def save(self, path: Path) -> None:
        """Write a file; its ending decides the format.

        Raises:
            InvalidInput: it cannot be written, or there is no such format.
        """
        formats = self.figure.canvas.get_supported_filetypes()
        if path.suffix.removeprefix(".").lower() not in formats:
            raise InvalidInput(str(path), "it ends in no format of pictures, such as .png or .svg")
        try:
            self.figure.savefig(path, dpi=_DPI)
        except OSError as error:
            raise InvalidInput(str(path), str(error.strerror)) from error

    async def saved(self, path: str | PathLike[str] | None) -> Picture:
        """Return itself, once it is written; None: it is not. Raises as `save` does."""
        if path is not None:
            await asyncio.to_thread(self.save, Path(path))
        return self

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.figure.savefig(file, format="png", dpi=_DPI)
        return file.getvalue()


def drawing(width: float = 8, height: float = 4) -> tuple[Any, Any]:
    """Return an empty figure of matplotlib, and its axes.

    Args:
        width, height: in inches.

    Raises:
        AlgorithmUnavailable: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise AlgorithmUnavailable(
            "plot", "it needs matplotlib; install it with: pip install 'tally[plot]'"
        ) from error
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def draw_densities(whole: Density, parts: Sequence[Density], title: str) -> Picture:
    """Return the histogram of an attribute, and lines for parts of the rows.

    Args:
        whole: of all rows: bars.
        parts: over the same bins: a line each.
        title: beside the attribute's name.

    Raises:
        AlgorithmUnavailable: matplotlib is not installed.
    """
    figure, axes = drawing()
    edges = whole.edges
    if whole.width == 0:  # every row has the same value
        edges = tuple(
            whole.minimum - 0.5 + place / len(whole.counts) for place in range(len(edges))
        )
    axes.stairs(whole.counts, edges, fill=True, color="0.85", label="all rows")
    axes.stairs(whole.counts, edges, color="0.6", linewidth=0.8)
    for part in parts:
        label = part.name.partition("|")[2] or part.name
        axes.stairs(part.counts, edges, linewidth=1.8, label=label)
    axes.set_title(f"{whole.name} in {title}", loc="left")
    axes.set_xlabel(whole.name)
    axes.set_ylabel("rows")
    axes.set_ylim(bottom=0)
    if parts:
        axes.legend(frameon=False)
    return Picture(figure)
