"""`tally project explore`: ask what a project has learned."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from tally.cli import output
from tally.cli.asking import Asker, Cid, KeyFile, Pid, print_result
from tally.client.async_client import AsyncTally
from tally.client.async_project import AsyncProject
from tally.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked besides the metric."""

    names: tuple[str, ...]
    by: tuple[str, ...] = ()
    number: float | None = None
    bins: int = 20
    share: float = 1.0
    other: str | None = None
    drift: str = "global"
    plot: Path | None = None

    def one(self) -> str:
        """Return the only attribute."""
        if len(self.names) != 1:
            raise InvalidInput("names", f"name one attribute, not {len(self.names)}")
        return self.names[0]

    def two(self) -> tuple[str, str]:
        """Return the only two attributes."""
        if len(self.names) != 2:
            raise InvalidInput("names", f"name two attributes, not {len(self.names)}")
        return self.names[0], self.names[1]

    def some(self) -> tuple[str, ...]:
        """Return the attributes, of which there must be one."""
        if not self.names:
            raise InvalidInput("names", "name an attribute")
        return self.names


async def _density(project: AsyncProject, asked: Question) -> object:
    name = asked.one()
    if asked.plot is not None:
        await project.plot_density(name, asked.bins, given=asked.by, file=asked.plot)
        return await project.density(name, asked.bins)
    if len(asked.by) > 1:
        raise InvalidInput("--by", "one condition at a time; a plot takes several")
    return await project.density(name, asked.bins, given=asked.by[0] if asked.by else None)


async def _gain(project: AsyncProject, asked: Question) -> object:
    if len(asked.by) != 1:
        raise InvalidInput("--by", "name one attribute that is told of")
    return await project.gain(asked.one(), asked.by[0])


async def _pca(project: AsyncProject, asked: Question) -> object:
    if asked.plot is not None:
        await project.plot_pca(*asked.names, file=asked.plot)
    return await project.pca(*asked.names, explained=asked.share)


METRICS: Mapping[str, tuple[str, Callable[[AsyncProject, Question], Awaitable[object]]]] = {
    "describe": ("moments", lambda project, asked: project.describe(*asked.names)),
    "correlations": ("of all pairs", lambda project, asked: project.correlations(*asked.names)),
    "bi": ("one beside another", lambda project, asked: project.bivariate(*asked.two())),
    "ttest": ("two means", lambda project, asked: project.ttest(*asked.some(), mu=asked.number)),
    "ztest": ("of many rows", lambda project, asked: project.ztest(*asked.some(), mu=asked.number)),
    "ztestp": ("two shares", lambda project, asked: project.ztest_of_shares(*asked.two())),
    "ftest": (
        "two variances",
        lambda project, asked: project.ftest(*asked.some(), variance=asked.number),
    ),
    "anova": ("many means", lambda project, asked: project.anova(*asked.some(), by=asked.by)),
    "chi2": ("categories", lambda project, asked: project.chi2(asked.some(), asked.by)),
    "gain": ("bits about --by", _gain),
    "density": ("rows in --bins", _density),
    "vif": ("inflation", lambda project, asked: project.vif(*asked.names)),
    "pca": ("components", _pca),
    "svd": ("singular values", lambda project, asked: project.svd(*asked.names)),
    "drift": (
        "from --other",
        lambda project, asked: project.drift(asked.other, asked.drift, *asked.names),
    ),
}
_DRAWN = ("density", "pca")
_HELP = "; ".join(f"{name}: {text}" for name, (text, _) in METRICS.items())


def explore(
    pid: Pid,
    metric: Annotated[str, typer.Argument(help=_HELP)] = "describe",
    names: Annotated[
        list[str] | None, typer.Argument(help="Of attributes; all where none is named.")
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(help="Groups of anova, columns of chi2, condition of density, of gain."),
    ] = None,
    number: Annotated[
        float | None, typer.Option("--against", help="Test one attribute against a number.")
    ] = None,
    bins: Annotated[int, typer.Option(min=1, help="Of a density.")] = 20,
    share: Annotated[float, typer.Option(help="That the components of pca explain.")] = 1.0,
    other: Annotated[
        str | None, typer.Option(help="Project that drifts; else the embedded window.")
    ] = None,
    drift: Annotated[str, typer.Option(help="Metric of the drift.")] = "global",
    plot: Annotated[
        Path | None, typer.Option(help="Write a density, or the shares of pca, to a PNG or SVG.")
    ] = None,
    url: output.Url = output.DEFAULT_URL,
    cid: Cid = "",
    key_file: KeyFile = "",
    as_json: output.Json = False,
) -> None:
    """Ask what a project has learned."""
    asked = Question(tuple(names or ()), tuple(by or ()), number, bins, share, other, drift, plot)

    async def call(tally: AsyncTally) -> object:
        if metric not in METRICS:
            raise InvalidInput("metric", f"{metric!r} is none of {', '.join(METRICS)}")
        if plot is not None and metric not in _DRAWN:
            raise InvalidInput("--plot", f"{metric} has no picture; {' and '.join(_DRAWN)} have")
        return await METRICS[metric][1](tally.project(pid), asked)

    print_result(Asker(url, cid, key_file).ask(call), as_json=as_json)
    if plot is not None and not as_json:
        output.OUT.print(f"written: {plot}", markup=False, soft_wrap=True)
