"""What `make up` shows: the shipped series fitted, and its forecast as a chart."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from tally.cli import output
from tally.cli.chart import chart
from tally.cli.series import read_series
from tally.client.errors import ServerAway, ServerRefused
from tally.client.forecasts import ForecastClient
from tally.errors import TallyError
from tally.ids import DEFAULT_MODEL

_STEPS = 500


async def show_demo(url: str, file: Path) -> None:
    """Fit a series as the default model unless there is one, and print what comes next.

    A demonstration that fails says so; the service goes on.
    """
    try:
        body = read_series(file, None, None)
        async with ForecastClient(url) as client:
            served = [m for m in await client.models() if m["name"] == DEFAULT_MODEL]
            if not any(model["version"] for model in served):
                accepted = await client.fit(DEFAULT_MODEL, body)
                ended = await client.wait(accepted["fit"])
                if ended["state"] != "SERVED":
                    output.ERR.print(f"{file.name}: {ended['state']} {ended.get('reason', '')}")
                    return
            told = await client.forecast(DEFAULT_MODEL, _STEPS)
    except (TallyError, ServerAway, ServerRefused) as error:
        output.ERR.print(f"demonstration: {error}", markup=False)
        return
    past = cast(list[float], body["data"])[-2 * _STEPS :]
    output.OUT.print(f"\n{file.name}, version {told['version']}: the next {_STEPS} steps\n")
    output.OUT.print(chart(past, told["data"]))
    output.OUT.print(f"\n  curl {url}/api/forecast/{_STEPS}\n")
