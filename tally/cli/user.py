"""`tally user add`, `list`, `rotate-key`, `delete`: customers of the signed API.

They work on the store of the settings, not through a broker: whoever may read the master key may
manage customers.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from pydantic import ValidationError

from tally import backends
from tally.cli import output
from tally.clock import SystemClock
from tally.logs import configure
from tally.master_key import master_key
from tally.settings import Settings
from tally.users import Users
from tally.wire.secret_key import SecretKey

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, help="Customers of the signed API, and their keys.")

Cid = Annotated[str, typer.Argument(help="The customer's id, as it stands in URLs.")]
Key = Annotated[
    str,
    typer.Option(
        "--key",
        help="Base64 of 16 bytes; - reads it from standard input, where no process list shows it. "
        "Without it a new key is made.",
    ),
]
DataDir = Annotated[
    Path, typer.Option(envvar="TALLY_DATA_DIR", help="Of the embedded store and the master key.")
]
DEFAULT_DATA_DIR = Path(".tally")


@app.command()
def add(
    cid: Cid, key: Key = "", data_dir: DataDir = DEFAULT_DATA_DIR, as_json: output.Json = False
) -> None:
    """Make a customer and print the secret key, which no later command shows."""

    async def call(users: Users) -> SecretKey:
        return await users.add(cid, _given(key))

    _print_key(cid, _run(data_dir, call), as_json)


@app.command("list")
def list_(data_dir: DataDir = DEFAULT_DATA_DIR, as_json: output.Json = False) -> None:
    """List the customers; generation counts the keys that each has had."""
    users = _run(data_dir, Users.list)
    if as_json:
        told = [
            {
                "cid": user.cid,
                "generation": user.generation,
                "created_at": user.created_at,
                "changed_at": user.changed_at,
            }
            for user in users
        ]
        output.print_json(told)
        return
    rows = [
        (user.cid, user.generation, output.moment(user.created_at), output.moment(user.changed_at))
        for user in users
    ]
    output.print_table(("customer", "generation", "created", "key since"), rows, "no customers yet")


@app.command("rotate-key")
def rotate_key(
    cid: Cid, key: Key = "", data_dir: DataDir = DEFAULT_DATA_DIR, as_json: output.Json = False
) -> None:
    """Give a customer another key and print it; brokers refuse the old one within 2 seconds."""

    async def call(users: Users) -> SecretKey:
        return await users.rotate(cid, _given(key))

    _print_key(cid, _run(data_dir, call), as_json)


@app.command()
def delete(cid: Cid, data_dir: DataDir = DEFAULT_DATA_DIR, as_json: output.Json = False) -> None:
    """Delete a customer with the key and all jobs; refused while there are projects."""

    async def call(users: Users) -> None:
        await users.delete(cid)

    _run(data_dir, call)
    if as_json:
        output.print_json({"cid": cid, "deleted": True})
    else:
        output.OUT.print(f"{cid} is deleted", markup=False)


def _run(data_dir: Path, call: Callable[[Users], Awaitable[T]]) -> T:
    """Return what a call on the customers of the settings' store returns, or end the command."""

    async def opened() -> T:
        settings = Settings(data_dir=data_dir)
        configure(settings.log_level, "user")
        store = await backends.store(settings)
        try:
            return await call(Users(store, master_key(settings), SystemClock()))
        finally:
            await store.close()

    try:
        return output.run(opened())
    except ValidationError as error:
        output.fail_settings(error)


def _given(text: str) -> SecretKey | None:
    if text == "-":
        text = sys.stdin.readline().strip()
        return SecretKey.parse(text)
    return SecretKey.parse(text) if text else None


def _print_key(cid: str, key: SecretKey, as_json: bool) -> None:
    if as_json:
        output.print_json({"cid": cid, "key": key.text})
    else:
        typer.echo(key.text)  # alone on its line, for KEY=$(tally user add ann)
