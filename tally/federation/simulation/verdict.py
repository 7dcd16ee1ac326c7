"""Whether a healed federation of ledgers is right: complete, nothing twice, equal everywhere."""

from __future__ import annotations

from collections.abc import Sequence

from tally.federation.simulation.ledger import LedgerSite, read
from tally.federation.simulation.world import Node


def faults_of(nodes: Sequence[Node[LedgerSite]]) -> list[str]:
    """Return a sentence for each thing that is wrong with these, the living peers; none is."""
    truth = sorted(row for node in nodes for row in node.site.rows)
    found = []
    for node in nodes:
        if node.site.doubled:
            found.append(f"{node.name} counted twice: {sorted(node.site.doubled)[:3]}")
        if node.site.federated is None:
            found.append(f"{node.name} has built nothing")
            continue
        rows = sorted(read(node.site.federated))
        if rows != truth:
            found.append(
                f"{node.name} counts {len(rows)} rows of {len(truth)}; {_odd(rows, truth)}"
            )
    if len({node.site.federated for node in nodes}) > 1:
        found.append("the peers' federated projects are not the same bytes")
    return found


def _odd(rows: Sequence[str], truth: Sequence[str]) -> str:
    missing, foreign = set(truth) - set(rows), set(rows) - set(truth)
    return f"missing {sorted(missing)[:3]}, foreign {sorted(foreign)[:3]}"
