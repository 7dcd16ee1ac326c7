"""`tally project learn` and `forget`: send the rows of a file, and show how far it has come."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from tally.cli import output
from tally.cli.asking import Asker, Cid, KeyFile, Pid, print_done
from tally.cli.progress import progress
from tally.client import changes
from tally.client.async_client import AsyncTally
from tally.client.errors import UntypedColumn
from tally.client.results.info import Changed
from tally.errors import InvalidInput

_PATIENCE_S = 30.0  # a long learn outlives a restart of the service

File = Annotated[
    Path, typer.Argument(help="Rows: .csv or .csv.gz with a header, .parquet, .json.", exists=True)
]
Types = Annotated[
    list[str] | None,
    typer.Option(
        "--type",
        "-t",
        help="name=LETTER of a column: C continuous, B binary, T category, P ids of patients, "
        "X left out. Without it the project's own, or by the values.",
    ),
]
Lenient = Annotated[bool, typer.Option("--lenient", help="Cells of a wrong type are missing.")]
Rows = Annotated[int | None, typer.Option(min=1, help="Rows in each request.")]
Resume = Annotated[
    str | None, typer.Option(help="Go on with a change that stopped; it said what to write here.")
]


def learn(
    pid: Pid,
    file: File,
    type_: Types = None,
    lenient: Lenient = False,
    rows_per_request: Rows = None,
    resume: Resume = None,
    url: output.Url = output.DEFAULT_URL,
    cid: Cid = "",
    key_file: KeyFile = "",
    as_json: output.Json = False,
) -> None:
    """Add the rows of a file to the statistics of a project."""
    asker = Asker(url, cid, key_file, _PATIENCE_S)
    told = _send("learn", pid, file, type_, lenient, rows_per_request, resume, asker)
    print_done(told, f"{pid} has learned {told.rows} rows", as_json=as_json)


def forget(
    pid: Pid,
    file: File,
    type_: Types = None,
    lenient: Lenient = False,
    rows_per_request: Rows = None,
    resume: Resume = None,
    url: output.Url = output.DEFAULT_URL,
    cid: Cid = "",
    key_file: KeyFile = "",
    as_json: output.Json = False,
) -> None:
    """Take the rows of a file away again, as if they had never been learned."""
    asker = Asker(url, cid, key_file, _PATIENCE_S)
    told = _send("forget", pid, file, type_, lenient, rows_per_request, resume, asker)
    print_done(told, f"{pid} has forgotten {told.rows} rows", as_json=as_json)


def _send(
    verb: str,
    pid: str,
    file: Path,
    types: list[str] | None,
    lenient: bool,
    rows_per_request: int | None,
    resume: str | None,
    asker: Asker,
) -> Changed:
    reached = resume

    def interrupted() -> str:
        return "" if reached is None else f"stopped; go on with --resume {reached}"

    with progress(f"{verb} {file.name}", interrupted) as show:

        def on_progress(told: changes.Progress) -> None:
            nonlocal reached
            reached = told.resume
            show(told.rows, told.total)

        async def call(tally: AsyncTally) -> Changed:
            project = tally.project(pid)
            change = project.learn if verb == "learn" else project.forget
            try:
                return await change(
                    file,
                    dict(map(_letter, types or ())),
                    lenient=lenient,
                    rows_per_request=rows_per_request,
                    resume=resume,
                    on_progress=on_progress,
                )
            except UntypedColumn as error:
                raise _untyped(error.column) from error

        return asker.ask(call)


def _letter(text: str) -> tuple[str, str]:
    # From the right: the name of a column may hold the sign itself.
    name, separator, letter = text.rpartition("=")
    if not separator:
        raise InvalidInput("--type", f"{text!r} is not name=LETTER")
    return name, letter.upper()


def _untyped(column: str) -> InvalidInput:
    """Say in words of the command line what a column of text needs."""
    shown = shlex.quote(f"{column}=T")
    return InvalidInput(
        "--type",
        f"column {column!r} holds no numbers; say what it is: --type {shown} for a category, of "
        "which each value is counted; =X to leave it out",
    )
