"""`tally models`, `versions`, `rollback`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tally.cli import output
from tally.client.forecasts import ForecastClient
from tally.ids import DEFAULT_MODEL


def models(
    url: output.Url = output.DEFAULT_URL, token: output.Token = "", as_json: output.Json = False
) -> None:
    """List the models, each with the version that it serves."""

    async def call() -> list[dict[str, Any]]:
        async with ForecastClient(url, token) as client:
            return await client.models()

    told = output.run(call())
    if as_json:
        output.print_json(told)
        return
    rows = [
        (m["name"], m["version"] or "-", m["previous"] or "-", output.moment(m["moved_at"]))
        for m in told
    ]
    output.print_table(("model", "version", "previous", "since"), rows, "no models yet")


def versions(
    model: output.Model = DEFAULT_MODEL,
    url: output.Url = output.DEFAULT_URL,
    token: output.Token = "",
    as_json: output.Json = False,
) -> None:
    """List the versions of a model, newest first, with their backtest errors."""

    async def call() -> list[dict[str, Any]]:
        async with ForecastClient(url, token) as client:
            return await client.versions(model)

    told = output.run(call())
    if as_json:
        output.print_json(told)
        return
    rows = [
        (
            f"{v['version']}{' *' if v['serving'] else ''}",
            v["state"].lower(),
            v["algorithm"],
            v["values"],
            output.rounded(v["backtest"]["model"]["mae"]),
            output.rounded(v["backtest"]["skill"]),
            v["who"],
            output.moment(v["stored_at"]),
        )
        for v in told
    ]
    columns = ("version", "state", "algorithm", "values", "MAE", "skill", "who", "stored")
    output.print_table(columns, rows, "no versions yet")
    if rows:
        output.OUT.print("* is served; skill is 1 - MAE / MAE of the seasonal naive forecast")


def rollback(
    to: Annotated[int, typer.Argument(help="The version to serve again.", min=1)],
    model: output.Model = DEFAULT_MODEL,
    url: output.Url = output.DEFAULT_URL,
    token: output.Token = "",
    as_json: output.Json = False,
) -> None:
    """Serve an earlier version again. Fits accepted before this will not replace it."""

    async def call() -> dict[str, Any]:
        async with ForecastClient(url, token) as client:
            return await client.rollback(model, to)

    told = output.run(call())
    if as_json:
        output.print_json(told)
    else:
        output.OUT.print(f"{model}: version {told['version']} is served again")
