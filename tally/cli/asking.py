"""Options by which commands say who asks, and asking."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import typer

from tally.cli import output
from tally.client.account import CID, KEY, read_key_file
from tally.client.async_client import AsyncTally
from tally.client.session import Patience
from tally.wire.secret_key import SecretKey

T = TypeVar("T")

Cid = Annotated[str, typer.Option("--cid", envvar=CID, help="Id of the customer.")]
KeyFile = Annotated[
    str,
    typer.Option(
        "--key-file",
        help=f"File with the customer's key, - for standard input; else it is read from {KEY}.",
    ),
]
Pid = Annotated[str, typer.Argument(help="Name of the project.")]
Persist = Annotated[bool, typer.Option(help="Keep the project over restarts.")]


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, as the options say; whatever is empty is read from the environment.

    Attributes:
        patience_s: how long a service that is away is asked again: somebody sits there and waits.
    """

    url: str
    cid: str
    key_file: str
    patience_s: float = 5.0

    def ask(self, call: Callable[[AsyncTally], Awaitable[T]]) -> T:
        """Return what a call comes to, or end the command."""

        async def asked() -> T:
            patience = Patience(total_s=self.patience_s)
            account = (self.cid or None, self._key(), self.url)
            async with AsyncTally(*account, patience=patience) as tally:
                return await call(tally)

        return output.run(asked())

    def _key(self) -> SecretKey | None:
        # Never an option by itself: other users of the machine see the arguments of commands.
        if self.key_file == "-":
            return SecretKey.parse(sys.stdin.readline().strip())
        return read_key_file(Path(self.key_file)) if self.key_file else None


def print_done(told: object, sentence: str, *, as_json: bool) -> None:
    """Print what a change came to: a sentence for people, all of it for machines."""
    if as_json:
        print_result(told, as_json=True)
    else:
        output.OUT.print(sentence, markup=False, soft_wrap=True)


def print_result(told: object, *, as_json: bool) -> None:
    """Print what a question came to, as a table or as JSON."""
    if as_json:
        # Not `output.print_json`: what is no number is `null` in JSON.
        typer.echo(msgspec.json.encode(told).decode())
    else:
        output.OUT.print(str(told), markup=False, soft_wrap=True)
