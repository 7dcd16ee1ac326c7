"""`tally fusion`: one project over many, here and on other servers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from tally.cli import output
from tally.cli.asking import Asker, Cid, KeyFile, Persist, Pid, print_done, print_result
from tally.cli.secrets import ENV, read_secret
from tally.client.async_client import AsyncTally
from tally.client.cells import Cell, place_of
from tally.client.results.cells import CellsStatus
from tally.errors import InvalidInput
from tally.fusion.cells import Cell as Place

app = typer.Typer(
    no_args_is_help=True,
    help="One project over many: it adds up the statistics of its cells and answers as if it had "
    "seen every row. The customer is TALLY_CID or --cid, the key TALLY_KEY or --key-file.",
)

Cells = Annotated[
    list[str] | None,
    typer.Option(
        "--cell",
        "-c",
        help="HOST/CID/PID=KEY: a project of a customer, and a file with the customer's key "
        "there, or env:NAME of a variable. Without HOST it is on the server that is asked; "
        "without =KEY it is your own. May be given often.",
    ),
]


@app.command()
def create(
    pid: Pid,
    cell: Cells = None,
    persist: Persist = True,
    url: output.Url = output.DEFAULT_URL,
    cid: Cid = "",
    key_file: KeyFile = "",
    as_json: output.Json = False,
) -> None:
    """Make a project over cells; `status --cell` tells beforehand whether they answer."""

    async def call(tally: AsyncTally) -> CellsStatus:
        made = await tally.create_fusion(pid, _cells(tally, cell), persist=persist)
        return (await made.info()).cells

    told = Asker(url, cid, key_file).ask(call)
    print_done(told, f"{pid} is made\n{told}", as_json=as_json)


@app.command()
def status(
    pid: Annotated[str, typer.Argument(help="Name of the project; none: there is none yet.")] = "",
    cell: Cells = None,
    url: output.Url = output.DEFAULT_URL,
    cid: Cid = "",
    key_file: KeyFile = "",
    as_json: output.Json = False,
) -> None:
    """Ask the cells of a project, or those given, how they are; nothing changes."""

    async def call(tally: AsyncTally) -> CellsStatus:
        given = _cells(tally, cell)
        return await (tally.project(pid).cells_status(given) if pid else tally.cells_status(given))

    print_result(Asker(url, cid, key_file).ask(call), as_json=as_json)


@app.command()
def update(
    pid: Pid,
    cell: Cells = None,
    add: Annotated[
        list[str] | None,
        typer.Option("--add", help="A cell more, or another key of one; as for --cell."),
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", help="HOST/CID/PID of a cell to leave out.")
    ] = None,
    url: output.Url = output.DEFAULT_URL,
    cid: Cid = "",
    key_file: KeyFile = "",
    as_json: output.Json = False,
) -> None:
    """Set the cells of a project with --cell, or change some; those that stay keep their rows."""

    async def call(tally: AsyncTally) -> CellsStatus:
        project = tally.project(pid)
        if cell and remove:
            raise InvalidInput("--remove", "--cell sets all cells; give one or the other")
        kept = _cells(tally, cell) or _without(await project.cells(), remove or ())
        more = {one.place: one for one in _cells(tally, add)}
        # One that is there already gets another key.
        await project.update_cells([*(c for c in kept if c.place not in more), *more.values()])
        return (await project.info()).cells

    told = Asker(url, cid, key_file).ask(call)
    print_done(told, f"{pid} has {len(told)} cells\n{told}", as_json=as_json)


def _cells(tally: AsyncTally, texts: Iterable[str] | None) -> list[Cell]:
    return [_cell(tally, text) for text in texts or ()]


def _cell(tally: AsyncTally, text: str) -> Cell:
    place, _, source = text.partition("=")
    host, cid, pid = place_of(place)
    if source:
        return Cell(host, cid, pid, read_secret("--cell", source))
    if host or cid != tally.account.cid:
        raise InvalidInput(
            "--cell", f"{place!r} is not your own; write ={ENV}NAME or =FILE after it for its key"
        )
    return Cell(host, cid, pid, tally.account.key)


def _without(cells: Iterable[Cell], places: Iterable[str]) -> list[Cell]:
    left = {cell.place: cell for cell in cells}
    for text in places:
        place = Place.of(*place_of(text))
        if left.pop(place, None) is None:
            raise InvalidInput("--remove", f"{text!r} is none of the project's cells")
    return list(left.values())
