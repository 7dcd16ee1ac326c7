"""`tally fits`, `retry`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tally.cli import output
from tally.client.forecasts import ForecastClient


def fits(
    state: Annotated[str, typer.Option(help="Only these; FAILED is the dead letters.")] = "",
    model: Annotated[str, typer.Option("--model", "-m", help="Only of this model.")] = "",
    url: output.Url = output.DEFAULT_URL,
    token: output.Token = "",
    as_json: output.Json = False,
) -> None:
    """List fits, newest first."""

    async def call() -> list[dict[str, Any]]:
        async with ForecastClient(url, token) as client:
            return await client.fits(state=state, model=model)

    told = output.run(call())
    if as_json:
        output.print_json(told)
        return
    rows = [
        (
            f["fit"],
            f["model"],
            f["state"],
            f["attempts"],
            output.moment(f["accepted_at"]),
            f.get("reason", ""),
        )
        for f in told
    ]
    columns = ("fit", "model", "state", "attempts", "accepted", "reason")
    output.print_table(columns, rows, "no fits")


def retry(
    fit: Annotated[str, typer.Argument(help="Id of a FAILED fit.")],
    url: output.Url = output.DEFAULT_URL,
    token: output.Token = "",
    as_json: output.Json = False,
) -> None:
    """Queue a failed fit again, as if it had been asked for now."""

    async def call() -> dict[str, Any]:
        async with ForecastClient(url, token) as client:
            return await client.retry(fit)

    told = output.run(call())
    if as_json:
        output.print_json(told)
    else:
        output.OUT.print(f"{told['fit']} is {told['state']}")
