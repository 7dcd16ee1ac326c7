"""`tally project model build`, `reduce`, `select`, `auto-select`: wait, and show what was made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import typer

from tally.cli import output
from tally.cli.asking import Asker, Cid, KeyFile, Pid, print_result
from tally.cli.pairs import pairs
from tally.cli.progress import progress
from tally.client.async_client import AsyncTally
from tally.client.jobs import OnStatus
from tally.client.results.models import ModelInfo

ModelId = Annotated[str, typer.Argument(help="Name of the model.")]
Algo = Annotated[str, typer.Argument(help="Algorithm: mlr, ridge, lasso, lda, mlda and so on.")]
Inputs = Annotated[
    list[str] | None, typer.Argument(help="Attributes to predict from; a category for its values.")
]
Targets = Annotated[
    list[str] | None, typer.Option("--target", "-t", help="Attribute to predict, or several.")
]
Options = Annotated[
    list[str] | None,
    typer.Option("--option", "-o", help="name=value of a parameter, such as lambda=0.1."),
]
Rows = Annotated[
    Path,
    typer.Option("--rows", help="Rows that judge the models, none that were learned.", exists=True),
]


def build(
    pid: Pid,
    model: ModelId,
    algo: Algo,
    inputs: Inputs = None,
    target: Targets = None,
    option: Options = None,
    svdreduce: Annotated[
        bool, typer.Option("--svdreduce", help="Leave out inputs that others determine.")
    ] = False,
    url: output.Url = output.DEFAULT_URL,
    cid: Cid = "",
    key_file: KeyFile = "",
    as_json: output.Json = False,
) -> None:
    """Make a model, in place of one of that name, and show its coefficients."""

    async def make(tally: AsyncTally, on_progress: OnStatus) -> ModelInfo:
        return await tally.project(pid).build(
            model,
            algo,
            targets=target or (),
            inputs=inputs or (),
            svdreduce=svdreduce,
            on_progress=on_progress,
            **_parameters(option),
        )

    print_result(_made(Asker(url, cid, key_file), model, make), as_json=as_json)


def reduce(
    pid: Pid,
    model: ModelId,
    inputs: Inputs = None,
    target: Targets = None,
    algo: Annotated[str, typer.Option(help="Algorithm.")] = "lda",
    delta: Annotated[
        float | None, typer.Option(help="What an input must add to the distance of the classes.")
    ] = None,
    iterations: Annotated[
        int | None, typer.Option(min=1, help="Rounds of adding and dropping at most.")
    ] = None,
    option: Options = None,
    url: output.Url = output.DEFAULT_URL,
    cid: Cid = "",
    key_file: KeyFile = "",
    as_json: output.Json = False,
) -> None:
    """Make a model of only those inputs that matter."""

    async def make(tally: AsyncTally, on_progress: OnStatus) -> ModelInfo:
        return await tally.project(pid).reduce(
            model,
            algo,
            targets=target or (),
            inputs=inputs or (),
            delta=delta,
            iterations=iterations,
            on_progress=on_progress,
            **_parameters(option),
        )

    print_result(_made(Asker(url, cid, key_file), model, make), as_json=as_json)


def select(
    pid: Pid,
    model: ModelId,
    algo: Algo,
    rows: Rows,
    inputs: Inputs = None,
    target: Targets = None,
    option: Options = None,
    url: output.Url = output.DEFAULT_URL,
    cid: Cid = "",
    key_file: KeyFile = "",
    as_json: output.Json = False,
) -> None:
    """Make a model of one algorithm with those inputs that predict best."""

    async def make(tally: AsyncTally, on_progress: OnStatus) -> ModelInfo:
        return await tally.project(pid).select_model(
            model,
            algo,
            rows,
            targets=target or (),
            inputs=inputs or (),
            on_progress=on_progress,
            **_parameters(option),
        )

    print_result(_made(Asker(url, cid, key_file), model, make), as_json=as_json)


def auto_select(
    pid: Pid,
    model: ModelId,
    rows: Rows,
    inputs: Inputs = None,
    target: Targets = None,
    task: Annotated[
        str | None,
        typer.Option(help="regression, binary_classifier, multiclass_classifier; else by target."),
    ] = None,
    option: Options = None,
    url: output.Url = output.DEFAULT_URL,
    cid: Cid = "",
    key_file: KeyFile = "",
    as_json: output.Json = False,
) -> None:
    """Make the model that predicts best, of any algorithm that fits the target."""

    async def make(tally: AsyncTally, on_progress: OnStatus) -> ModelInfo:
        return await tally.project(pid).auto_select(
            model,
            rows,
            targets=target or (),
            inputs=inputs or (),
            task=task,
            on_progress=on_progress,
            **_parameters(option),
        )

    print_result(_made(Asker(url, cid, key_file), model, make), as_json=as_json)


def _parameters(option: list[str] | None) -> dict[str, str]:
    """Return further parameters as keywords of the client, of which none is one of its own.

    Example:
        >>> _parameters(["targets=x"])
        {'targets_': 'x'}
    """
    return {f"{name}_": value for name, value in pairs("--option", option).items()}


def _made(
    asker: Asker,
    model: str,
    make: Callable[[AsyncTally, OnStatus], Awaitable[ModelInfo]],
) -> ModelInfo:
    """Return a model once it is made; Ctrl-C has the server stop making it."""
    stopped = f"stopped; model {model} is as it was, unless it was made a moment before"
    with progress(f"make {model}", lambda: stopped) as show:
        return asker.ask(
            lambda tally: make(tally, lambda status: show(status.current, status.maximum))
        )
