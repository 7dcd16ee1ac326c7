"""One story, by its seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tally.federation.simulation.ledger import LEAST, LedgerRules, LedgerSite
from tally.federation.simulation.story import Story
from tally.federation.simulation.verdict import faults_of
from tally.federation.simulation.world import World

CONTRACTS = ((), ("rows >= 12",), ("rows >= 20", "rows >= 1"))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a federation.

    Attributes:
        faults: what is wrong in the end; nothing, if all is as it should be.
        peers: that are there in the end.
        rows: that they have together.
        happened: how often each thing went wrong on the way, in words.
    """

    faults: tuple[str, ...]
    peers: int
    rows: int
    happened: Mapping[str, int]


async def replay(seed: int, peers: int, rounds: int, *, encrypt: bool | None = None) -> Outcome:
    """Return how a story of this seed ends.

    Args:
        seed: equal ones tell equal stories.
        peers: in the beginning.
        rounds: in which things go wrong.
        encrypt: whether payloads are; None: in every other story.
    """
    sealed = seed % 2 == 0 if encrypt is None else encrypt
    # Every third story keeps its snapshots in objects.
    inline = 64 if seed % 3 == 0 else 256 * 1024
    world = World(seed, LedgerSite, LedgerRules(), encrypt=sealed, inline_bytes=inline)
    await world.create(peers)
    story = Story(world, LEAST, CONTRACTS)
    await story.suffer(rounds)
    await story.heal()
    living = story.living
    rows = sum(len(node.site.rows) for node in living)
    return Outcome(tuple(faults_of(living)), len(living), rows, story.happened)
