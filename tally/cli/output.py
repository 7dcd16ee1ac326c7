"""How commands speak: tables for people, JSON for machines, and what their exit code means."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from tally.client import account
from tally.client.errors import ChangeStopped, NotAuthorized, ServerAway, ServerRefused, is_away
from tally.errors import TallyError, Unavailable

if TYPE_CHECKING:
    from pydantic import ValidationError

T = TypeVar("T")

OUT = Console(highlight=False)
ERR = Console(stderr=True, highlight=False)
_PIPED = Console(highlight=False, width=4096)


class Exit(IntEnum):
    """The exit codes. 0 is success; 2, a wrong command line, is the shell's custom."""

    REFUSED = 1  # the input or the request cannot be used, or the fit ended without a version
    AWAY = 3  # nobody answered, or the service cannot do it now: try again
    INTERRUPTED = 130  # the shell's custom for Ctrl-C


Url = Annotated[str, typer.Option("--url", envvar=account.URL, help="Where the broker is.")]
Token = Annotated[
    str, typer.Option("--token", envvar="TALLY_TOKEN", help="API token, if one is needed.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
Model = Annotated[str, typer.Option("--model", "-m", help="Name of the model.")]

DEFAULT_URL = account.DEFAULT_URL

_WHO = ": the customer is TALLY_CID or --cid, the customer's newest key TALLY_KEY or --key-file"


def run(call: Coroutine[Any, Any, T]) -> T:
    """Return what a call to the service returns; end the command if it fails."""
    try:
        return asyncio.run(call)
    except NotAuthorized as error:
        # Two words of the protocol; a wrong clock says itself what is wrong.
        fail(f"{error}{_WHO if error.status == 401 else ''}", Exit.REFUSED)
    except (ServerAway, ServerRefused) as error:
        fail(str(error), Exit.AWAY if is_away(error) else Exit.REFUSED)
    except ChangeStopped as error:
        fail(str(error), Exit.AWAY if is_away(error.cause) else Exit.REFUSED)
    except Unavailable as error:
        fail(str(error), Exit.AWAY)
    except TallyError as error:
        fail(str(error), Exit.REFUSED)


def checked(read: Callable[[], T]) -> T:
    """Return what a command was given in files, or is typed; end the command if it is of no use.

    Not in `run`: its event loop would keep the first Ctrl-C from whoever types.
    """
    try:
        return read()
    except TallyError as error:
        fail(str(error), Exit.REFUSED)


def fail_settings(error: ValidationError) -> NoReturn:
    """Say which settings cannot be used, and end the command."""
    wrong = "; ".join(
        f"TALLY_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()
    )
    fail(wrong, Exit.REFUSED)


def fail(message: str, code: Exit) -> NoReturn:
    """Print one sentence and end the command."""
    # Not folded: what is to be copied from it, an id or a command, stays whole.
    ERR.print(f"error: {message}", markup=False, soft_wrap=True)
    raise typer.Exit(code)


def print_json(value: object) -> None:
    """Print a value for machines."""
    typer.echo(json.dumps(value))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """Print rows for people; `empty` where there are none."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")  # an id is to be copied whole
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    if table.row_count:
        # Without a terminal there is no width to fit: a cut line is of no use to `grep`.
        (OUT if OUT.is_terminal else _PIPED).print(table)
    else:
        OUT.print(empty)


def rounded(number: object) -> str:
    """Return a number as people read it; a dash where there is none.

    Example:
        >>> rounded(2.12557), rounded(None)
        ('2.126', '-')
    """
    return f"{number:.4g}" if isinstance(number, int | float) else "-"


def moment(text: object) -> str:
    """Return an ISO 8601 moment in UTC as people read it.

    Example:
        >>> moment("2026-01-02T03:04:05.678+00:00")
        '2026-01-02 03:04:05'
    """
    return str(text)[:19].replace("T", " ")
