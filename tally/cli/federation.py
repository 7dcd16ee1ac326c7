"""`tally federation`: making and joining one, how it is, and one in which everything goes wrong."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tally.cli import output
from tally.cli.asking import Asker, Cid, KeyFile, Pid, print_result
from tally.cli.secrets import SOURCE, read_secret
from tally.client.async_client import AsyncTally
from tally.client.results.federation import FederationStatus
from tally.errors import InvalidInput

app = typer.Typer(no_args_is_help=True, help="Peers that model together without moving rows.")

Term = Annotated[
    list[str] | None,
    typer.Option("--term", help="KEY=VALUE: a further term, such as fed_local_type=gpu."),
]
Secret = Annotated[
    list[str] | None,
    typer.Option(
        "--secret",
        help=f"KEY={SOURCE}: a term that nobody should see, such as nats_sec_token=env:TOKEN.",
    ),
]
Password = Annotated[
    str,
    typer.Option(help=f"{SOURCE}, with the password of the invitation; else it is asked for."),
]
Persist = Annotated[bool, typer.Option(help="Keep the project over restarts.")]

CLOSE = 1e-9
"""A covariance may differ from that of the pooled rows by so much, relative to deviations."""


@app.callback()
def federation() -> None:
    """Peers that model together without moving rows."""


@app.command()
def create(
    pid: Pid,
    name: Annotated[str, typer.Option(help="Of the federation, for all peers.")],
    nats: Annotated[str, typer.Option(help="URLs of the message broker, separated by commas.")],
    every: Annotated[str, typer.Option(help="When peers synchronise: m5, h1, d1.")] = "h1",
    hipaa: Annotated[
        bool, typer.Option(help="Tables have patients, and the rules for health records hold.")
    ] = True,
    encrypt: Annotated[bool, typer.Option(help="The broker sees no statistics.")] = False,
    term: Term = None,
    secret: Secret = None,
    persist: Persist = True,
    url: output.Url = output.DEFAULT_URL,
    cid: Cid = "",
    key_file: KeyFile = "",
) -> None:
    """Make a federation, and the project of its first peer, the admin."""

    async def call(tally: AsyncTally) -> None:
        await tally.create_federation(
            pid,
            name,
            nats,
            every,
            hipaa=hipaa,
            encrypt=encrypt,
            persist=persist,
            params=_terms(term, secret),
        )

    Asker(url, cid, key_file).ask(call)
    _say(f"{pid} is made: federation {name}, every {every}")


@app.command()
def invite(
    pid: Pid,
    password: Password = "",
    hours: Annotated[
        int | None, typer.Option(min=1, help="For which it can be used; 2 unless set up otherwise.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Origin of this server, for a peer that finds nobody at the broker.")
    ] = "",
    url: output.Url = output.DEFAULT_URL,
    cid: Cid = "",
    key_file: KeyFile = "",
) -> None:
    """Print an invitation for one more peer: it can be used once, and holds the keys."""

    async def call(tally: AsyncTally) -> str:
        return await tally.project(pid).invite(
            _password(password, again=True), hours=hours, host=host
        )

    typer.echo(Asker(url, cid, key_file).ask(call))


@app.command()
def join(
    pid: Pid,
    invitation: Annotated[str, typer.Argument(help="File with it, or - for standard input.")],
    password: Password = "",
    hipaa: Annotated[
        bool,
        typer.Option("--hipaa", help="Hold to the rules for health records, whatever the others."),
    ] = False,
    term: Term = None,
    secret: Secret = None,
    persist: Persist = True,
    url: output.Url = output.DEFAULT_URL,
    cid: Cid = "",
    key_file: KeyFile = "",
) -> None:
    """Join a federation by an invitation, and make the project of the new peer."""

    async def call(tally: AsyncTally) -> FederationStatus:
        text = sys.stdin.read() if invitation == "-" else read_secret("INVITATION", invitation)
        project = await tally.join_federation(
            pid,
            text,
            _password(password),
            hipaa=True if hipaa else None,
            persist=persist,
            params=_terms(term, secret),
        )
        return await project.federation()

    told = Asker(url, cid, key_file).ask(call)
    _say(f"{pid} has joined federation {told.name}, every {told.schedule}")


@app.command()
def start(
    pid: Pid, url: output.Url = output.DEFAULT_URL, cid: Cid = "", key_file: KeyFile = ""
) -> None:
    """Take part in the rounds from the next one on."""
    Asker(url, cid, key_file).ask(lambda tally: tally.project(pid).start_pulse())
    _say(f"{pid} is pulsing")


@app.command()
def stop(
    pid: Pid, url: output.Url = output.DEFAULT_URL, cid: Cid = "", key_file: KeyFile = ""
) -> None:
    """Stand by: learn, hear the others, and share nothing."""
    Asker(url, cid, key_file).ask(lambda tally: tally.project(pid).stop_pulse())
    _say(f"{pid} stands by")


@app.command()
def status(
    pid: Pid,
    url: output.Url = output.DEFAULT_URL,
    cid: Cid = "",
    key_file: KeyFile = "",
    as_json: output.Json = False,
) -> None:
    """Show who is behind in a project's federation, and why."""
    told = Asker(url, cid, key_file).ask(lambda tally: tally.project(pid).federation())
    print_result(told, as_json=as_json)


