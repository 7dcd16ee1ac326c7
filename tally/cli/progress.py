"""A bar that shows how far a command is: on a terminal only, and nothing of it is left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tally.cli import output

Show: TypeAlias = Callable[[int, int], None]
"""Shows how much is done, and of how much."""


@contextmanager
def progress(text: str, interrupted: Callable[[], str]) -> Iterator[Show]:
    """Show how far a command is.

    Args:
        text: what it does.
        interrupted: what is said, and the command then ends, on Ctrl-C; empty: nothing.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    quiet = not output.ERR.is_terminal
    with Progress(*columns, console=output.ERR, transient=True, disable=quiet) as bar:
        task = bar.add_task(text, total=None, visible=False)

        def show(done: int, most: int) -> None:
            bar.update(task, completed=done, total=most, visible=True)

        try:
            yield show
        except KeyboardInterrupt:
            bar.stop()
            if said := interrupted():
                output.ERR.print(said, markup=False, soft_wrap=True)
            raise typer.Exit(output.Exit.INTERRUPTED) from None
