"""Exported things in files, or between commands."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tally.cli import output
from tally.errors import InvalidInput

ExportFile = Annotated[Path, typer.Argument(help="To write; - for standard output.")]
ImportFile = Annotated[Path, typer.Argument(help="That `export` wrote; - for standard input.")]


def write_text(file: Path, text: str, name: str) -> None:
    """Write what was exported, and say so; `-` is standard output.

    Args:
        file: to write.
        text: ASCII.
        name: of what it is.
    """
    if str(file) == "-":
        typer.echo(text)
        return
    try:
        file.write_text(text, encoding="ascii")
    except OSError as error:
        output.fail(f"{file}: {error.strerror}", output.Exit.REFUSED)
    output.OUT.print(f"{name} is written to {file}", markup=False, soft_wrap=True)


def read_text(file: Path, otherwise: str) -> str:
    """Return what a file holds; `-` is standard input.

    Raises:
        InvalidInput: it cannot be read; `otherwise` where it holds something else.
    """
    if str(file) == "-":
        return sys.stdin.read().strip()
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError as error:
        raise InvalidInput(str(file), str(error.strerror)) from error
    except UnicodeDecodeError:
        raise InvalidInput(str(file), otherwise) from None
