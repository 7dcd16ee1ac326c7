"""`tally federation simulate`: a federation on this machine, in which everything goes wrong."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from tally.cli import output

app = typer.Typer(no_args_is_help=True, help="Peers that model together without moving rows.")

CLOSE = 1e-9
"""A covariance may differ from that of the pooled rows by so much, relative to deviations."""


@app.callback()
def federation() -> None:
    """Peers that model together without moving rows."""


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
