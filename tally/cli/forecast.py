"""`tally forecast`: ask for a forecast, and look at it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tally.cli import output
from tally.cli.chart import chart
from tally.cli.plot import save_plot
from tally.client.forecasts import ForecastClient
from tally.errors import InvalidInput
from tally.ids import DEFAULT_MODEL

_SHOWN = 10


def forecast(
    steps: Annotated[int, typer.Argument(help="How many values.", min=1)],
    model: output.Model = DEFAULT_MODEL,
    level: Annotated[str, typer.Option(help="Intervals in percent, like 80,95.")] = "80,95",
    version: Annotated[int | None, typer.Option(help="A stored version.")] = None,
    timestamps: Annotated[bool, typer.Option(help="With dates, if the fit had them.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Write a PNG or SVG.")] = None,
    url: output.Url = output.DEFAULT_URL,
    token: output.Token = "",
    as_json: output.Json = False,
) -> None:
    """Forecast from the version being served, or from a stored one."""

    async def call() -> dict[str, Any]:
        levels = _levels(level)
        async with ForecastClient(url, token) as client:
            told = await client.forecast(
                model, steps, levels=levels, timestamps=timestamps, version=version
            )
        if plot is not None:
            save_plot(plot, told, f"{model}, version {told['version']}")
        return told

    told = output.run(call())
    if as_json:
        output.print_json(told)
        return
    data = told["data"]
    output.OUT.print(f"{model}, version {told['version']}: {len(data)} steps")
    output.OUT.print(chart([], data))
    columns, rows = _rows(told)
    output.print_table(columns, rows[:_SHOWN], "")
    if len(rows) > _SHOWN:
        output.OUT.print(f"... {len(rows) - _SHOWN} more; --json prints all")
    if plot is not None:
        output.OUT.print(f"written: {plot}")


def _rows(told: dict[str, Any]) -> tuple[list[str], list[list[object]]]:
    levels = sorted(told.get("lower", {}), key=float)
    columns = ["step", "forecast", *(f"{level} % interval" for level in levels)]
    stamps = told.get("timestamps", range(1, len(told["data"]) + 1))
    rows: list[list[object]] = []
    for place, (stamp, value) in enumerate(zip(stamps, told["data"], strict=True)):
        intervals = [
            f"{told['lower'][level][place]:.4g} to {told['upper'][level][place]:.4g}"
            for level in levels
        ]
        rows.append([stamp, f"{value:.4g}", *intervals])
    return columns, rows


def _levels(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",") if part]
    except ValueError:
        raise InvalidInput("--level", f"{text!r} is not like 80,95") from None
