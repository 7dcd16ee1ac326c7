"""`tally federation`: making and joining one, how it is, and one in which everything goes wrong."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from tally.cli import output
from tally.cli.asking import Asker, Cid, KeyFile, Persist, Pid, print_done, print_result
from tally.cli.pairs import pairs
from tally.cli.secrets import SOURCE, read_secret
from tally.client.async_client import AsyncTally
from tally.client.results.federation import FederationStatus
from tally.errors import InvalidInput

app = typer.Typer(
    no_args_is_help=True,
    help="Sites that model together without moving rows. The customer is TALLY_CID or --cid, the "
    "key TALLY_KEY or --key-file.",
)

Term = Annotated[
    list[str] | None,
    typer.Option("--term", help="name=value of a further term, such as fed_local_type=partition."),
]
Secret = Annotated[
    list[str] | None,
    typer.Option(
        "--secret",
        help=f"name={SOURCE}: a term that nobody should see, such as nats_sec_token=env:TOKEN.",
    ),
]
Password = Annotated[
    str,
    typer.Option(help=f"{SOURCE}, with the password of the invitation; else it is asked for."),
]


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
    as_json: output.Json = False,
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
    made = {"pid": pid, "name": name, "schedule": every}
    print_done(made, f"{pid} is made: federation {name}, every {every}", as_json=as_json)


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
    word = output.checked(lambda: _password(password, again=True))

    async def call(tally: AsyncTally) -> str:
        return await tally.project(pid).invite(word, hours=hours, host=host)

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
    as_json: output.Json = False,
) -> None:
    """Join a federation by an invitation, and make the project of the new peer."""
    text = output.checked(
        lambda: sys.stdin.read() if invitation == "-" else read_secret("INVITATION", invitation)
    )
    word = output.checked(lambda: _password(password))

    async def call(tally: AsyncTally) -> FederationStatus:
        joined = await tally.join_federation(
            pid,
            text,
            word,
            hipaa=True if hipaa else None,
            persist=persist,
            params=_terms(term, secret),
        )
        return await joined.federation()

    told = Asker(url, cid, key_file).ask(call)
    sentence = f"{pid} has joined federation {told.name}, every {told.schedule}"
    print_done(told, sentence, as_json=as_json)


@app.command()
def start(
    pid: Pid,
    url: output.Url = output.DEFAULT_URL,
    cid: Cid = "",
    key_file: KeyFile = "",
    as_json: output.Json = False,
) -> None:
    """Take part in the rounds from the next one on."""
    Asker(url, cid, key_file).ask(lambda tally: tally.project(pid).start_pulse())
    print_done({"pid": pid, "pulsing": True}, f"{pid} is pulsing", as_json=as_json)


@app.command()
def stop(
    pid: Pid,
    url: output.Url = output.DEFAULT_URL,
    cid: Cid = "",
    key_file: KeyFile = "",
    as_json: output.Json = False,
) -> None:
    """Stand by: learn, hear the others, and share nothing."""
    Asker(url, cid, key_file).ask(lambda tally: tally.project(pid).stop_pulse())
    print_done({"pid": pid, "pulsing": False}, f"{pid} stands by", as_json=as_json)


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
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="CSV with a header. The rows of one file are dealt out to the peers; of several, "
            "each is one peer's. Without any, peers have made-up rows, may leave and join, and "
            "every row is looked for by its name.",
            exists=True,
            dir_okay=False,
            show_default=False,
        ),
    ] = None,
    peers: Annotated[
        int | None,
        typer.Option(min=1, max=100, help="How many there are: 3, or one for each file."),
    ] = None,
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
    if not files:
        _stories(3 if peers is None else peers, seed, rounds, as_json)
    elif len(files) == 1:
        _tables(files, 3 if peers is None else peers, seed, rounds, as_json)
    elif peers in (None, len(files)):
        _tables(files, 0, seed, rounds, as_json)
    else:
        output.fail(f"--peers: {len(files)} files are of as many peers", output.Exit.REFUSED)


def _stories(peers: int, seed: int, rounds: int, as_json: bool) -> None:
    # Here, not above: other commands need no numerics, and start faster without.
    from tally.federation.simulation.replay import replay

    outcome = output.run(replay(seed, peers, rounds))
    if as_json:
        output.print_json(
            {
                "peers": outcome.peers,
                "rows": outcome.rows,
                "faults": outcome.faults,
                "happened": outcome.happened,
            }
        )
    else:
        _tell_what_happened(rounds, outcome.happened)
        if not outcome.faults:
            output.OUT.print(
                f"{_count(outcome.peers, 'peer')} in the end: each counts all {outcome.rows} rows, "
                "every one once, and all have the same bits."
            )
    if outcome.faults:
        output.fail("; ".join(outcome.faults), output.Exit.REFUSED)


def _tables(files: list[Path], deal: int, seed: int, rounds: int, as_json: bool) -> None:
    """Tell of a federation of one peer for each file or, of one file, of so many."""
    from tally.federation.simulation.pooled import Ending, federate
    from tally.federation.simulation.tables import dealt, read_table

    async def call() -> Ending:
        tables = [read_table(file) for file in files]
        shares = dealt(tables[0], deal) if deal else tables
        return await federate(shares, rounds=rounds, seed=seed)

    ending = output.run(call())
    told = [
        {
            "peer": one.name,
            "own rows": one.own_rows,
            "rows": one.rows,
            "difference": one.error if math.isfinite(one.error) else None,
            "same bits": one.same,
            "refused": one.refused,
        }
        for one in ending.peers
    ]
    if as_json:
        output.print_json({"peers": told, "happened": ending.happened, "right": ending.right})
    else:
        _tell_what_happened(rounds, ending.happened)
        cells = [[_cell(value) for value in one.values()] for one in told]
        output.print_table(_COLUMNS, cells, "")
        if ending.right:
            output.OUT.print(
                f"{_count(len(told), 'peer')}: each has the statistics of all {ending.rows} rows, "
                "as one project that learned them all, and all have the same bits."
            )
    if not ending.right:
        output.fail("the peers did not end with the pooled statistics", output.Exit.REFUSED)


_COLUMNS = (
    "peer",
    "rows learned here",
    "rows counted",
    "difference from pooled",
    "same bits as peer 1",
    "messages refused",
)


def _tell_what_happened(rounds: int, happened: Mapping[str, int]) -> None:
    told = ", ".join(f"{what} {count}" for what, count in sorted(happened.items()))
    output.OUT.print(f"In {_count(rounds, 'round')}: {told or 'nothing went wrong'}.")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return output.rounded(value) if isinstance(value, float) or value is None else value


def _password(source: str, *, again: bool = False) -> str:
    """Return the password of an invitation; without a source, somebody types it.

    Raises:
        InvalidInput: nobody does, or the source has none.
    """
    if source:
        return read_secret("--password", source)
    try:
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=again, err=True))
    except typer.Abort as abort:
        if isinstance(abort.__context__, KeyboardInterrupt):
            raise typer.Exit(output.Exit.INTERRUPTED) from None
        raise InvalidInput("--password", f"nobody types it here: give {SOURCE}") from None


def _terms(given: Sequence[str] | None, secrets: Sequence[str] | None) -> dict[str, str]:
    sources = pairs("--secret", secrets, secret=True)
    hidden = {name: read_secret("--secret", source) for name, source in sources.items()}
    return pairs("--term", given) | hidden
