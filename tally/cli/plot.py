"""A forecast as a picture; needs the `plot` extra."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tally.client.plot import Picture, drawing


def save_plot(path: Path, told: dict[str, Any], title: str) -> None:
    """Write a forecast with its intervals to a PNG or SVG file.

    Args:
        path: the file; its ending decides the format.
        told: an answer of the forecast API.
        title: above the picture.

    Raises:
        AlgorithmUnavailable: matplotlib is not installed.
        InvalidInput: the file cannot be written.
    """
    figure, axes = drawing(10, 4)
    steps: list[Any] = list(range(1, len(told["data"]) + 1))
    if "timestamps" in told:
        from datetime import datetime

        steps = [datetime.fromisoformat(moment) for moment in told["timestamps"]]
    for place, level in enumerate(sorted(told.get("lower", {}), key=float, reverse=True)):
        axes.fill_between(
            steps,
            told["lower"][level],
            told["upper"][level],
            alpha=0.15 * (place + 1),
            color="tab:blue",
            linewidth=0,
            label=f"{level} % interval",
        )
    axes.plot(steps, told["data"], color="tab:blue", label="forecast")
    axes.set_title(title)
    axes.set_xlabel("" if "timestamps" in told else "steps ahead")
    figure.legend(*axes.get_legend_handles_labels(), frameon=False, loc="outside right upper")
    Picture(figure).save(path)
