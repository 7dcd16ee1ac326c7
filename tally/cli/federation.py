"""`tally federation`: how a federation is, and one in which everything goes wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from tally.cli import output
from tally.cli.asking import Asker, Cid, KeyFile, Pid, print_result

app = typer.Typer(no_args_is_help=True, help="Peers that model together without moving rows.")


@app.callback()
def federation() -> None:
    """Peers that model together without moving rows."""


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