@app.command()
def simulate(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="CSV with a header, whose rows are dealt out to the peers. Without it, peers have "
            "made-up rows, may leave and join, and every row is looked for by its name.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    peers: Annotated[int, typer.Option(min=1, max=100, help="How many there are.")] = 3,
    seed: Annotated[int, typer.Option(help="Of all that is random; equal seeds, equal runs.")] = 0,
    rounds: Annotated[
        int, typer.Option(min=0, max=1000, help="In which things go wrong, before all heals.")
    ] = 10,
    as_json: output.Json = False,
) -> None:
    """Let peers share statistics while messages are lost, clocks jump and machines crash.

    In the end every peer must count every row once and have the same sums, to the last bit.
    Nothing leaves this process. Exit code 1: it went wrong; the same command shows it again.
    """
    if file is None:
        _stories(peers, seed, rounds, as_json)
    else:
        _table(file, peers, seed, rounds, as_json)


def _stories(peers: int, seed: int, rounds: int, as_json: bool) -> None:
    # Here, not above: other commands need no numerics, and start faster without.
    from tally.federation.simulation.replay import replay

    outcome = output.run(replay(seed, peers, rounds))
    if as_json:
        output.print_json({"peers": outcome.peers, "rows": outcome.rows, "faults": outcome.faults})
    elif not outcome.faults:
        output.OUT.print(
            f"{outcome.peers} peers have the same {outcome.rows} rows, each of them once."
        )
    if outcome.faults:
        output.fail("; ".join(outcome.faults), output.Exit.REFUSED)


def _table(file: Path, peers: int, seed: int, rounds: int, as_json: bool) -> None:
    from tally.federation.simulation.pooled import federate
    from tally.federation.simulation.tables import read_table

    async def call() -> list[dict[str, object]]:
        found = await federate(read_table(file), peers=peers, rounds=rounds, seed=seed)
        return [
            {
                "peer": one.name,
                "own rows": one.own_rows,
                "rows": one.rows,
                "difference": one.error if math.isfinite(one.error) else None,
                "same bits": one.same,
                "refused": one.refused,
            }
            for one in found
        ]

    told = output.run(call())
    if as_json:
        output.print_json(told)
    else:
        cells = [[_cell(value) for value in one.values()] for one in told]
        output.print_table(list(told[0]), cells, "")
    rows = sum(int(str(one["own rows"])) for one in told)
    right = all(
        one["same bits"]
        and one["rows"] == rows
        and isinstance(one["difference"], float)
        and one["difference"] < CLOSE
        for one in told
    )
    if not right:
        output.fail("the peers did not end with the pooled statistics", output.Exit.REFUSED)


def _cell(value: object) -> object:
    return output.rounded(value) if isinstance(value, float) or value is None else value


def _say(sentence: str) -> None:
    output.OUT.print(sentence, markup=False, soft_wrap=True)


def _password(source: str, *, again: bool = False) -> str:
    """Return the password of an invitation; without a source, somebody types it."""
    if source:
        return read_secret("--password", source)
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=again, err=True))


def _terms(given: Sequence[str] | None, secrets: Sequence[str] | None) -> dict[str, str]:
    terms = dict(_pair("--term", text) for text in given or ())
    for text in secrets or ():
        key, source = _pair("--secret", text)
        terms[key] = read_secret("--secret", source)
    return terms


def _pair(option: str, text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals and value):
        raise InvalidInput(option, "it is not KEY=VALUE")
    return key, value
