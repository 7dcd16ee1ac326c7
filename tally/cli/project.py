"""`tally project`: live statistics of rows, over the signed API."""

from __future__ import annotations

from typing import Annotated

import typer

from tally.cli import output, project_explore, project_model, project_rows
from tally.cli.asking import Asker, Cid, KeyFile, Persist, Pid, print_done, print_result
from tally.cli.pairs import pairs
from tally.cli.texts import ExportFile, ImportFile, read_text, write_text
from tally.client.async_client import AsyncTally
from tally.client.results.info import ProjectInfo

app = typer.Typer(
    no_args_is_help=True,
    help="Live statistics of rows. The customer is TALLY_CID or --cid, the key TALLY_KEY or "
    "--key-file.",
)
app.command()(project_rows.learn)
app.command()(project_rows.forget)
app.command()(project_explore.explore)
app.add_typer(project_model.app, name="model")


@app.command()
def create(
    pid: Pid,
    type_: Annotated[str, typer.Option("--type", help="cpu, sequence or partition.")] = "cpu",
    histogram: Annotated[bool, typer.Option(help="Keep counts of values.")] = True,
    persist: Persist = True,
    cells: Annotated[int, typer.Option(help="Spread its rows over 2 to 64 parts.")] = 0,
    option: Annotated[
        list[str] | None, typer.Option("--option", "-o", help="name=value of a further option.")
    ] = None,
    url: output.Url = output.DEFAULT_URL,
    cid: Cid = "",
    key_file: KeyFile = "",
    as_json: output.Json = False,
) -> None:
    """Make a project."""

    async def call(tally: AsyncTally) -> ProjectInfo:
        params = pairs("--option", option)
        made = await tally.create(
            pid, type_, histogram=histogram, persist=persist, cells=cells, params=params
        )
        return await made.info()

    told = Asker(url, cid, key_file).ask(call)
    print_done(told, f"{pid} is made", as_json=as_json)


@app.command("list")
def list_(
    url: output.Url = output.DEFAULT_URL,
    cid: Cid = "",
    key_file: KeyFile = "",
    as_json: output.Json = False,
) -> None:
    """List the customer's projects."""
    told = Asker(url, cid, key_file).ask(AsyncTally.infos)
    if as_json:
        print_result(told, as_json=True)
        return
    rows = [
        (each.pid, each.type, len(each.attributes), f"{each.changed:%Y-%m-%d %H:%M:%S}")
        for each in told
    ]
    output.print_table(("project", "type", "attributes", "changed"), rows, "no projects yet")


@app.command()
def info(
    pid: Pid,
    url: output.Url = output.DEFAULT_URL,
    cid: Cid = "",
    key_file: KeyFile = "",
    as_json: output.Json = False,
) -> None:
    """Show what a project is, and its attributes."""
    told = Asker(url, cid, key_file).ask(lambda tally: tally.project(pid).info())
    print_result(told, as_json=as_json)


@app.command()
def merge(
    pid: Pid,
    other: Annotated[str, typer.Argument(help="Whose statistics are added; it stays as it is.")],
    url: output.Url = output.DEFAULT_URL,
    cid: Cid = "",
    key_file: KeyFile = "",
    as_json: output.Json = False,
) -> None:
    """Add the statistics of another project, matching attributes by name."""

    async def call(tally: AsyncTally) -> ProjectInfo:
        project = tally.project(pid)
        await project.merge(other)
        return await project.info()

    told = Asker(url, cid, key_file).ask(call)
    print_done(told, f"{other} is merged into {pid}", as_json=as_json)


@app.command("export")
def export_(
    pid: Pid,
    file: ExportFile,
    url: output.Url = output.DEFAULT_URL,
    cid: Cid = "",
    key_file: KeyFile = "",
) -> None:
    """Write a whole project to a file, for `import`."""
    text = Asker(url, cid, key_file).ask(lambda tally: tally.project(pid).export())
    write_text(file, text, pid)


@app.command("import")
def import_(
    pid: Pid,
    file: ImportFile,
    persist: Persist = True,
    url: output.Url = output.DEFAULT_URL,
    cid: Cid = "",
    key_file: KeyFile = "",
    as_json: output.Json = False,
) -> None:
    """Make a project of an exported file."""

    async def call(tally: AsyncTally) -> ProjectInfo:
        text = read_text(file, "it is no exported project")
        made = await tally.import_project(pid, text, persist=persist)
        return await made.info()

    told = Asker(url, cid, key_file).ask(call)
    print_done(told, f"{pid} is made of {file}", as_json=as_json)


@app.command()
def delete(
    pid: Pid,
    url: output.Url = output.DEFAULT_URL,
    cid: Cid = "",
    key_file: KeyFile = "",
    as_json: output.Json = False,
) -> None:
    """Delete a project and all that it learned."""
    Asker(url, cid, key_file).ask(lambda tally: tally.project(pid).delete())
    if as_json:
        output.print_json({"pid": pid, "deleted": True})
    else:
        output.OUT.print(f"{pid} is deleted", markup=False)
