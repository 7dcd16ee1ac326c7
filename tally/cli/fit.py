"""`tally fit`: send a series, follow the fit, say how good it is."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from tally.cli import output
from tally.cli.pairs import pairs
from tally.cli.series import read_series
from tally.client.forecasts import ForecastClient, ended
from tally.ids import DEFAULT_MODEL


def fit(
    file: Annotated[Path, typer.Argument(help="CSV with a header, or JSON.", exists=True)],
    model: output.Model = DEFAULT_MODEL,
    column: Annotated[str | None, typer.Option(help="Column of a CSV to fit.")] = None,
    time: Annotated[str | None, typer.Option(help="Column of a CSV with timestamps.")] = None,
    algorithm: Annotated[str | None, typer.Option(help="auto, harmonic_ar, ets, ...")] = None,
    period: Annotated[int | None, typer.Option(help="Steps in a season; else found.")] = None,
    start: Annotated[str | None, typer.Option(help="Date of the first value.")] = None,
    frequency: Annotated[str | None, typer.Option(help="Of the values: D, h, 15min.")] = None,
    option: Annotated[
        list[str] | None, typer.Option("--option", "-o", help="name=value of the algorithm.")
    ] = None,
    min_skill: Annotated[
        float | None, typer.Option(help="Do not serve it unless it is so much better.")
    ] = None,
    url: output.Url = output.DEFAULT_URL,
    token: output.Token = "",
    as_json: output.Json = False,
) -> None:
    """Fit a series and wait until its version is served.

    Exit code 1: the series was refused, or the fit ended without a version being served.
    """

    async def call() -> dict[str, Any]:
        body = read_series(file, column, time)
        asked = {
            "algorithm": algorithm,
            "period": period,
            "start": start,
            "frequency": frequency,
            "min_skill": min_skill,
        }
        body |= {name: value for name, value in asked.items() if value is not None}
        if option:
            given = pairs("--option", option)
            body["options"] = {name: _read(value) for name, value in given.items()}
        async with ForecastClient(url, token) as client:
            accepted = await client.fit(model, body)
            return await _follow(client, accepted["fit"], quiet=as_json)

    told = output.run(call())
    if as_json:
        output.print_json(told)
    elif told["state"] == "SERVED":
        output.OUT.print(f"{model}: version {told['version']} is served")
    if told["state"] != "SERVED":
        reason = told.get("reason", "")
        output.fail(f"the fit is {told['state']}: {reason}", output.Exit.REFUSED)


async def _follow(client: ForecastClient, fit_id: str, *, quiet: bool) -> dict[str, Any]:
    # What takes less than a second shows nothing, and leaves nothing behind.
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=output.ERR, transient=True, disable=quiet) as progress:
        task = progress.add_task("fitting", total=None)
        while True:
            told = await client.get_fit(fit_id)
            progress.update(task, description=str(told.get("doing", told["state"].lower())))
            if ended(told):
                return told
            await asyncio.sleep(0.1)


def _read(value: str) -> object:
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value
