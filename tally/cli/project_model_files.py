"""`tally project model predict`, `code`, `plot`, `export`, `import`: files in and out."""

from __future__ import annotations

import csv
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tally.cli import output
from tally.cli.asking import Asker, Cid, KeyFile, Pid, print_done, print_result
from tally.cli.project_model_making import ModelId
from tally.cli.texts import ExportFile, ImportFile, read_text, write_text
from tally.client.async_client import AsyncTally
from tally.client.plot import Picture
from tally.client.results.models import ModelInfo
from tally.client.results.predictions import Predictions


class Drawing(StrEnum):
    """What `plot` draws."""

    COEFFICIENTS = "coefficients"
    PATH = "path"


def predict(
    pid: Pid,
    model: ModelId,
    file: Annotated[
        Path, typer.Argument(help="Rows: .csv or .csv.gz, .parquet, .json.", exists=True)
    ],
    impute: Annotated[
        bool, typer.Option("--impute", help="What is missing is expected from the rest of the row.")
    ] = False,
    to: Annotated[Path | None, typer.Option(help="Write the answers to a CSV file.")] = None,
    url: output.Url = output.DEFAULT_URL,
    cid: Cid = "",
    key_file: KeyFile = "",
    as_json: output.Json = False,
) -> None:
    """Answer the rows of a file."""

    async def call(tally: AsyncTally) -> Predictions:
        return await tally.project(pid).model(model).predict(file, impute=impute)

    told = Asker(url, cid, key_file).ask(call)
    if to is None:
        print_result(told, as_json=as_json)
        return
    try:
        with to.open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow(told.columns)
            writer.writerows(row.values() for row in told)
    except OSError as error:
        output.fail(f"{to}: {error.strerror}", output.Exit.REFUSED)
    done = {"model": model, "version": told.version, "rows": len(told), "file": str(to)}
    sentence = f"{len(told)} rows, answered by version {told.version}, are written to {to}"
    print_done(done, sentence, as_json=as_json)


def code(
    pid: Pid,
    model: ModelId,
    language: Annotated[
        str, typer.Option("--language", "-l", help="python, java, sql.")
    ] = "python",
    url: output.Url = output.DEFAULT_URL,
    cid: Cid = "",
    key_file: KeyFile = "",
) -> None:
    """Print a linear model as a function."""
    asker = Asker(url, cid, key_file)
    typer.echo(asker.ask(lambda tally: tally.project(pid).model(model).code(language)).rstrip("\n"))


def plot(
    pid: Pid,
    model: ModelId,
    file: Annotated[Path, typer.Argument(help="To write: .png or .svg.")],
    what: Annotated[
        Drawing, typer.Option(help="The path is known where a penalty was searched: aicc=true.")
    ] = Drawing.COEFFICIENTS,
    column: Annotated[
        str, typer.Option(help="Of the coefficients: scores are t values; or a class.")
    ] = "coefficient",
    url: output.Url = output.DEFAULT_URL,
    cid: Cid = "",
    key_file: KeyFile = "",
) -> None:
    """Draw the coefficients with their intervals, or how a penalty shrinks them."""

    async def call(tally: AsyncTally) -> Picture:
        asked = tally.project(pid).model(model)
        if what is Drawing.PATH:
            return await asked.plot_path(file)
        return await asked.plot(file, column=column)

    Asker(url, cid, key_file).ask(call)
    output.OUT.print(f"written: {file}", markup=False, soft_wrap=True)


def export(
    pid: Pid,
    model: ModelId,
    file: ExportFile,
    url: output.Url = output.DEFAULT_URL,
    cid: Cid = "",
    key_file: KeyFile = "",
) -> None:
    """Write a model to a file, for `import`."""
    text = Asker(url, cid, key_file).ask(lambda tally: tally.project(pid).model(model).export())
    write_text(file, text, model)


def import_(
    pid: Pid,
    model: ModelId,
    file: ImportFile,
    url: output.Url = output.DEFAULT_URL,
    cid: Cid = "",
    key_file: KeyFile = "",
    as_json: output.Json = False,
) -> None:
    """Make a model of an exported file; it need not come from this project."""

    async def call(tally: AsyncTally) -> ModelInfo:
        text = read_text(file, "it is no exported model")
        made = await tally.project(pid).import_model(model, text)
        return await made.info()

    told = Asker(url, cid, key_file).ask(call)
    print_done(told, f"{model} is made of {file}", as_json=as_json)
