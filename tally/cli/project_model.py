"""`tally project model`: make models of a project, look at them, and predict by them."""

from __future__ import annotations

from typing import Annotated

import typer

from tally.cli import output, project_model_files, project_model_making
from tally.cli.asking import Asker, Cid, KeyFile, Pid, print_result
from tally.cli.project_model_making import ModelId

app = typer.Typer(no_args_is_help=True, help="Models, made of the statistics of a project.")
for command in (
    project_model_making.build,
    project_model_making.reduce,
    project_model_making.select,
    project_model_making.auto_select,
    project_model_files.predict,
    project_model_files.code,
    project_model_files.plot,
    project_model_files.export,
    project_model_files.import_,
):
    app.command(command.__name__.rstrip("_").replace("_", "-"))(command)


@app.command("list")
def list_(
    pid: Pid,
    url: output.Url = output.DEFAULT_URL,
    cid: Cid = "",
    key_file: KeyFile = "",
    as_json: output.Json = False,
) -> None:
    """List the models of a project."""
    told = Asker(url, cid, key_file).ask(lambda tally: tally.project(pid).models())
    if as_json:
        print_result(told, as_json=True)
        return
    output.print_table(("model", "algorithm"), told.items(), "no models yet")


@app.command()
def info(
    pid: Pid,
    model: ModelId,
    url: output.Url = output.DEFAULT_URL,
    cid: Cid = "",
    key_file: KeyFile = "",
    as_json: output.Json = False,
) -> None:
    """Show what a model is: its coefficients, how well it fits, what was left out."""
    told = Asker(url, cid, key_file).ask(lambda tally: tally.project(pid).model(model).info())
    print_result(told, as_json=as_json)


@app.command()
def versions(
    pid: Pid,
    model: ModelId,
    url: output.Url = output.DEFAULT_URL,
    cid: Cid = "",
    key_file: KeyFile = "",
    as_json: output.Json = False,
) -> None:
    """List the versions of a model that are kept, oldest first."""
    told = Asker(url, cid, key_file).ask(lambda tally: tally.project(pid).model(model).versions())
    print_result(told, as_json=as_json)
    if not as_json:
        output.OUT.print("* is served")


@app.command()
def rollback(
    pid: Pid,
    model: ModelId,
    to: Annotated[
        int | None, typer.Argument(help="Version to serve again; else the one before.", min=1)
    ] = None,
    url: output.Url = output.DEFAULT_URL,
    cid: Cid = "",
    key_file: KeyFile = "",
    as_json: output.Json = False,
) -> None:
    """Serve an earlier version of a model again."""
    told = Asker(url, cid, key_file).ask(lambda tally: tally.project(pid).model(model).rollback(to))
    if as_json:
        print_result(told, as_json=True)
    else:
        output.OUT.print(f"{model}: version {told.current} is served again", markup=False)


@app.command()
def delete(
    pid: Pid,
    model: ModelId,
    url: output.Url = output.DEFAULT_URL,
    cid: Cid = "",
    key_file: KeyFile = "",
    as_json: output.Json = False,
) -> None:
    """Delete a model with all of its versions."""
    Asker(url, cid, key_file).ask(lambda tally: tally.project(pid).model(model).delete())
    if as_json:
        output.print_json({"pid": pid, "model": model, "deleted": True})
    else:
        output.OUT.print(f"{model} is deleted", markup=False)
